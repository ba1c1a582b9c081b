"""The report in a real browser: nothing leaves the page, tooltips, dark, phone, print."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from samples_of_reports import AILING, NASTY, comparison, four_runs, report, run

from genloom.report import write_report

REQUIRED = os.environ.get("GENLOOM_REQUIRE_ALL") == "1"
CHROMIUM = "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

if REQUIRED:
    import playwright.sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api")


@dataclass
class Seen:
    """A page that is open, and what came out of it: requests, console messages, errors."""

    page: Any
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def tip(self) -> Any:
        return self.page.locator("#tip")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        assert not REQUIRED, "GENLOOM_REQUIRE_ALL=1, but there is no chromium"
        pytest.skip("no chromium")
    with playwright.sync_playwright() as p:
        found = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of three reports: of four runs, of a comparison, of names that mean harm."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "four": four_runs(),
        "board": report(run(health=AILING), comparison=comparison()),
        "nasty": report(run(name=NASTY, samples=NASTY, real=NASTY, rows=[{"seconds": 1.0 * i, f"loss/{NASTY}": i}
                                                                         for i in range(3)]), title=NASTY),
    }  # fmt: skip
    return {name: write_report(one, folder / f"{name}.html").as_uri() for name, one in made.items()}


@pytest.fixture
def look(browser: Any, pages: dict[str, str]) -> Iterator[Any]:
    """look(name, width=1280, scheme="light", script=True): opens a page and fails at the end if anything left it."""
    opened: list[tuple[Any, Seen, str]] = []

    def open_(name: str, width: int = 1280, scheme: str = "light", script: bool = True) -> Seen:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
        )
        seen = Seen(context.new_page())
        seen.page.on("request", lambda r: seen.asked.append(r.url))
        seen.page.on("console", lambda m: seen.said.append(m.text))
        seen.page.on("pageerror", lambda e: seen.said.append(str(e)))
        seen.page.on("dialog", lambda d: (seen.said.append("a dialog"), d.dismiss()))
        if script:
            seen.page.add_init_script(
                "addEventListener('securitypolicyviolation', e => console.log('violation ' + e.violatedDirective))"
            )
        seen.page.goto(pages[name])
        opened.append((context, seen, pages[name]))
        return seen

    yield open_
    for context, seen, address in opened:
        assert [a for a in seen.asked if a != address and not a.startswith("data:")] == []
        assert seen.said == []
        context.close()


def luminance(page: Any) -> float:
    """Brightness of the page's background, 0 to 255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return sum(int(c) for c in re.findall(r"\d+", colour)[:3]) / 3


@pytest.mark.parametrize("name", ["four", "board", "nasty"])
def test_it_opens_offline_and_paints_at_once(look: Any, name: str) -> None:
    seen = look(name)
    assert seen.page.locator("h1").is_visible()
    broken = seen.page.evaluate("[...document.images].filter(i => !(i.complete && i.naturalWidth)).length")
    assert broken == 0
    entries = "performance.getEntriesByName('first-contentful-paint').map(e => e.startTime)"
    while not (painted := seen.page.evaluate(entries)):
        seen.page.wait_for_timeout(20)
    assert painted[0] < 3000, "generous: the benchmark publishes the real figure"


def test_hovering_over_a_curve_tells_its_values(look: Any) -> None:
    seen = look("four")
    chart = seen.page.locator("svg.plot", has=seen.page.locator("polyline")).first
    assert seen.tip.is_hidden()
    chart.hover(position={"x": 200, "y": 100})
    said = seen.tip.inner_text()
    assert re.search(r"^\d.* s\b", said)
    assert re.search(r"a\s+0\.\d+", said)
    assert re.search(r"b\s+0\.\d+", said)
    first = said
    chart.hover(position={"x": 300, "y": 100})
    assert seen.tip.inner_text() != first
    seen.page.mouse.move(5, 5)
    assert seen.tip.is_hidden()


def test_the_keyboard_reaches_every_value(look: Any) -> None:
    seen = look("four")
    chart = seen.page.locator("svg.plot", has=seen.page.locator("polyline")).first
    chart.focus()
    last = seen.tip.inner_text()
    assert last.startswith("4 min 59 s")
    seen.page.keyboard.press("ArrowLeft")
    assert seen.tip.inner_text().startswith("4 min 58 s")
    seen.page.keyboard.press("Home")
    assert seen.tip.inner_text().split() == ["0", "s", "a", "1.1", "b", "1"]
    seen.page.keyboard.press("Escape")
    assert seen.tip.is_hidden()
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.matches('svg.plot, a, [tabindex], summary')")


