"""Items as the pictures by which they are compared: sounds as log-mel spectrograms, clips as a few of their frames.

Every figure of images can then be taken of them, by the same functions and under a name that says of what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.modalities import modality
from genloom.modalities.image import to_float


class Whole(Protocol):
    """A split as it is stored: `genloom.data`'s Split."""

    @property
    def spec(self) -> DataSpec: ...

    @property
    def items(self) -> int: ...

    def __len__(self) -> int: ...

    def raw(self, index: Tensor) -> Batch: ...

    def batch(self, index: Tensor) -> Batch: ...


def the_item_of(spec: DataSpec) -> tuple[str, Field]:
    """The name and field of the generated item."""
    return next((k, f) for k, f in spec.items() if f.role == "item")


def as_pictures(items: Tensor, field: Field) -> Tensor:
    """Items of the field, as stored or in its range, as the bytes (n, C, H, W) they are compared by."""
    return modality(field.modality).codec.to_measured(items, field)


class Pictured:
    """A split whose items are pictures of another's; conditions pass through."""

    def __init__(self, split: Whole, measured: Field) -> None:
        self._split = split
        self._key, self._field = the_item_of(split.spec)
        self.spec: DataSpec = {k: measured if k == self._key else f for k, f in split.spec.items()}

    def __len__(self) -> int:
        return len(self._split)

    @property
    def items(self) -> int:
        return self._split.items

    def raw(self, index: Tensor) -> Batch:
        batch = dict(self._split.raw(index))
        return {**batch, self._key: as_pictures(batch[self._key], self._field)}

    def batch(self, index: Tensor) -> Batch:
        batch = dict(self.raw(index))
        return {**batch, self._key: to_float(batch[self._key])}


def seen(field: Field) -> bool:
    """Whether items of the field are compared as pictures."""
    kind = modality(field.modality)
    return not kind.written and kind.codec.measured(field) is not None


def pictured(split: Any) -> Any:
    """The split with its items as pictures: itself where they are, or where no picture can stand for them."""
    _, field = the_item_of(split.spec)
    kind = modality(field.modality)
    measured = None if kind.written else kind.codec.measured(field)
    return split if measured is None or measured == field else Pictured(split, measured)


@dataclass(frozen=True)
class PicturedSet:
    """A data set whose items are pictures of another's, under a name that says of what."""

    name: str
    digest: str
    spec: DataSpec
    train: Pictured
    test: Pictured
    tokenizer: Any = None


def pictured_set(dataset: Any) -> Any:
    """The data set with its items as pictures: itself where they are, or where no picture can stand for them."""
    train, test = pictured(dataset.train), pictured(dataset.test)
    if train is dataset.train:
        return dataset
    _, field = the_item_of(dataset.spec)
    name = f"{dataset.name}-{modality(field.modality).codec.seen_as}"
    return PicturedSet(name, dataset.digest, train.spec, train, test)
