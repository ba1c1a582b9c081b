"""A person's .csv or .tsv file as a table: each row an item, each column a number or a category.

What a column is follows from its cells: all numbers, with more than two different ones, make a number; words a
category. Columns of free text or of names (almost every row another word), and those that are the same in every row,
are left out and named in a note.
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, Column, DataSpec, Field
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.left_out import leave_out
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import by_content
from genloom.data.splitting import rows_of, split_path
from genloom.errors import BadData, unknown
from genloom.modalities.table import MISSING, encode, quantiles

ENDINGS = frozenset((".csv", ".tsv"))
MOST_VALUES = 200
"""Different words up to which a column is a category."""
NO_WORD = "(missing)"


def rows_as(path: Path, columns: Sequence[Column], target: str | None) -> tuple[np.ndarray, list[str] | None]:
    """The rows of another file in the columns that a model was trained with: cells (N, columns), numbers as they are
    and categories as codes, -1 for words that training never held; and the words of the column `target`, if there.

    Raises BadData where a column is missing or holds a word in the place of a number.
    """
    sheet = read_sheet(path, [])
    by_name = dict(zip(sheet.names, zip(*sheet.rows, strict=True), strict=True))
    if missing := [c.name for c in columns if c.name not in by_name]:
        raise BadData(f"{path} has no column {missing[0]!r}, which the model was trained with: give its columns")
    cells = np.empty((len(sheet.rows), len(columns)))
    for i, column in enumerate(columns):
        words = by_name[column.name]
        if column.kind == "category":
            codes = {word: float(code) for code, word in enumerate(column.values)}
            cells[:, i] = [codes.get(NO_WORD if w.lower() in MISSING else w, -1.0) for w in words]
            continue
        numbers = [math.nan if w.lower() in MISSING else _number(w) for w in words]
        if None in numbers:
            wrong = words[numbers.index(None)]
            raise BadData(f"{path}: column {column.name!r} held numbers in training, and here {wrong!r}: mend the file")
        cells[:, i] = numbers
    return cells, None if target not in by_name else list(by_name[str(target)])


class TableSplit(Split):
    """Rows of cells (N, columns) that several splits share; `label` holds the class of each where there is one."""

    def __init__(self, spec: DataSpec, cells: np.ndarray, rows: Tensor, labels: np.ndarray | None) -> None:
        self.spec, self.cells = spec, cells[rows.numpy()]
        self.columns, self.numbers = spec["table"].columns, rows.numpy()  # which row of the file each is
        self._labels = None if labels is None else labels[rows.numpy()]

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def items(self) -> int:
        return len(self.cells)

    @property
    def labels(self) -> Tensor | None:
        """The class of every row, int64 (len,), or None."""
        return None if self._labels is None else torch.from_numpy(self._labels)

    def _told(self, index: np.ndarray) -> Batch:
        return {} if self._labels is None else {"label": torch.from_numpy(self._labels[index])}

    def raw(self, index: Tensor) -> Batch:
        """Cells (B, columns), float64: numbers as they are (nan: missing), categories as codes."""
        return {"table": torch.from_numpy(self.cells[index.numpy()]), **self._told(index.numpy())}

    def batch(self, index: Tensor) -> Batch:
        return {"table": encode(self.cells[index.numpy()], self.columns), **self._told(index.numpy())}

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256(np.ascontiguousarray(self.cells).data)
        if self._labels is not None:
            digest.update(self._labels.data)
        return digest.digest()


@dataclass(frozen=True)
class Sheet:
    """A file as words: a header and rows of as many cells."""

    names: tuple[str, ...]
    rows: list[list[str]]
    delimiter: str


def read_sheet(path: Path, notes: list[str]) -> Sheet:
    """The header and rows of a CSV file. Lines with another number of cells are left out and counted.

    The delimiter is that of comma, semicolon, tab and bar which cuts the first lines into equal numbers of cells.
    Raises BadData for files that are no table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = [line for line in (file.readline() for _ in range(50)) if line.strip()]
            file.seek(0)
            delimiter = _delimiter(head, path)
            lines = [row for row in csv.reader(file, delimiter=delimiter, skipinitialspace=True) if row]
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8") from None
    except csv.Error as error:
        raise BadData(f"{path} is no CSV file ({error}): give one with a header and a row an item") from None
    names = tuple(name.strip() for name in lines[0])
    if twice := [n for n, count in Counter(names).items() if count > 1]:
        raise BadData(f"{path} has two columns named {twice[0]!r}: give each a name of its own")
    if all(_number(name) is not None for name in names):
        raise BadData(f"{path} begins with numbers, not with a header: put the columns' names into the first line")
    rows = [[cell.strip() for cell in row] for row in lines[1:] if len(row) == len(names)]
    if left := len(lines) - 1 - len(rows):
        notes.append(f"{left:,} of {len(lines) - 1:,} lines have not {len(names)} cells and are left out")
    if len(rows) < 10:
        raise BadData(f"{path} holds {len(rows)} usable rows: a table needs at least 10")
    return Sheet(names, rows, delimiter)


