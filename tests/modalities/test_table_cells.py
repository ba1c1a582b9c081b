"""Rows of a table turn into numbers and back without loss, also where values repeat, are whole or missing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genloom.core import Column, Field
from genloom.errors import BadValue
from genloom.modalities.table import CODEC, decode, encode, quantiles, scores, to_csv, values_at

RNG = np.random.default_rng(0)
LONG = RNG.lognormal(size=2000)
TIED = np.where(RNG.random(2000) < 0.7, 0.0, RNG.exponential(100, 2000))
COLUMNS = (
    Column("income", "number", knots=quantiles(LONG)),
    Column("age", "number", knots=quantiles(np.arange(20.0, 80.0)), whole=True, missing=True),
    Column("kind", "category", values=("a", "b", "c")),
)


def cells() -> np.ndarray:
    return np.array([[LONG[0], 20, 0], [LONG[1], math.nan, 2], [LONG[2], 79, 1]])


def test_a_round_trip_keeps_every_cell() -> None:
    rows = encode(cells(), COLUMNS)
    assert rows.shape == (3, 1 + 2 + 3)
    assert rows.min() >= -1
    assert rows.max() <= 1
    back = decode(rows, COLUMNS)
    assert np.allclose(back, cells(), rtol=1e-3, equal_nan=True)
    assert np.array_equal(back[:, 1:], cells()[:, 1:], equal_nan=True)


@pytest.mark.parametrize("values", [LONG, TIED, np.arange(500.0), np.repeat([1.0, 2.0, 3.0], 100)])
def test_numbers_become_normal_scores_and_come_back(values: np.ndarray) -> None:
    knots = quantiles(values)
    at = scores(values, knots)
    assert at.min() >= -1
    assert at.max() <= 1
    assert abs(at.mean()) < 0.05
    assert np.all(np.diff(at[np.argsort(values)]) >= 0)
    assert np.allclose(values_at(at, knots), values, rtol=0.02, atol=0.02 * values.std())
    bell = RNG.normal(0, 1 / 3, 4000)
    assert np.allclose(np.quantile(values_at(bell, knots), [0.25, 0.5, 0.75]), np.quantile(values, [0.25, 0.5, 0.75]),
                       rtol=0.15, atol=0.05 * values.std())  # fmt: skip


def test_ties_are_hit_from_anywhere_in_their_stretch() -> None:
    assert np.all(values_at(np.array([-1.0, -0.5, 0.1]), quantiles(TIED)) == 0)


def test_what_lies_outside_is_brought_to_the_ends() -> None:
    knots = quantiles(np.arange(10.0))
    assert scores(np.array([-5.0, 50.0]), knots).tolist() == pytest.approx([-1, 1])
    assert values_at(np.array([-3.0, 3.0]), knots).tolist() == [0, 9]
    assert scores(np.array([4.0]), (4.0,)).tolist() == [0]
    assert values_at(np.array([0.3]), (4.0,)).tolist() == [4]


FIELD = Field("table", (6,), columns=COLUMNS)


def test_csv_has_a_header_whole_numbers_and_empty_cells() -> None:
    text = to_csv(cells(), COLUMNS).splitlines()
    assert text[0] == "income,age,kind"
    assert text[1].endswith(",20,a")
    assert text[2].endswith(",,c")


@pytest.mark.parametrize("stored", [True, False])
def test_rows_are_written_as_they_are_stored_or_made(tmp_path, stored: bool) -> None:
    items = torch.from_numpy(cells()) if stored else encode(cells(), COLUMNS)
    lines = CODEC.save(items, FIELD, tmp_path / "x.tsv").read_text().splitlines()
    assert lines[0] == "income\tage\tkind"
    assert [line.split("\t")[1:] for line in lines[1:]] == [["20", "a"], ["", "c"], ["79", "b"]]
    array = np.load(CODEC.save(items, FIELD, tmp_path / "x.npy"))
    assert np.allclose(array, cells(), rtol=1e-3, equal_nan=True)
    assert CODEC.save(items[:0], FIELD, tmp_path / "none.csv").read_text() == "income,age,kind\n"
    with pytest.raises(BadValue, match=r"\.csv, \.tsv, \.npy, \.png"):
        CODEC.save(items, FIELD, tmp_path / "x.wav")


def test_a_picture_has_a_chart_a_column() -> None:
    picture = CODEC.picture(encode(cells(), COLUMNS), FIELD, 2)
    assert picture.size == (2 * 212 + 12, 2 * 142 + 12)
    assert (70, 110, 160) in {color for _, color in picture.getcolors(100000)}
    with pytest.raises(BadValue, match="no rows"):
        CODEC.picture(torch.zeros(0, 6), FIELD)
