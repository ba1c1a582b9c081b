"""A report of four runs: how large it is, and how soon a browser shows it.

    python benchmarks/report_page.py [RUN RUN RUN RUN]

Without names, `genloom demo --budget 20s` makes the four runs (four minutes the first time). Chromium opens the page
nine times without a cache; the median of the first contentful paint counts, and the largest is given too. A request
that leaves the page is an error.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import genloom
from _result import publish

PAINTED = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
LIMIT_BYTES, LIMIT_SECONDS = 8_000_000, 1.0


def paints(page: Path, times: int = 9) -> list[float]:
    """Seconds from the beginning of navigation to the first contentful paint, in a new browser context each time."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    found = []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for _ in range(times):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            asked: list[str] = []
            tab.on("request", lambda r, asked=asked: asked.append(r.url))
            tab.goto(page.as_uri())
            while not (painted := tab.evaluate(PAINTED)):  # the page's policy forbids to wait for it in the page
                tab.wait_for_timeout(20)
            found.append(painted[0] / 1000)
            outside = [a for a in asked if a != page.as_uri() and not a.startswith("data:")]
            if outside:
                raise SystemExit(f"the page asked for {outside}")
            context.close()
        browser.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report.html"
        runs = sys.argv[1:]
        if runs:
            genloom.report(runs, out=out)
        else:
            genloom.demo(budget="20s", runs="runs/report_page", out=out)
        seconds = paints(out)
        size = out.stat().st_size
    publish(
        "report_page",
        {
            "runs": 4,
            "bytes": size,
            "bytes_allowed": LIMIT_BYTES,
            "first_contentful_paint_seconds_median": round(statistics.median(seconds), 3),
            "first_contentful_paint_seconds_largest": round(max(seconds), 3),
            "first_contentful_paint_seconds_allowed": LIMIT_SECONDS,
            "requests": 0,
        },
        "python benchmarks/report_page.py",
    )


if __name__ == "__main__":
    main()
