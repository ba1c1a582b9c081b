"""Tables: rows of mixed columns, to and from rows of numbers near [-1, 1].

A number becomes its place among the training rows: 2q - 1 with q the share of them below it (ties: the middle of
theirs), so that any distribution turns into an even one, and back by the quantiles. A category becomes one number for
each of its values, 1 for the one it is and -1 for the others; the greatest wins on the way back. This is the coding of
CTGAN's and TabDDPM's papers (arXiv:1907.00503, arXiv:2209.15421) without their mixture models.

"Cells" is an array (N, columns) of float64: numbers as they are (nan: missing) and categories as codes.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genloom.core import Column
from genloom.runs.files import write_text

KNOTS = 513
"""Quantiles that are kept of a column of numbers."""
MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))
"""Words, in lower case, for a cell that holds nothing."""


def quantiles(values: np.ndarray) -> tuple[float, ...]:
    """The knots of a column of numbers (N,), of those that are not missing; of none: one zero."""
    known = values[~np.isnan(values)]
    if not len(known):
        return (0.0,)
    knots = np.quantile(known, np.linspace(0, 1, min(KNOTS, max(2, len(known)))))
    return tuple(float(f"{k:.9g}") for k in knots)


def places(values: np.ndarray, knots: Sequence[float]) -> np.ndarray:
    """2q - 1 of each value: its place among the training rows; outside them -1 or 1."""
    at = np.asarray(knots)
    if at[0] == at[-1]:
        return np.zeros_like(values)
    shares = np.linspace(0, 1, len(at))
    distinct, first, counts = np.unique(at, return_index=True, return_counts=True)
    middle = (shares[first] + shares[first + counts - 1]) / 2  # ties share the middle of their stretch
    middle[0], middle[-1] = (middle[0] if counts[0] > 1 else 0.0), (middle[-1] if counts[-1] > 1 else 1.0)
    return 2 * np.interp(values, distinct, middle) - 1


def values_at(numbers: np.ndarray, knots: Sequence[float]) -> np.ndarray:
    """The inverse of `places`: the value of which a share q = (number + 1) / 2 of the training rows lies below."""
    at = np.asarray(knots)
    return np.interp((numbers + 1) / 2, np.linspace(0, 1, len(at)), at) if len(at) > 1 else np.full_like(numbers, at[0])


def encode(cells: np.ndarray, columns: Sequence[Column]) -> Tensor:
    """Cells (N, columns) as rows of numbers (N, D), float32."""
    parts: list[np.ndarray] = []
    for i, column in enumerate(columns):
        cell = cells[:, i]
        if column.kind == "category":
            parts.append(np.where(cell[:, None] == np.arange(len(column.values)), 1.0, -1.0))
            continue
        empty = np.isnan(cell)
        parts.append(np.where(empty, 0.0, places(np.where(empty, 0.0, cell), column.knots))[:, None])
        if column.missing:
            parts.append(np.where(empty, 1.0, -1.0)[:, None])
    return torch.from_numpy(np.concatenate(parts, 1).astype(np.float32))


def decode(rows: Tensor, columns: Sequence[Column]) -> np.ndarray:
    """The cells (N, columns) that rows of numbers (N, D) stand for."""
    numbers = rows.detach().float().cpu().numpy().astype(np.float64)
    cells, start = np.empty((len(numbers), len(columns))), 0
    for i, column in enumerate(columns):
        part = numbers[:, start : start + column.width]
        start += column.width
        if column.kind == "category":
            cells[:, i] = part.argmax(1)
            continue
        value = values_at(part[:, 0], column.knots)
        value = np.round(value) if column.whole else value
        cells[:, i] = np.where(part[:, 1] > 0, np.nan, value) if column.missing else value
    return cells


def words(cells: np.ndarray, columns: Sequence[Column]) -> Iterator[list[str]]:
    """The cells row by row as a file holds them; a missing number is an empty word."""
    for row in cells.tolist():
        yield [_word(cell, column) for cell, column in zip(row, columns, strict=True)]


def _word(cell: float, column: Column) -> str:
    if column.kind == "category":
        return column.values[int(cell)]
    if math.isnan(cell):
        return ""
    return str(int(cell)) if column.whole else f"{cell:.6g}"


def to_csv(rows: Tensor, columns: Sequence[Column], delimiter: str = ",") -> str:
    """Rows of numbers (N, D) as the text of a CSV file with a header."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    writer.writerows(words(decode(rows, columns), columns))
    return out.getvalue()


def save(rows: Tensor, path: Path, columns: Sequence[Column]) -> Path:
    """Writes rows (N, D) as .csv or .tsv, whole or not at all."""
    write_text(path, to_csv(rows, columns, "\t" if path.suffix.lower() == ".tsv" else ","))
    return path
