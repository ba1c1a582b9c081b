"""A data set: three splits that hand out batches by index, and what there is to say about them.

Images are stored as uint8 (N, C, H, W), texts as one long row of token ids, both in memory or mapped from a file;
`batch` brings them into the model's range.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field, Step
from genloom.data.captions import NAME as CAPTION
from genloom.data.captions import drop_parts, encode, hold_out, told_captions
from genloom.data.left_out import leave_out
from genloom.data.options import DataOptions
from genloom.modalities.text import Tokenizer

_SCALE, _ONE = np.float32(2 / 255), np.float32(1)


@dataclass(frozen=True)
class Card:
    """Where a data set comes from. items: what it holds, in words; modality: "image" or "text"; consent: of the people
    shown or named; collected: when and how; contact: whom to ask. The last three are empty where nobody said."""

    title: str
    source: str
    licence: str
    citation: str
    items: str
    modality: str = "image"
    consent: str = ""
    collected: str = ""
    contact: str = ""


class Split(ABC):
    """One part of a data set. len(split): valid indices; items: distinct items in one epoch.

    For images the two are the same. An item of text is a window of L tokens that may start at any of the
    len(split) offsets; `items` counts those that do not overlap.
    """

    spec: DataSpec

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


class ImageSplit(Split):
    """Rows of a uint8 tensor (N, C, H, W) that several splits share; it may lie in a memory-mapped file.

    columns: further condition fields by name, each (N, ...): whole numbers are ids, floats stay as they are.
    Batches are gathered by numpy: a training step's few dozen rows are copied before threads would have started. In
    memory an item takes 4 bytes for its row, and as many as its class needs.
    """

    def __init__(
        self,
        spec: DataSpec,
        images: Tensor,
        rows: Tensor,
        labels: Tensor | None,
        columns: Mapping[str, Tensor] = MappingProxyType({}),
    ) -> None:
        self.spec = spec
        self._columns = {name: column.numpy() for name, column in columns.items()}
        n, c, h, w = images.shape
        stored = images if images.is_contiguous() else images.permute(0, 2, 3, 1)
        self._shape, self._stored_HWC = (c, h, w), not images.is_contiguous()
        self._flat = stored.reshape(n, -1).numpy()
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

    def _gather(self, index: Tensor) -> tuple[np.ndarray, Batch]:
        at = index.numpy()
        batch = {} if self._labels is None else {"label": torch.from_numpy(self._labels[at].astype(np.int64))}
        for name, column in self._columns.items():
            values = column[self._rows[at]]
            batch[name] = torch.from_numpy(values if values.dtype.kind == "f" else values.astype(np.int64))
        return self._flat[self._rows[at]], batch

    def _images(self, flat: np.ndarray) -> Tensor:
        """(B, bytes or floats of an image in stored order) -> (B, C, H, W)."""
        c, h, w = self._shape
        x = torch.from_numpy(flat)
        return x.view(-1, h, w, c).permute(0, 3, 1, 2) if self._stored_HWC else x.view(-1, c, h, w)

    def raw(self, index: Tensor) -> Batch:
        flat, batch = self._gather(index)
        return {"image": self._images(flat), **batch}

    def batch(self, index: Tensor) -> Batch:
        flat, batch = self._gather(index)
        floats = flat.astype(np.float32)  # the arithmetic of `to_float`, bit for bit
        floats *= _SCALE
        floats -= _ONE
        return {"image": self._images(floats), **batch}

    @property
    def labels(self) -> Tensor | None:
        """The class of every item, int64 (len,), or None."""
        return None if self._labels is None else torch.from_numpy(self._labels.astype(np.int64))

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256(repr(self._shape).encode())
        for column in (self._rows, self._labels) if self._labels is not None else (self._rows,):
            for start in range(0, len(column), _BLOCK):
                digest.update(column[start : start + _BLOCK].astype(np.int64).data)
        for name, values in sorted(self._columns.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(values[self._rows]).data)
        return digest.digest()


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


def narrow(ids: Tensor, size: int) -> Tensor:
    """Token ids in the smallest integer type that holds a vocabulary of `size`."""
    return ids.to(torch.uint8 if size <= 256 else torch.int16 if size <= 32768 else torch.int32)


@dataclass(frozen=True)
class Dataset:
    """Everything a run needs to know of its data.

    spec: the fields of an item; tokenizer: for texts; card: where it comes from; digest: sha256 of the content and of
    the options that shaped it, in hex; notes: every choice that was made on the way here, and why.
    """

    name: str
    options: DataOptions
    spec: DataSpec
    train: Split
    validation: Split
    test: Split
    tokenizer: Tokenizer | None
    card: Card
    digest: str
    notes: tuple[str, ...] = field(default=())


# What decides how items look or which are drawn; where they come from (`source`) and `strict` do not. `split` and
# `fold` are in the digest by what they do: the rows of each split are part of it.
_SHAPING = ("size", "resize", "channels", "labels", "flip", "context", "limit", "validation")


# The same of options that came later: they count where they are not what they were when there was no such choice.
_SHAPING_SINCE = ("direction", "target", "seconds", "rate", "audio", "frames")


def digest_of(options: DataOptions, content: bytes, splits: tuple[Split, ...], tokenizer: Tokenizer | None) -> str:
    """sha256 in hex of the content hash, the splits, and the options that shape items."""
    digest = hashlib.sha256(content)
    for split in splits:
        digest.update(split.fingerprint())
    shaping = {name: getattr(options, name) for name in _SHAPING}
    shaping |= {n: v for n in _SHAPING_SINCE if (v := getattr(options, n)) != getattr(DataOptions, n)}
    digest.update(json.dumps(shaping, sort_keys=True).encode())
    if tokenizer is not None:
        digest.update(json.dumps(tokenizer.to_json(), sort_keys=True).encode())
    return digest.hexdigest()


def image_dataset(
    name: str,
    options: DataOptions,
    images: Tensor,
    labels: Tensor | None,
    classes: tuple[str, ...],
    rows: tuple[Tensor, Tensor, Tensor],
    card: Card,
    notes: list[str],
    content: bytes | None = None,
    captions: Sequence[str] | None = None,
) -> Dataset:
    """The data set over `images` uint8 (N, C, H, W) with rows for train, validation and test.

    content: a hash of the pixels, where somebody has it already; captions: of every image, "" where it has none; None
    takes the names of the classes, where there are any. Raises BadData where options ask for captions in vain.
    """
    spec: dict[str, Field] = {"image": Field("image", tuple(images.shape[1:]))}
    rows = leave_out(rows, labels, classes, options, notes)
    told = told_captions(name, options, captions, labels, classes, notes)
    if labels is not None and options.labels:
        spec["label"] = Field("class", (), range=(0, len(classes) - 1), classes=classes, role="condition")
    else:
        labels = None
    train, validation, test = rows if told is None else hold_out(rows, told, options, notes)
    if options.validation == "test":
        train, validation = torch.cat([train, validation]), test
        notes.append("trains on the validation items too; the test items take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training items are used")
    found = None if told is None else encode(told, train, notes)
    columns = {}
    if found is not None:
        spec[CAPTION], columns[CAPTION] = found.field, narrow(found.ids, found.tokenizer.size)
    tokenizer = None if found is None else found.tokenizer
    splits = tuple(ImageSplit(spec, images, r, labels, columns) for r in (train, validation, test))
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=tokenizer,
        card=card,
        digest=digest_of(options, content or hash_images(images), splits, tokenizer),
        notes=tuple(notes),
    )


_BLOCK = 1 << 20
_WHOLE = 1 << 30


def hash_images(images: Tensor) -> bytes:
    """sha256 of the pixels; of 1,024 evenly spaced blocks of 1 MiB and the shape where there is more than 1 GiB."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    if images.is_contiguous() or images.permute(0, 2, 3, 1).is_contiguous():
        flat = (images if images.is_contiguous() else images.permute(0, 2, 3, 1)).reshape(-1)
        size = flat.numel()
        starts = range(0, size, _BLOCK) if size <= _WHOLE else np.linspace(0, size - _BLOCK, 1024).astype(int).tolist()
        for start in starts:
            digest.update(flat[start : start + _BLOCK].numpy().data)
    else:
        for part in images.split(4096):
            digest.update(part.contiguous().numpy().data)
    return digest.digest()


def augment(batch: Batch, spec: DataSpec, options: DataOptions, step: Step) -> Batch:
    """With `options.flip`, every training image is mirrored left to right or not, by a draw from `step`; with
    `options.drop_parts`, captions lose some of their parts.

    The tensors given are left alone; other fields pass through.
    """
    if not (options.flip or options.drop_parts):
        return batch
    out = dict(batch)
    for name, field_ in spec.items():
        if options.drop_parts and field_.modality == "text" and field_.role == "condition" and name in out:
            out[name] = drop_parts(out[name], options.drop_parts, step)
        if options.flip and field_.modality == "image" and name in out:
            x_BCHW = out[name]
            mirror_B111 = (step.rand(len(x_BCHW)) < 0.5).to(x_BCHW.device)[:, None, None, None]
            out[name] = torch.where(mirror_B111, x_BCHW.flip(-1), x_BCHW)
    return out
