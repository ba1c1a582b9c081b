"""The parts of a data set: splits that hand out items by index, of one collection or of several."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.forms import Pictures

_BLOCK = 1 << 20


class Split(ABC):
    """One part of a data set. len(split): valid indices; items: distinct items in one epoch.

    For images the two are the same. An item of text is a window of L tokens that may start at any of the
    len(split) offsets; `items` counts those that do not overlap.
    """

    spec: DataSpec
    paired: ClassVar[bool] = True
    """Whether all fields at an index belong to one item."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def items(self) -> int:
        """Distinct items in one epoch."""

    @abstractmethod
    def raw(self, index: Tensor) -> Batch:
        """The stored items at index (B,) int64: images uint8 (B, C, H, W), texts int64 (B, L), labels int64 (B,)."""

    @abstractmethod
    def batch(self, index: Tensor) -> Batch:
        """The same items in the model's range: images float32 (B, C, H, W) in [-1, 1]. Fresh memory each time."""

    @abstractmethod
    def fingerprint(self) -> bytes:
        """A hash of the content."""

    def only(self, name: str) -> Split:
        """The items of one of several item fields, each by itself. Raises KeyError where there are not several."""
        raise KeyError(name)


class ImageSplit(Split):
    """Items of one or several picture fields, and what is known of each.

    images: a uint8 tensor (N, C, H, W), or the pictures of each field by name; rows: this split's items; columns:
    further condition fields by name, each (N, ...): whole numbers are ids, floats stay as they are. In memory an item
    takes 4 bytes for its row, and as many as its class needs.
    """

    def __init__(
        self,
        spec: DataSpec,
        images: Tensor | Mapping[str, Pictures],
        rows: Tensor,
        labels: Tensor | None,
        columns: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self._columns = {name: column.numpy() for name, column in columns.items()}
        self._pictures = {"image": Pictures(images)} if isinstance(images, Tensor) else dict(images)
        n = len(next(iter(self._pictures.values())))
        self._rows = rows.numpy().astype(np.int32 if n < 1 << 31 else np.int64, copy=False)
        self._labels = None if labels is None else _narrowed(labels.numpy())[self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def items(self) -> int:
        return len(self._rows)

    @property
    def numbers(self) -> np.ndarray:
        """Which of the stored items each is, (len,)."""
        return self._rows

    def _known(self, at: np.ndarray) -> Batch:
        batch = {} if self._labels is None else {"label": torch.from_numpy(self._labels[at].astype(np.int64))}
        for name, column in self._columns.items():
            values = column[self._rows[at]]
            batch[name] = torch.from_numpy(values if values.dtype.kind == "f" else values.astype(np.int64))
        return batch

    def raw(self, index: Tensor) -> Batch:
        at = index.numpy()
        return {**{name: p.raw(self._rows[at]) for name, p in self._pictures.items()}, **self._known(at)}

    def batch(self, index: Tensor) -> Batch:
        at = index.numpy()
        return {**{name: p.batch(self._rows[at]) for name, p in self._pictures.items()}, **self._known(at)}

    def only(self, name: str) -> ImageSplit:
        part = copy(self)
        part.spec = alone(self.spec, name)
        part._pictures = {name: self._pictures[name]}
        return part

    @property
    def labels(self) -> Tensor | None:
        """The class of every item, int64 (len,), or None."""
        return None if self._labels is None else torch.from_numpy(self._labels.astype(np.int64))

    def fingerprint(self) -> bytes:
        shapes = [p.shape for p in self._pictures.values()]
        digest = hashlib.sha256(repr(shapes[0] if len(shapes) == 1 else shapes).encode())
        for column in (self._rows, self._labels) if self._labels is not None else (self._rows,):
            for start in range(0, len(column), _BLOCK):
                digest.update(column[start : start + _BLOCK].astype(np.int64).data)
        for name, values in sorted(self._columns.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values[self._rows]).data)
        return digest.digest()


class Independent(Split):
    """Collections of different items, one for each domain: an item is one of each.

    parts: a split of each domain, by its name. crossed: any one beside any other, as in training, so that nothing can
    be learnt from who stands beside whom; else the first of each, the second of each, to the end of the shortest.
    """

    paired = False

    def __init__(self, spec: DataSpec, parts: Mapping[str, Split], crossed: bool) -> None:
        self.spec, self.parts, self.crossed = spec, parts, crossed

    def __len__(self) -> int:
        return (math.prod if self.crossed else min)(map(len, self.parts.values()))

    @property
    def items(self) -> int:
        return (max if self.crossed else min)(part.items for part in self.parts.values())

    def _together(self, index: Tensor, read: Callable[[Split, Tensor], Batch]) -> Batch:
        out: dict[str, Tensor] = {}
        for domain, part in self.parts.items():
            found = read(part, index % len(part))
            out |= {k: v for k, v in found.items() if k in self.spec and self.spec[k].domain == domain}
            index = index // len(part) if self.crossed else index
        return out

    def raw(self, index: Tensor) -> Batch:
        return self._together(index, lambda part, at: part.raw(at))

    def batch(self, index: Tensor) -> Batch:
        return self._together(index, lambda part, at: part.batch(at))

    def only(self, name: str) -> Split:
        return self.parts[name]

    def fingerprint(self) -> bytes:
        return hashlib.sha256(b"".join(part.fingerprint() for part in self.parts.values())).digest()


def alone(spec: DataSpec, name: str) -> dict[str, Field]:
    """The specification of one item field by itself, with what is no picture: labels and captions."""
    kept = {k: f for k, f in spec.items() if k == name or f.modality != spec[name].modality}
    return {k: replace(f, domain="", role="item" if k == name else f.role) for k, f in kept.items()}


def _narrowed(labels: np.ndarray) -> np.ndarray:
    """Class numbers in the smallest type that holds them."""
    return labels.astype(np.min_scalar_type(int(labels.max(initial=0))), copy=False)


class TextSplit(Split):
    """Windows of L = spec["text"].shape[0] tokens over a row of ids (T,) of the smallest integer type that fits.

    known: the sha256 of the ids, where somebody has it already.
    """

    def __init__(self, spec: DataSpec, ids: Tensor, known: bytes | None = None) -> None:
        self.spec, self.ids, self._known = spec, ids, known
        self.length = spec["text"].shape[0]
        # A view of all windows: a batch is gathered without building a matrix of indices.
        self._windows = np.lib.stride_tricks.sliding_window_view(ids.numpy(), self.length)

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def items(self) -> int:
        return len(self.ids) // self.length

    def raw(self, index: Tensor) -> Batch:
        return {"text": torch.from_numpy(self._windows[index.numpy()].astype(np.int64))}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def fingerprint(self) -> bytes:
        return self._known or hashlib.sha256(np.ascontiguousarray(self.ids.numpy()).data).digest()