def _delimiter(lines: Sequence[str], path: Path) -> str:
    if len(lines) < 2:
        raise BadData(f"{path} has {len(lines)} lines: a table needs a header and rows")
    found = []
    for delimiter in ",;\t|":
        counts = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        cells, share = max(counts.items(), key=lambda pair: pair[1])
        if cells > 1:
            found.append((share, cells, delimiter))
    if not found:
        return ","
    return max(found)[2]


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def column_of(name: str, cells: Sequence[str], train: np.ndarray, notes: list[str]) -> tuple[Column, np.ndarray] | None:
    """The column that these words make, with its values (N,) float64; None for one that is left out.

    train: rows whose numbers decide the quantiles.
    """
    empty = [cell.lower() in MISSING for cell in cells]
    numbers = [None if e else _number(cell) for cell, e in zip(cells, empty, strict=True)]
    known = {n for n in numbers if n is not None}
    if all(e or n is not None for e, n in zip(empty, numbers, strict=True)) and len(known) > 2:
        values = np.array([math.nan if n is None else n for n in numbers])
        whole = bool(np.all(values[~np.isnan(values)] % 1 == 0)) and max(map(abs, known)) < 2**53
        return Column(name, "number", knots=quantiles(values[train]), whole=whole, missing=any(empty)), values
    words = [NO_WORD if e else cell for cell, e in zip(cells, empty, strict=True)]
    counts = Counter(words)
    if len(counts) == 1:
        notes.append(f"column {name!r} is the same in every row and is left out")
        return None
    if len(counts) > MOST_VALUES or len(counts) > 0.5 * len(words):
        notes.append(f"column {name!r} has {len(counts):,} different words: free text or names, left out")
        return None
    order = sorted(counts)
    codes = {word: code for code, word in enumerate(order)}
    return Column(name, "category", values=tuple(order)), np.array([float(codes[w]) for w in words])


def load_table(path: Path, options: DataOptions, card: Card | None = None) -> Dataset:
    """The data set of a .csv or .tsv file. options.target: a category that becomes the condition "label" instead of
    being generated. Raises BadData for files that are no table, NotFound for a target that is no column."""
    notes: list[str] = []
    sheet = read_sheet(path, notes)
    if options.target is not None and options.target not in sheet.names:
        raise unknown("column", options.target, sheet.names)
    by_name = dict(zip(sheet.names, zip(*sheet.rows, strict=True), strict=True))
    # Rows of few columns repeat by nature; each falls by itself, or frequent ones would miss from the held-out rows.
    seen: Counter[str] = Counter()
    keys = []
    for row in sheet.rows:
        text = "\x1f".join(row)
        keys.append(hashlib.blake2b(f"{text}\x1f{seen[text]}".encode(), digest_size=12).digest())
        seen[text] += 1
    file = None if options.split is None else Path(options.split).expanduser()
    numbers = [str(i) for i in range(len(keys))] if (file or split_path(path)).exists() else []
    rows = rows_of(path, numbers, file, options.fold, notes)
    if rows is None:
        rows = by_content(keys, np.zeros(len(keys), np.int8), notes)
    told = None if options.target is None else column_of(options.target, by_name[options.target], rows[0].numpy(), [])
    classes, of_each = ((), None) if told is None else (told[0].values, torch.from_numpy(told[1]).nan_to_num().long())
    train, validation, test = leave_out(rows, of_each, classes, options, notes)
    if options.validation == "test":
        train, validation = torch.cat([train, validation]), test
        notes.append("trains on the validation rows too; the test rows take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training rows are used")
    made = {name: column_of(name, cells, train.numpy(), notes) for name, cells in by_name.items()}
    kept = {name: found for name, found in made.items() if found is not None}
    label, labels = None, None
    if options.target is not None and options.labels:
        column, values = kept.pop(options.target, (None, None))
        if column is None or values is None or column.kind != "category":
            raise BadData(f"--data.target {options.target}: expected a column of a few different words; choose another")
        label = Field("class", (), range=(0, len(column.values) - 1), classes=column.values, role="condition")
        labels = values.astype(np.int64)
    if not kept:
        raise BadData(f"{path} holds no column that could be learnt: {'; '.join(notes)}")
    columns = tuple(column for column, _ in kept.values())
    cells = np.stack([values for _, values in kept.values()], 1)
    spec = {"table": Field("table", (sum(c.width for c in columns),), columns=columns)}
    if label is not None:
        spec["label"] = label
    splits = tuple(TableSplit(spec, cells, r, labels) for r in (train, validation, test))
    content = hashlib.sha256(b"".join(keys)).digest()
    card = card or read_card(path) or Card(path.name, str(path), "the owner's", "", "", "table")
    card = replace(card, items=card.items or f"{len(cells):,} rows of {len(columns)} columns", modality="table")
    return Dataset(
        name=path.stem,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=card,
        digest=digest_of(options, content, splits, None),
        notes=tuple(notes),
    )