def test_marks_of_the_leaderboard_tell_interval_and_seeds(look: Any) -> None:
    seen = look("board")
    seen.page.locator("svg.plot").nth(0).focus()
    said = seen.tip.inner_text()
    assert said.startswith("flow")
    assert "95% interval: 0.97 to 1.15" in said
    assert "seeds: 1.05, 1.11, 1.02" in said
    seen.page.keyboard.press("ArrowDown")
    assert seen.tip.inner_text().startswith("r3gan")
    inside = seen.page.evaluate(
        "(() => { const b = document.getElementById('tip').getBoundingClientRect();"
        " return b.left >= 0 && b.right <= innerWidth && b.top >= 0 && b.bottom <= innerHeight; })()"
    )
    assert inside


def test_dark_follows_the_system_and_the_button(look: Any) -> None:
    seen = look("board", scheme="dark")
    assert luminance(seen.page) < 60
    button = seen.page.get_by_role("button", name="Switch to light colours")
    button.click()
    assert luminance(seen.page) > 230
    seen.page.emulate_media(media="print")
    assert luminance(seen.page) == 255
    seen.page.emulate_media(media="screen")
    seen.page.reload()
    assert luminance(seen.page) < 60, "remembered in memory only"
    assert seen.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    light = look("board")
    assert luminance(light.page) > 230
    light.page.get_by_role("button", name="Switch to dark colours").click()
    assert luminance(light.page) < 60


@pytest.mark.parametrize("name", ["four", "board", "nasty"])
def test_a_phone_never_scrolls_sideways(look: Any, name: str) -> None:
    seen = look(name, width=375)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 375
    seen.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 375
    small = seen.page.evaluate(
        "[...document.querySelectorAll('svg.plot text')].map(t => t.getBoundingClientRect().height)"
        ".filter(h => h > 0 && h < 8).length"
    )
    assert small == 0, "letters of charts are read on a phone"


def test_it_prints_whole_and_light(look: Any) -> None:
    seen = look("four", scheme="dark", width=688)
    pdf = seen.page.pdf(format="A4")
    count = len(re.findall(rb"/Type /Page\b", pdf))
    assert 5 <= count <= 14, f"four runs on {count} pages"
    assert seen.page.evaluate("document.querySelectorAll('details:not([open])').length") > 0, "folded again afterwards"
    seen.page.emulate_media(media="print")
    seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert seen.page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 688, "nothing is cut at the edge of the paper"
    cut = seen.page.evaluate(
        "[...document.querySelectorAll('figure')].filter(f => getComputedStyle(f).breakInside !== 'avoid').length"
    )
    assert cut == 0
    assert seen.page.get_by_role("button").count() == 0


def test_without_a_script_it_is_a_picture_of_itself(look: Any) -> None:
    seen = look("board", script=False)
    assert seen.page.locator("#theme").is_hidden()
    assert seen.page.locator("svg.plot").first.is_visible()
    assert seen.page.locator("svg.plot .mark title").first.text_content().startswith("flow")
    assert seen.page.locator("table.board").is_visible()


CONTRAST = """(() => {
  const lum = (c) => c.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const probe = document.createElement("i");
  document.body.append(probe);
  const value = (name) => { probe.style.color = `var(--${name})`; return lum(getComputedStyle(probe).color); };
  const ratio = (a, b) => (Math.max(value(a), value(b)) + 0.05) / (Math.min(value(a), value(b)) + 0.05);
  const text = ["ink", "soft", "accent", "serious", "warning", "notice"].map((n) => [n, "paper", 4.5]);
  const marks = ["c0", "c1", "c2", "c3", "c4", "c5"].map((n) => [n, "paper", 3]);
  const all = [...text, ["soft", "wash", 4.5], ["tip", "tip-ink", 4.5], ...marks];
  return all.map(([a, b, least]) => [a, ratio(a, b), least]);
})()"""
"""Contrast as WCAG 2.2 defines it, of every colour that letters (4.5) and marks (3) are drawn with."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_and_marks_have_contrast(look: Any, scheme: str) -> None:
    found = look("board", scheme=scheme).page.evaluate(CONTRAST)
    assert len(found) == 14
    for name, ratio, least in found:
        assert ratio >= least, f"{name}: {ratio:.2f} < {least}"
