"""Data sets of sounds and clips: rows of stored numbers that need not fit into memory, and classes to be told."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.left_out import leave_out
from genloom.data.listing import Listing
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import KEY, Rows, by_content
from genloom.data.splitting import rows_of
from genloom.errors import BadData
from genloom.modalities.image import to_float
from genloom.modalities.sound import from_int16

PROBED = 64  # files, evenly spread, by which the shape of all is chosen


@dataclass(frozen=True)
class Told:
    """A class of every stored item: its number (N,), and the names of the numbers."""

    index: np.ndarray
    classes: tuple[str, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> Told:
        """The sorted different words as classes."""
        classes = sorted(set(words))
        number = {word: i for i, word in enumerate(classes)}
        return cls(np.fromiter((number[w] for w in words), np.int64, len(words)), tuple(classes))


class SignalSplit(Split):
    """Rows of a stored array (N, *shape), uint8 or int16, that several splits share; it may be a mapped file."""

    def __init__(self, spec: DataSpec, stored: np.ndarray, rows: Tensor, told: Mapping[str, Told]) -> None:
        self.spec = spec
        self._key, field = next((k, f) for k, f in spec.items() if f.role == "item")
        self._shape, self._stored, self._rows = field.shape, stored, rows.numpy()
        self._told = {name: one.index[self._rows] for name, one in told.items()}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def items(self) -> int:
        return len(self._rows)

    @property
    def numbers(self) -> np.ndarray:
        """Which of the stored items each is, (len,)."""
        return self._rows

    def raw(self, index: Tensor) -> Batch:
        """Items as stored: sounds int16 (B, 1, T) or spectrograms uint8 (B, 1, M, F), clips uint8 (B, C, T, H, W)."""
        at = index.numpy()
        items = torch.from_numpy(self._stored[self._rows[at]]).view(len(at), *self._shape)
        return {self._key: items, **{k: torch.from_numpy(v[at].astype(np.int64)) for k, v in self._told.items()}}

    def batch(self, index: Tensor) -> Batch:
        batch = dict(self.raw(index))
        items = batch[self._key]
        batch[self._key] = from_int16(items) if items.dtype == torch.int16 else to_float(items)
        return batch

    @property
    def labels(self) -> Tensor | None:
        """The class of every item, int64 (len,), or None."""
        return torch.from_numpy(self._told["label"].astype(np.int64)) if "label" in self._told else None

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256(repr(self._shape).encode())
        for column in (self._rows, *self._told.values()):
            digest.update(np.ascontiguousarray(column, np.int64).data)
        return digest.digest()


def signal_dataset(
    name: str,
    options: DataOptions,
    field: Field,
    stored: np.ndarray,
    told: Mapping[str, Told],
    rows: Rows,
    card: Card,
    notes: list[str],
    content: bytes,
) -> Dataset:
    """The data set over `stored` (N, ...), with rows for train, validation and test. content: a hash of the items."""
    if options.captions:
        raise BadData(f"{name} holds no captions: leave out --data.captions, or choose a recipe without text")
    label = told.get("label")
    classes = torch.from_numpy(np.asarray(label.index, np.int64)) if label else None
    rows = leave_out(rows, classes, label.classes if label else (), options, notes)
    told = told if options.labels else {}
    spec = {field.modality: field}
    for key, one in told.items():
        spec[key] = Field("class", (), range=(0, len(one.classes) - 1), classes=one.classes, role="condition")
    train, validation, test = rows
    if options.validation == "test":
        train, validation = torch.cat([train, validation]), test
        notes.append("trains on the validation items too; the test items take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training items are used")
    splits = tuple(SignalSplit(spec, stored, r, told) for r in (train, validation, test))
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=replace(card, modality=field.modality),
        digest=digest_of(options, content, splits, None),
        notes=tuple(notes),
    )


def own_rows(
    folder: Path,
    names: list[str],
    good: np.ndarray,
    keys: np.ndarray,
    label: Told | None,
    options: DataOptions,
    notes: list[str],
) -> Rows:
    """Rows of stored items by a recorded rule, or else by their content.

    good: which items are used, names: theirs; keys uint8 (N, 12) and label: of all that are stored."""
    file = None if options.split is None else Path(options.split).expanduser()
    rows = rows_of(folder, names, file, options.fold, notes)
    if rows is None:
        strata = np.zeros(len(good), np.int64) if label is None else label.index[good]
        rows = by_content(keys.view(KEY)[:, 0][good], strata, notes)
    first, second, third = (torch.from_numpy(good[part.numpy()]) for part in rows)
    return first, second, third


def own_card(path: Path, items: str, modality: str) -> Card:
    """The card that lies with a person's data, or else one that says what is known."""
    card = read_card(path) or Card(path.name, str(path), "the owner's", "", items, modality)
    return replace(card, items=card.items or items)


def report_bad(listing: Listing, bad: np.ndarray, what: str, why: str, options: DataOptions, notes: list[str]) -> None:
    """Names files that are left out. Raises BadData where nothing is left of them, or where options.strict."""
    if not len(bad):
        return
    names = ", ".join(listing.names[i] for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
    said = f"{len(bad)} of {len(listing)} {what} {why}: {names}"
    if len(bad) == len(listing):
        raise BadData(f"{listing.folder}: {said}; give others")
    if options.strict:
        raise BadData(f"{listing.folder}: {said}; mend or remove them, or leave out --data.strict")
    notes.append(f"{said}; skipped")
