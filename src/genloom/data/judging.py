"""Items that a finished model is to judge: its own held-out ones, or others brought into the form it was trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.dataset import Dataset
from genloom.data.folder import ENDINGS as PICTURES
from genloom.data.folder import files_below
from genloom.data.loading import load
from genloom.data.options import DataOptions
from genloom.data.parts import ImageSplit, Split
from genloom.data.signals import SignalSplit
from genloom.data.tables import ENDINGS as TABLES
from genloom.data.tables import TableSplit, rows_as
from genloom.errors import BadData
from genloom.modalities.table import encode


@dataclass(frozen=True)
class Judged:
    """Items to be judged.

    key: the field that holds them; names: what each is called in its source, a number or a file; classes: the class of
    each, a number of `kinds`, None where nobody says; take: the items at an index, {key: items} in the model's range.
    """

    key: str
    field: Field
    names: Sequence[str]
    take: Callable[[Tensor], Batch]
    classes: np.ndarray | None = None
    kinds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def held_out(dataset: Dataset, key: str) -> Judged:
    """The test items of a data set."""
    return _of_splits(dataset, [dataset.test], key)


def others(options: DataOptions, spec: DataSpec, key: str) -> Judged:
    """All items of `options.source`, as those of `spec` are. Raises BadData where they are of another kind or shape."""
    field, path = spec[key], Path(options.source).expanduser()
    if field.modality == "table" and path.suffix.lower() in TABLES and path.exists():
        cells, words = rows_as(path, field.columns, options.target)
        rows = encode(cells, field.columns)
        names = [str(i + 1) for i in range(len(cells))]
        kinds, classes = (None, None) if words is None else np.unique(words, return_inverse=True)
        told = () if kinds is None else tuple(kinds.tolist())
        return Judged(key, field, names, lambda index: {key: rows[index]}, classes, told)
    dataset = load(replace(options, labels=True, limit=None, without="", hold_out="", split=None, fold=None))
    theirs = next((f for f in dataset.spec.values() if f.role == "item"), None)
    if theirs is None or theirs.modality != field.modality:
        got = "nothing" if theirs is None else f"{theirs.modality}s"
        raise BadData(f"the model knows {field.modality}s, {options.source} holds {got}: give data of its kind")
    if (theirs.shape, theirs.columns) != (field.shape, field.columns):
        wanted, got = ("x".join(map(str, f.shape)) for f in (field, theirs))
        cure = {"image": f"--data.size {wanted.partition('x')[2]}", "table": "the .csv file itself"}
        raise BadData(
            f"the model knows {field.modality}s of {wanted}, {options.source} holds {got}: bring them to that shape "
            f"({cure.get(field.modality, 'as its data were')})"
        )
    return _of_splits(dataset, [dataset.train, dataset.validation, dataset.test], key)


def _of_splits(dataset: Dataset, splits: list[Split], key: str) -> Judged:
    """Every stored item once, in the order of its source."""
    numbers = np.concatenate([_numbers(split) for split in splits])
    numbers, first = np.unique(numbers, return_index=True)  # parts may share items where there are few
    part = np.repeat(np.arange(len(splits)), [len(split) for split in splits])[first]
    row = np.concatenate([np.arange(len(split)) for split in splits])[first]

    def take(index: Tensor) -> Batch:
        at = index.numpy()
        out = torch.empty(len(at), *dataset.spec[key].shape)
        for p in np.unique(part[at]):
            mine = part[at] == p
            out[torch.from_numpy(mine)] = splits[p].batch(torch.from_numpy(row[at][mine]))[key]
        return {key: out}

    labels, label = [_labels(split) for split in splits], dataset.spec.get("label")
    known = [found.numpy() for found in labels if found is not None]
    told = label is not None and len(known) == len(splits)
    folder = Path(dataset.options.source).expanduser()
    files = files_below(folder, PICTURES) if isinstance(splits[0], ImageSplit) and folder.is_dir() else None
    names = [str(files[n].relative_to(folder)) if files else str(n + 1) for n in numbers.tolist()]
    classes, kinds = (np.concatenate(known)[first], label.classes) if told and label else (None, ())
    return Judged(key, dataset.spec[key], names, take, classes, kinds)


def _numbers(split: Split) -> np.ndarray:
    if not isinstance(split, ImageSplit | SignalSplit | TableSplit):
        raise BadData("texts are not judged item by item: give pictures, rows, sounds or clips")
    return split.numbers


def _labels(split: Split) -> Tensor | None:
    return split.labels if isinstance(split, ImageSplit | SignalSplit | TableSplit) else None
