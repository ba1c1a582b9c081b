"""The report: self-contained, escaped, complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genloom.errors import Storage
from genloom.report import DataNote, Report, ReportRun, pairs, render, summarise, write_report
from genloom.report.charts import ladder, limits, lines, thinned, ticks
from genloom.report.numbers import compact, interval, number, seconds, size, span

NASTY = '<script>alert("x")</script> & <img src=http://evil.example/a.png>'


def figure(key: str, name: str, value: float, n: int = 4321, **protocol: object) -> dict[str, object]:
    return {"key": key, "name": name, "value": value, "interval": [value - 0.011, value + 0.013], "n": n,
            "protocol": protocol, "citation": "", "better": "lower"}  # fmt: skip


def run(**changes: object) -> ReportRun:
    rows = [
        {"step": i, "seconds": i / 2, "loss/net": 5.0 / (i + 1), "vae/kl": 0.1 * i, "rate/net": 0.001}
        for i in range(50)
    ]
    rows.append({"step": 49, "seconds": 25.0, "monitor": 0.7654})
    base = ReportRun(
        name="0001-flow",
        recipe="flow",
        family="diffusion",
        rows=rows,
        samples=Image.new("L", (8, 8), 200),
        real=Image.new("L", (8, 8), 100),
        neighbours=Image.new("RGB", (16, 8)),
        evaluation={
            "results": [
                figure("fd", "FD(toy@01234567)", 2.8461, floor=0.1357),
                figure("precision", "precision(toy@01234567)", 0.6173, k=5),
                figure("recall", "recall(toy@01234567)", 0.4829, k=5),
                figure("bits_per_dimension", "bits per dimension", 3.1415),
                figure("share:cat", "share of cat", 0.2718, held_out_share=0.25),
                figure("share:dog", "share of dog", 0.7282, held_out_share=0.75),
            ],
            "extractor": "toy@01234567",
            "notes": ["few items"],
        },
        cost={
            "wall_seconds": 61.25,
            "cpu_seconds": 118.5,
            "items_per_second": 4980.2,
            "peak_memory_bytes": 646_647_808,
            "energy_kwh_estimated": [9.8e-5, 4.9e-4],
            "co2_grams_estimated": [0.0029, 0.34],
        },
        config={"model": "flow", "config": {"width": 48}},
        command="genloom train flow --data toy",
        parameters=612_345,
        items=300_800,
        data="toy",
        monitor="validation",
        plan="bf16: measured 12.1 ms a step",
        notes=("a note",),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def report(*runs: ReportRun, **changes: object) -> Report:
    base = Report(
        title="Four models",
        runs=runs or (run(),),
        data=[DataNote("Toy set", "https://example.org/toy", "CC0-1.0", "60 pictures", "Somebody 2020")],
        commands=["genloom demo --seed 0"],
        versions={"genloom": "9.8.7", "torch": "6.5.4"},
        made="1 May 2026",
    )
    return replace(base, **changes)  # type: ignore[arg-type]


class Loads(HTMLParser):
    """Collects what a browser would run, fetch or follow on its own."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        loading = ("src", "srcset", "data", "action", "poster", "background", "xlink:href")
        self.addresses += [v or "" for k, v in attrs if k in loading or (k == "href" and tag != "a")]
        assert not [k for k, _ in attrs if k.startswith("on")]


def test_nothing_is_loaded_from_anywhere() -> None:
    page = render(report(run(name=NASTY), run(samples="text " + NASTY, real=None)))
    found = Loads()
    found.feed(page)
    assert found.addresses
    assert all(a.startswith("data:image/png;base64,") for a in found.addresses)
    assert not {"script", "link", "iframe", "object", "embed", "base", "video", "audio"} & set(found.tags)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in page


@pytest.mark.parametrize("place", ["name", "recipe", "family", "samples", "real", "command", "data", "plan", "monitor"])
def test_what_people_write_is_escaped_in_every_field(place: str) -> None:
    page = render(report(run(**{place: NASTY})))
    assert "<script>" not in page
    assert "<img src=http" not in page
    assert "&lt;script&gt;" in page or "&amp;lt;" in page


def test_escaping_in_titles_notes_configurations_rows_and_results() -> None:
    evil = run(
        notes=(NASTY,),
        config={NASTY: NASTY},
        rows=[{"seconds": float(i), f"loss/{NASTY}": 1.0, NASTY: 2.0} for i in range(3)],
        evaluation={"results": [figure("fd", NASTY, 1.0, floor=NASTY and 0.5), figure(f"share:{NASTY}", NASTY, 0.5),
                                figure("share:b", "b", 0.5)], "extractor": NASTY, "notes": [NASTY]},
    )  # fmt: skip
    page = render(
        report(evil, evil, title=NASTY, summary=NASTY, commands=[NASTY], versions={NASTY: NASTY}, made=NASTY,
               protocol=[NASTY], data=[DataNote(NASTY, NASTY, NASTY, NASTY, NASTY)])
    )  # fmt: skip
    assert "<script>" not in page
    assert "<img src=http" not in page


