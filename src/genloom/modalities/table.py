"""Tables: rows of mixed columns, to and from rows of numbers near [-1, 1].

A number becomes its normal score: the number that has as much of a normal distribution of deviation 1/3, cut at -1 and
1, below it as the column has training rows (ties: the middle of theirs). So any distribution turns into a bell that
ends softly, and back by the quantiles. A category becomes one number for
each of its values, 1 for the one it is and -1 for the others; the greatest wins on the way back. This is the coding of
CTGAN's and TabDDPM's papers (arXiv:1907.00503, arXiv:2209.15421) without their mixture models.

"Cells" is an array (N, columns) of float64: numbers as they are (nan: missing) and categories as codes.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.special import ndtr, ndtri
from torch import Tensor

from genloom.core import Column, Field
from genloom.errors import BadValue
from genloom.modalities.codec import Clip, Codec, Place, wrong_ending
from genloom.modalities.image import npy, png, write_bytes

KNOTS = 513
"""Quantiles that are kept of a column of numbers."""
DEVIATIONS = 3.0
"""Standard deviations of the normal distribution between 0 and 1."""
TAIL = float(ndtr(-DEVIATIONS))
MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))
"""Words, in lower case, for a cell that holds nothing."""


def quantiles(values: np.ndarray) -> tuple[float, ...]:
    """The knots of a column of numbers (N,), of those that are not missing; of none: one zero."""
    known = values[~np.isnan(values)]
    if not len(known):
        return (0.0,)
    knots = np.quantile(known, np.linspace(0, 1, min(KNOTS, max(2, len(known)))))
    return tuple(float(f"{k:.9g}") for k in knots)


def scores(values: np.ndarray, knots: Sequence[float]) -> np.ndarray:
    """The normal score of each value among the training rows; outside them -1 or 1."""
    at = np.asarray(knots)
    if at[0] == at[-1]:
        return np.zeros_like(values)
    shares = np.linspace(0, 1, len(at))
    distinct, first, counts = np.unique(at, return_index=True, return_counts=True)
    middle = (shares[first] + shares[first + counts - 1]) / 2  # ties share the middle of their stretch
    middle[0], middle[-1] = (middle[0] if counts[0] > 1 else 0.0), (middle[-1] if counts[-1] > 1 else 1.0)
    share = np.interp(values, distinct, middle)
    return np.clip(ndtri(TAIL + (1 - 2 * TAIL) * share) / DEVIATIONS, -1, 1)


def values_at(numbers: np.ndarray, knots: Sequence[float]) -> np.ndarray:
    """The inverse of `scores`: the value below which as many training rows lie."""
    at = np.asarray(knots)
    if len(at) == 1:
        return np.full_like(numbers, at[0])
    share = (ndtr(DEVIATIONS * np.clip(numbers, -1, 1)) - TAIL) / (1 - 2 * TAIL)
    return np.interp(share, np.linspace(0, 1, len(at)), at)


def encode(cells: np.ndarray, columns: Sequence[Column]) -> Tensor:
    """Cells (N, columns) as rows of numbers (N, D), float32."""
    parts: list[np.ndarray] = []
    for i, column in enumerate(columns):
        cell = cells[:, i]
        if column.kind == "category":
            parts.append(np.where(cell[:, None] == np.arange(len(column.values)), 1.0, -1.0))
            continue
        empty = np.isnan(cell)
        parts.append(np.where(empty, 0.0, scores(np.where(empty, 0.0, cell), column.knots))[:, None])
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


def to_csv(cells: np.ndarray, columns: Sequence[Column], delimiter: str = ",") -> str:
    """Cells (N, columns) as the text of a CSV file with a header."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow([c.name for c in columns])
    writer.writerows(words(cells, columns))
    return out.getvalue()


def cells_of(items: Tensor, columns: Sequence[Column]) -> np.ndarray:
    """The cells of rows as they are stored (float64, (N, columns)) or as models make them (float32, (N, D))."""
    if items.dtype == torch.float64 and items.shape[1] == len(columns):
        return items.numpy()
    return decode(items, columns)


PANEL, GAP, BARS = (200, 130), 12, 16


def _bars(cells: np.ndarray, column: Column) -> tuple[np.ndarray, list[str]]:
    """The heights of a column's bars, and what stands below the first and last: the commonest values, or ranges from
    the least to the greatest training number."""
    if column.kind == "category":
        counts = np.bincount(cells.astype(int), minlength=len(column.values))
        order = np.argsort(-counts, kind="stable")[:BARS]
        return counts[order], [column.values[i] for i in order[:1]]
    low, high = column.knots[0], column.knots[-1]
    known = cells[~np.isnan(cells)]
    counts, _ = np.histogram(known, bins=BARS, range=(low, high if high > low else low + 1))
    return counts, [f"{low:.4g}", f"{high:.4g}"]


def panels(cells: np.ndarray, columns: Sequence[Column], across: int | None = None) -> Image.Image:
    """A bar chart of each column, `across` of them beside each other."""
    across = min(len(columns), across or 4)
    wide, high = PANEL[0] + GAP, PANEL[1] + GAP
    sheet = Image.new("RGB", (across * wide + GAP, -(-len(columns) // across) * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, column in enumerate(columns):
        x, y = GAP + i % across * wide, GAP + i // across * high
        heights, ends = _bars(cells[:, i], column)
        draw.text((x, y), _short(column.name, 30), fill="black", font=font)
        scale, step = (PANEL[1] - 36) / max(1, heights.max(initial=0)), PANEL[0] / BARS
        for j, count in enumerate(heights.tolist()):
            left, top = x + j * step, y + PANEL[1] - 16 - count * scale
            draw.rectangle((left, top, left + step - 2, y + PANEL[1] - 16), fill=(70, 110, 160))
        draw.text((x, y + PANEL[1] - 14), _short(ends[0], 24), fill="grey", font=font)
        if len(ends) > 1:
            draw.text((x + PANEL[0], y + PANEL[1] - 14), _short(ends[1], 12), fill="grey", font=font, anchor="ra")
    return sheet


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "\N{HORIZONTAL ELLIPSIS}"


class TableCodec(Codec):
    """Rows for people: CSV files, and a bar chart of every column."""

    def shaped(self, field: Field) -> str:
        return "numbers of a row"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("a row of a table has no picture: `genloom sample` writes rows as .csv")

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        if not len(items):
            raise BadValue("there are no rows to show: ask for at least 1")
        return panels(cells_of(items, field.columns), field.columns, columns)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        """The cells, float64 (n, columns): numbers as they are (nan: missing), categories as codes."""
        return cells_of(items, field.columns)

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        target = Path(path)
        cells, ending = cells_of(items, field.columns), target.suffix.lower()
        if ending in (".csv", ".tsv"):
            content = to_csv(cells, field.columns, "\t" if ending == ".tsv" else ",").encode()
        elif ending == ".npy":
            content = npy(cells)
        elif ending == ".png":
            content = png(self.picture(items, field, columns), metadata)
        else:
            raise wrong_ending(os.fspath(path), "rows", (".csv", ".tsv", ".npy", ".png"))
        write_bytes(target, content)
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        return ()

    def measured(self, field: Field) -> Field | None:
        return None

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("rows of a table are measured by their columns, not by pictures")


CODEC = TableCodec()
