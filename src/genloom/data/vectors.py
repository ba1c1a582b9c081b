"""Points as data: rows of a few numbers, with the kind of each where it is known."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import Rows
from genloom.errors import BadData


class VectorSplit(Split):
    """Rows of points float32 (N, D) that several splits share; `labels` holds the kind of each where there is one."""

    def __init__(self, spec: DataSpec, points: np.ndarray, rows: Tensor, labels: np.ndarray | None) -> None:
        self.spec = spec
        self._points = points[rows.numpy()]
        self._labels = None if labels is None else labels[rows.numpy()].astype(np.int64)

    def __len__(self) -> int:
        return len(self._points)

    @property
    def items(self) -> int:
        return len(self._points)

    @property
    def labels(self) -> Tensor | None:
        """The kind of every point, int64 (len,), or None."""
        return None if self._labels is None else torch.from_numpy(self._labels)

    def raw(self, index: Tensor) -> Batch:
        at = index.numpy()
        told = {} if self._labels is None else {"label": torch.from_numpy(self._labels[at])}
        return {"vector": torch.from_numpy(self._points[at]), **told}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256(np.ascontiguousarray(self._points).data)
        if self._labels is not None:
            digest.update(self._labels.data)
        return digest.digest()


def vector_dataset(
    name: str,
    options: DataOptions,
    points: np.ndarray,
    bounds: tuple[float, float],
    labels: np.ndarray,
    classes: tuple[str, ...],
    rows: Rows,
    card: Card,
) -> Dataset:
    """The data set over `points` (N, D) within `bounds`, with rows for train, validation and test.

    Raises BadData for options that are for pictures."""
    if options.size is not None or options.channels != "auto" or options.flip or options.captions:
        raise BadData(f"{name} holds points: leave out --data.size, --data.channels, --data.flip and --data.captions")
    notes: list[str] = []
    stored = np.ascontiguousarray(points, np.float32)
    spec = {"vector": Field("vector", stored.shape[1:], range=bounds)}
    if options.labels:
        spec["label"] = Field("class", (), range=(0, len(classes) - 1), classes=classes, role="condition")
    train, validation, test = rows
    if options.validation == "test":
        train, validation = torch.cat([train, validation]), test
        notes.append("trains on the validation items too; the test items take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training items are used")
    known = labels if options.labels else None
    splits = tuple(VectorSplit(spec, stored, r, known) for r in (train, validation, test))
    content = hashlib.sha256(stored.data).digest()
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=replace(card, modality="vector"),
        digest=digest_of(options, content, splits, None),
        notes=tuple(notes),
    )
