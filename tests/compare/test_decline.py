"""Worsening that is steady is found, the same figures in another order are not, and chance rarely is."""

from __future__ import annotations

import numpy as np
import pytest

from genloom.compare.decline import declines, gap, least_p, permuted


def noisy(means: list[float], seeds: int, spread: float, seed: int, sets: int = 4, between: float = 0.0) -> np.ndarray:
    """Values (seeds, generations, sets) around means, with noise of sets and of whole runs."""
    draw = np.random.default_rng(seed)
    runs = np.asarray(means) + between * draw.normal(size=(seeds, len(means)))
    return runs[..., None] + spread * draw.normal(size=(seeds, len(means), sets))


def test_p_of_known_orders() -> None:
    assert permuted(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]])) == pytest.approx(1 / 120)
    assert permuted(np.array([[5.0, 4.0, 3.0, 2.0, 1.0]])) == 1
    assert permuted(np.array([[1.0, 2.0, 3.0]] * 2)) == pytest.approx(1 / 36)
    assert permuted(np.array([[2.0, 2.0, 2.0]])) == 1, "what never changes gets no worse"
    assert permuted(np.array([[3.0]])) == 1
    assert permuted(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]] * 3)) < 1e-3
    assert least_p(1, 5) == pytest.approx(1 / 120)
    assert least_p(3, 5) < 1e-4


def test_steady_decline_is_found_and_worse_is_known_by_direction() -> None:
    rising = noisy([5, 9, 14, 20, 30], 1, 0.5, 0)
    found = {d.key: d for d in declines({"fd": (rising, "lower"), "recall": (rising, "higher")})}
    assert found["fd"].worse
    assert found["fd"].gap == pytest.approx(25, abs=1)
    assert found["fd"].interval is not None
    assert found["fd"].interval[0] < 25 < found["fd"].interval[1]
    assert found["fd"].adjusted == pytest.approx(2 / 120)
    assert not found["recall"].worse, "higher recall is no decline"


def test_a_steady_rise_within_the_chance_of_samples_is_no_decline() -> None:
    values = np.array([[1.0, 1.01, 1.02, 1.03, 1.04]])[..., None] + np.array([-1.0, 1.0, -0.5, 0.5])
    (found,) = declines({"fd": (values, "lower")})
    assert found.p == pytest.approx(1 / 120)
    assert not found.worse


def test_chance_is_rarely_called_decline() -> None:
    same = [10.0] * 5
    alarms = sum(
        any(d.worse for d in declines({key: (noisy(same, 1, 0.3, 10 * s + i, between=1.0), "lower")
                                       for i, key in enumerate(("fd", "recall", "rare"))}))
        for s in range(200)
    )  # fmt: skip
    assert alarms <= 20, "5% of 200, and a wide margin"
    found = sum(declines({"fd": (noisy([10, 11, 12, 13, 14], 3, 0.3, s, between=0.5), "lower")})[0].worse
                for s in range(50))  # fmt: skip
    assert found >= 45


def test_the_gap_counts_every_seed() -> None:
    first, last = np.array([[1.0, 1.0], [3.0, 3.0]]), np.array([[2.0, 2.0], [6.0, 6.0]])
    assert gap(first, last) == (2.0, (2.0, 2.0))
    assert gap(first[:, :1], last[:, :1]) == (2.0, None)
