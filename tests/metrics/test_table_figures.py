"""Figures of tables against known answers: the same rows, shuffled columns, moved numbers, copies."""

from __future__ import annotations

import numpy as np
import pytest

from genloom.core import Column
from genloom.errors import BadData
from genloom.metrics.tables import area_interval, column_distance, pair_distances, table_figures

NUMBER, KIND = Column("x", "number", missing=True), Column("k", "category", values=("a", "b", "c"))
COLUMNS = (NUMBER, Column("y", "number"), KIND)


def rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    x = rng.normal(kind, 0.3)
    return np.stack([x, x + rng.normal(0, 0.1, n), kind], 1)


def test_column_distances_have_known_values() -> None:
    a, b = np.array([0.0, 0, 1, 2]), np.array([0.0, 1, 1, 1])
    assert column_distance(a, b, KIND) == pytest.approx(0.5)
    assert column_distance(a, a[::-1], KIND) == 0
    assert column_distance(np.arange(10.0), np.arange(10.0) + 5, NUMBER) == pytest.approx(0.5)
    assert column_distance(np.arange(10.0), np.arange(10.0) + 100, NUMBER) == 1
    missing = np.array([np.nan, np.nan, 1, 2])
    assert column_distance(missing, np.array([1.0, 2, 1, 2]), NUMBER) == pytest.approx(0.5)


def test_pairs_see_what_columns_do_not() -> None:
    a = rows(3000, 0)
    shuffled = a.copy()
    shuffled[:, 2] = np.random.default_rng(1).permutation(shuffled[:, 2])
    assert pair_distances(a, rows(3000, 2), COLUMNS).max() < 0.1
    assert pair_distances(shuffled, a, COLUMNS).max() > 0.4


def test_honest_samples_reach_the_floor_and_broken_ones_do_not() -> None:
    train, held_out = rows(1500, 3), rows(600, 4)
    honest = {r.key: r for r in table_figures(rows(600, 5), train, held_out, COLUMNS)}
    assert honest["columns"].value < 2 * honest["columns"].floor
    assert 0.42 < honest["detection"].value < 0.58
    assert honest["utility"].value > 0.85
    assert honest["copied_rows"].value == 0
    broken = rows(600, 6)
    broken[:, 2] = np.random.default_rng(1).permutation(broken[:, 2])
    found = {r.key: r for r in table_figures(broken, train, held_out, COLUMNS)}
    assert found["columns"].value < 2 * found["columns"].floor
    assert found["pairs"].value > 3 * found["pairs"].floor
    assert found["detection"].interval[0] > 0.65
    assert found["utility"].value < 0.6


def test_copies_are_counted_also_with_missing_cells() -> None:
    train = rows(200, 7)
    train[::2, 0] = np.nan
    found = {r.key: r for r in table_figures(np.concatenate([train[:50], rows(50, 8)]), train, rows(200, 9), COLUMNS)}
    assert found["copied_rows"].value == 0.5
    assert found["copied_rows"].interval[0] > 0.39


def test_the_interval_of_an_area_covers_it() -> None:
    rng, hits = np.random.default_rng(0), 0
    for _ in range(200):
        a, b = rng.normal(0.5, 1, 80), rng.normal(0, 1, 80)
        low, high = area_interval(float((a[:, None] > b).mean()), 80, 80)
        hits += low <= 0.6382 <= high
    assert 0.88 <= hits / 200 <= 0.99


def test_too_few_rows_say_how_many_are_needed() -> None:
    with pytest.raises(BadData, match="at least 30 samples and as many rows of each part, got 5"):
        table_figures(rows(5, 0), rows(100, 1), rows(100, 2), COLUMNS)
