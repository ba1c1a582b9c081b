"""Charts: where marks stand, what they say, that nothing unusual breaks them."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from samples_of_reports import NASTY

from genloom.report.charts import Line, Rung, Spot, columns, ladder, limits, lines, scatter, thinned, ticks
from genloom.report.charts.axes import log_ticks, shape
from genloom.report.numbers import compact, interval, number, seconds, size, span


def tree(figure: str) -> ElementTree.Element:
    """A figure as XML: it must be well-formed."""
    return ElementTree.fromstring(figure)


def starts(figure: str, kind: str) -> list[float]:
    """Where marks of a class begin, left to right in the order they are drawn."""
    return [float(x) for x in re.findall(rf'<path class="{kind}[^"]*" d="M(-?[\d.]+) ', figure)]


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0, 10) == pytest.approx([0, 5, 10]) or ticks(0, 10) == pytest.approx([0, 2, 4, 6, 8, 10])
    for low, high in ((1.6, 9.7), (-0.003, 0.0041), (1e5, 1.3e5), (0.0, 60.0)):
        marks = ticks(low, high)
        assert 2 <= len(marks) <= 7
        assert all(low - 1e-9 <= m <= high + 1e-9 for m in marks)
    assert ticks(3, 3) == [3]


def test_lines_survive_whatever_a_run_logged() -> None:
    points = [(float(i), 1.0 if i % 2 else float("nan")) for i in range(10)] + [(10.0, float("inf"))]
    assert "nan" not in lines("x", [Line("a", points)], "i").lower().replace("not a number", "")
    assert lines("x", [Line("a", [])], "i") == ""
    assert 'class="spot' in lines("x", [Line("a", [(1.0, 2.0)])], "i")
    long = [(float(i), float(i)) for i in range(5000)]
    assert len(thinned(long)) <= 302
    assert thinned(long)[-1] == (4999.0, 4999.0)


def test_an_early_spike_does_not_flatten_the_curve() -> None:
    assert limits([1000.0] + [1 + i / 100 for i in range(100)])[1] < 5
    low, high = limits([1.0, 2.0, 3.0])
    assert low < 1
    assert high > 3


def test_a_ladder_places_marks_by_the_logarithm_where_values_are_far_apart() -> None:
    drawn = ladder("FD", [Rung("a", 1.0), Rung("b", 10.0), Rung("c", 100.0), Rung("bad", math.nan)])
    assert "logarithmic" in drawn
    assert "bad" not in drawn
    a, b, c = (x + half for x, half in zip(starts(drawn, "mark"), (5, 5, 0), strict=True))  # outlines begin left
    assert b - a == pytest.approx(c - b, abs=0.3)
    near = ladder("FD", [Rung("a", 1.0), Rung("b", 2.0, floor=0.0), Rung("c", -1.0)])
    assert "logarithmic" not in near
    assert ladder("FD", []) == ""


def test_a_ladder_tells_interval_seeds_and_floor() -> None:
    drawn = ladder("FD", [Rung("flow", 1.5, (1.25, 1.75), (1.375, 1.625), 0.125)])
    title = tree(drawn).find(".//title")
    assert title is not None
    assert title.text is not None
    assert title.text.split("\n") == [
        "flow", "1.5", "95% interval: 1.25 to 1.75", "seeds: 1.375, 1.625", "real data: 0.125",
    ]  # fmt: skip
    assert drawn.count('class="seed') == 2
    assert drawn.count('class="whisker') == 3
    assert drawn.count('class="floor') == 1


def test_lines_hold_their_values_in_words_for_the_tooltip() -> None:
    drawn = lines("Loss", [Line("a", [(1.0, 0.123456), (130.0, 2000.0)], marked=True), Line("b", [(1.0, 3.0)])], "i")
    line = next(e for e in tree(drawn).iter("polyline") if e.get("data-name") == "a")
    assert line.get("data-x") == "1 s|2 min 10 s"
    assert line.get("data-y") == "0.1235|2,000"
    assert len((line.get("points") or "").split()) == 2
    assert "a from 0.1235 to 2,000; b from 3 to 3" in drawn


def test_a_band_is_drawn_where_seeds_differ_and_told() -> None:
    points, band = [(1.0, 10.0), (2.0, 5.0)], [(8.0, 12.0), (4.0, 6.0)]
    drawn = lines("Quality", [Line("a", points, band)], "q", log=True)
    assert len(re.findall(r'class="band c0" points="([^"]*)"', drawn)[0].split()) == 4
    assert "10 (8 to 12)|5 (4 to 6)" in drawn.replace(".00", "")
    assert "band" not in lines("Quality", [Line("a", points, [(10.0, 10.0), (5.0, 5.0)])], "q")
    assert "polyline" in lines("Quality", [Line("a", [(1.0, -3.0), (2.0, 1.0)])], "q", log=True), "no logarithm of -3"


def test_a_scatter_places_fidelity_up_and_diversity_right() -> None:
    drawn = scatter("PR", [Spot("low", 0.5, 0.5), Spot("up", 0.5, 0.9), Spot("right", 0.9, 0.5),
                           Spot("real data", 0.95, 0.95, real=True)], "recall", "precision")  # fmt: skip
    titles = [t.text or "" for t in tree(drawn).iter("title")]
    assert "up\nrecall: 0.5\nprecision: 0.9" in titles
    names = {e.text: (float(e.get("x", 0)), float(e.get("y", 0))) for e in tree(drawn).iter("text")}
    assert names["up"][1] < names["low"][1]
    assert names["right"][0] > names["low"][0] + 50
    assert 'class="mark spot real"' in drawn
    assert scatter("PR", [], "recall", "precision") == ""


def test_labels_of_points_that_coincide_do_not_cover_each_other() -> None:
    drawn = scatter("PR", [Spot(f"model {i}", 0.7, 0.7) for i in range(4)], "recall", "precision")
    places = [(e.get("x"), e.get("y")) for e in tree(drawn).iter("text") if (e.text or "").startswith("model")]
    assert len(set(places)) == 4


def test_columns_stand_as_high_as_their_shares() -> None:
    drawn = columns("Classes", [("a", 0.2, (0.1, 0.3), 0.25), ("b", 0.4, None, None), ("none", 0.0, None, 0.1)])
    high = [float(e.get("height", 0)) for e in tree(drawn).iter("rect")]
    assert high[1] == pytest.approx(2 * high[0], abs=0.3)
    assert "95% interval: 10.0% to 30.0%" in drawn
    assert drawn.count('class="floor') == 2


@pytest.mark.parametrize("draw", [
    lambda: lines(NASTY, [Line(NASTY, [(0.0, 1.0), (1.0, 2.0)])], "i"),
    lambda: ladder(NASTY, [Rung(NASTY, 1.0)], NASTY),
    lambda: columns(NASTY, [(NASTY, 0.5, None, None)], NASTY),
    lambda: scatter(NASTY, [Spot(NASTY, 0.5, 0.5)], NASTY, NASTY, NASTY),
])  # fmt: skip
def test_names_are_escaped_and_charts_are_well_formed(draw: object) -> None:
    drawn = draw()  # type: ignore[operator]
    assert "<script" not in drawn
    root = tree(drawn)
    label = next(e.get("aria-label") for e in root.iter("svg") if e.get("role") == "img")
    assert label
    assert len(label) > 10


def test_marks_differ_in_shape() -> None:
    assert len({shape(i, 0, 0) for i in range(6)}) == 6


def test_logarithmic_ticks_are_few_and_inside() -> None:
    for low, high in ((0.1, 50), (1e-6, 1e6), (1.1, 1.9), (3, 31)):
        marks = log_ticks(low, high)
        assert 1 <= len(marks) <= 14
        assert all(low <= m <= high for m in marks)


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