def test_every_number_appears() -> None:
    page = render(report())
    for shown in (
        "2.846", "0.1357", "0.6173", "0.4829", "3.142", "0.2718", "4,321",  # figures, floor, n
        "2.835 \u2013 2.859",  # an interval
        "612k", "301k", "61.2 s", "118 s", "4,980", "647 MB", "0.098 \u2013 0.49", "0.0029 \u2013 0.34",
        "0.7654", "0.1</b>", "4.9</b>",  # last values of the curves
        "FD(toy@01234567)", "9.8.7", "6.5.4", "CC0-1.0", "https://example.org/toy", "genloom demo --seed 0",
        "genloom train flow --data toy", "bf16: measured 12.1 ms a step", "few items", "a note", "1 May 2026",
        "&#34;width&#34;: 48", "k 5",
    ):  # fmt: skip
        assert shown in page, shown


def test_a_run_with_next_to_nothing_still_reports() -> None:
    bare = ReportRun(name="bare", recipe="gpt", family="autoregressive", rows=[])
    page = render(Report("Bare", [bare]))
    assert "bare" in page
    assert "None" not in page
    assert "No runs" in render(Report("Empty", []))


def test_text_models_show_their_text_and_nats() -> None:
    gpt = run(
        name="gpt", samples="def main():\n    pass", real="import os", neighbours=None,
        evaluation={"results": [figure("nats_per_token", "nats per token", 1.3127)]},
    )  # fmt: skip
    page = render(report(gpt))
    assert "def main():\n    pass" in page
    assert "1.313" in page
    assert "1.313 nats per token" in summarise([gpt])


def test_the_summary_ranks_only_what_compares() -> None:
    good = run(name="good")
    poor = run(name="poor", evaluation={"results": [figure("fd", "FD(toy@01234567)", 9.0, floor=0.1)]})
    other = run(name="other", evaluation={"results": [figure("fd", "FD(else@89abcdef)", 0.2, floor=0.1)]})
    text = summarise([poor, good, other])
    assert "Nearest to the held-out items comes good" in text
    assert "other: FD(else@89abcdef)" in text
    assert text.startswith("Three models learnt from toy, 3 min 4 s")
    page = render(report(poor, good, other))
    assert page.count('class="chart ladder"') == 1


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_report(report(), tmp_path / "new" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(Storage, match="choose another place"):
        write_report(report(), tmp_path / "file" / "report.html")


def test_it_needs_no_torch() -> None:
    code = "import sys, genloom.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_pairs_put_each_neighbour_under_its_sample() -> None:
    samples, nearest = np.full((3, 4, 5), 10, np.uint8), np.full((3, 4, 5, 3), 20, np.uint8)
    sheet = np.asarray(pairs(samples, samples + 10, scale=2))
    assert sheet.shape == (2 * 8 + 4, 3 * 10 + 2 * 4, 4)
    assert sheet[0, 0].tolist() == [10, 10, 10, 255]
    assert sheet[-1, -1].tolist() == [20, 20, 20, 255]
    assert sheet[9, 0, 3] == 0, "the gap is transparent"
    assert np.asarray(pairs(nearest, nearest)).shape[2] == 4


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10) == pytest.approx([0, 5, 10]) or ticks(0, 10) == pytest.approx([0, 2, 4, 6, 8, 10])
    for low, high in ((1.6, 9.7), (-0.003, 0.0041), (1e5, 1.3e5), (0.0, 60.0)):
        marks = ticks(low, high)
        assert 2 <= len(marks) <= 7
        assert all(low - 1e-9 <= m <= high + 1e-9 for m in marks)
    assert ticks(3, 3) == [3]


def test_lines_survive_whatever_a_run_logged() -> None:
    points = [(float(i), 1.0 if i % 2 else float("nan")) for i in range(10)] + [(10.0, float("inf"))]
    assert "nan" not in lines("x", [("a", points)], "i").lower().replace("not a number", "")
    assert lines("x", [("a", [])], "i") == ""
    assert "<circle" in lines("x", [("a", [(1.0, 2.0)])], "i")
    long = [(float(i), float(i)) for i in range(5000)]
    assert len(thinned(long)) <= 302
    assert thinned(long)[-1] == (4999.0, 4999.0)


def test_an_early_spike_does_not_flatten_the_curve() -> None:
    assert limits([1000.0] + [1 + i / 100 for i in range(100)])[1] < 5
    low, high = limits([1.0, 2.0, 3.0])
    assert low < 1
    assert high > 3


def test_a_ladder_places_dots_by_the_logarithm() -> None:
    drawn = ladder("FD", [("a", 1.0, None), ("b", 10.0, None), ("c", 100.0, None), ("zero", 0.0, None)], "u")
    a, b, c = (float(x) for x in re.findall(r'<circle[^>]*cx="([\d.]+)"', drawn))
    assert b - a == pytest.approx(c - b, abs=0.3)


def test_numbers() -> None:
    assert [number(x) for x in (None, 12345, 0.034123, 1234.5, 1.2e-7, 0.5, 31.7348, 0.0, 100.0)] == [
        "\u2013", "12,345", "0.03412", "1,234", "1.2e-07", "0.5", "31.73", "0", "100.0",
    ]  # fmt: skip
    assert number(float("nan")) == "not a number"
    assert [compact(x) for x in (None, 812, 60_000, 1_234_567)] == ["\u2013", "812", "60k", "1.23M"]
    assert [seconds(x) for x in (8.25, 61.2, 302, 7500)] == ["8.25 s", "61.2 s", "5 min 2 s", "2 h 5 min"]
    assert interval([0.1, 0.25]) == "0.1 \u2013 0.25"
    assert span([3.2e-5, 1.6e-4], 1000) == "0.032 \u2013 0.16"
    assert size(3.2e9) == "3.20 GB"
