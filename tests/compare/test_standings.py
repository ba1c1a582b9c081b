"""The statistics of a board, against answers worked out elsewhere."""

from __future__ import annotations

import math

import pytest
from scipy.stats import t as student

from genloom.compare.standings import holm, judged_in_words, over_seeds, pairs, places, welch


def test_the_interval_over_seeds_is_students() -> None:
    found = over_seeds([1.0, 2.0, 3.0], n=500)
    half = 4.302652729911275 * 1.0 / math.sqrt(3)  # t of 2 degrees of freedom at 97.5%, from a table
    assert found.value == 2.0
    assert found.interval == pytest.approx((2.0 - half, 2.0 + half))
    assert (found.n, found.values) == (500, (1.0, 2.0, 3.0))
    assert "3 seeds" in found.how


def test_an_interval_stays_where_the_figure_can_be() -> None:
    assert over_seeds([0.1, 2.0, 4.0], 9, (0.0, math.inf)).interval[0] == 0.0  # type: ignore[index]
    low, high = over_seeds([0.9, 0.99, 0.7], 9, (0.0, 1.0)).interval or (0, 0)
    assert high == 1.0
    assert low < 0.9


def test_one_seed_has_no_interval_and_failed_ones_no_mean() -> None:
    assert over_seeds([3.0], 9).interval is None
    assert math.isnan(over_seeds([1.0, math.nan], 9).value)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    import numpy as np

    draw = np.random.default_rng(0)
    hits = sum(
        low <= 5.0 <= high
        for low, high in (over_seeds(row, 1).interval or (0, 0) for row in draw.normal(5, 2, (2000, 3)).tolist())
    )
    assert 0.935 < hits / 2000 < 0.965


def test_welch_agrees_with_the_formula() -> None:
    a, b = [10.0, 12.0, 11.0], [14.0, 15.0, 19.0]
    va, vb = 1.0 / 3, 7.0 / 3  # variances of the means
    t = (11.0 - 16.0) / math.sqrt(va + vb)
    freedom = (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)
    assert welch(a, b) == pytest.approx(2 * student.sf(abs(t), freedom))
    assert welch([math.exp(v) for v in a], [math.exp(v) for v in b], log=True) == pytest.approx(welch(a, b))


def test_welch_says_nothing_of_one_seed_and_knows_constants() -> None:
    assert math.isnan(welch([1.0], [2.0, 3.0]))
    assert math.isnan(welch([1.0, math.inf], [2.0, 3.0]))
    assert welch([2.0, 2.0], [2.0, 2.0]) == 1.0
    assert welch([2.0, 2.0], [3.0, 3.0]) == 0.0


def test_holm_by_hand() -> None:
    # sorted: .01 x 4, .02 x 3, .03 x 2 -> .06, .04 x 1 -> at least .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    found = holm([math.nan, 0.02])
    assert math.isnan(found[0])
    assert found[1] == 0.02


SCORES = {"far": [40.0, 42.0, 41.0], "near": [2.0, 2.1, 1.9], "close": [2.02, 1.95, 2.08]}


def test_places_order_by_mean_and_mark_what_does_not_differ() -> None:
    found = places(SCORES, "lower", log=True)
    assert [(p.name, p.rank) for p in found] == [("near", 1), ("close", 2), ("far", 3)]
    assert [p.as_above for p in found] == [False, True, False]
    assert [p.tied for p in found] == [("close",), ("near",), ()]
    judged = pairs(SCORES, log=True)
    assert judged["far", "near"] < 0.05 < judged["near", "close"]
    assert [p.name for p in places(SCORES, "higher")] == ["far", "close", "near"]


def test_one_seed_ties_nobody_and_the_failed_stand_last() -> None:
    found = places({"a": [math.nan], "b": [2.0], "c": [1.0]}, "lower")
    assert [p.name for p in found] == ["c", "b", "a"]
    assert not any(p.tied or p.as_above for p in found)
    assert "no difference is called significant" in judged_in_words(1, True, "FD")
    assert "logarithm of FD over 3 seeds" in judged_in_words(3, True, "FD")
