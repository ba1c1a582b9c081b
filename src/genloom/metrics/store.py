"""Where extractors and their features are kept: $GENLOOM_CACHE, or else the user's cache folder.

    extractors/KEY.safetensors                  the network; KEY derives from the data set's digest and the recipe
    extractors/KEY-HASH8-PART.safetensors       features of a part of the data set in the network of that hash
    features/DATA-DIGEST-NAME-HASH8-PART.safetensors    the same in any other network: as many items as were asked for

Files are written beside and renamed, so a reader never sees half a file. A damaged file is made anew. Where nothing can
be written all works, only slower.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from genloom.core import DataSpec, derive_seed, the_item
from genloom.metrics.base import SplitLike, spread
from genloom.metrics.extractor import VERSION, OwnExtractor, from_tensors, to_metadata, train_extractor
from genloom.metrics.features import Extractor, embed

MOST = 60_000
"""Items of a split whose features are computed: as many as the largest of the usual sets of small pictures have."""
STEP = 256
"""Items of which features are computed at once in networks that may be slow."""
LONG = 20.0
"""Seconds of computing from which on a line says beforehand how long it will take."""


class DatasetLike(Protocol):
    """A data set, as metrics see it."""

    @property
    def name(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def spec(self) -> DataSpec: ...
    @property
    def train(self) -> SplitLike: ...
    @property
    def test(self) -> SplitLike: ...


def cache_folder() -> Path:
    """$GENLOOM_CACHE, or else genloom in $XDG_CACHE_HOME, or else in ~/.cache."""
    if own := os.environ.get("GENLOOM_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "genloom"


def extractor_for(
    dataset: DatasetLike,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    cached: bool = True,
    progress: Callable[[float], None] | None = None,
) -> OwnExtractor:
    """The data set's feature extractor: from the cache, or else trained on its training split now."""
    path = _path(dataset, seed)
    if cached:
        with contextlib.suppress(OSError, SafetensorError, ValueError, KeyError, RuntimeError):
            tensors, metadata = _read(path)
            return from_tensors(tensors, metadata).to(device)
    net = train_extractor(dataset.train, name=slug(dataset.name), seed=seed, device=device, progress=progress)
    net.facts = {**net.facts, "data": dataset.name, "digest": dataset.digest}
    if cached:
        _write(path, net.state_dict(), to_metadata(net))
    return net


def split_features(
    net: Extractor,
    dataset: DatasetLike,
    part: str,
    *,
    seed: int = 0,
    cached: bool = True,
    wanted: int | None = None,
) -> Tensor:
    """Features (n, D) of the items `rows_of(net, split, wanted)` of the part "train" or "test", in that order."""
    split: SplitLike = getattr(dataset, part)
    rows = rows_of(net, split, wanted)
    if not isinstance(net, OwnExtractor):
        return _foreign(net, dataset, part, rows, cached)
    path = _path(dataset, seed).with_name(f"{_path(dataset, seed).stem}-{net.identity[-8:]}-{part}.safetensors")
    if cached:
        with contextlib.suppress(OSError, SafetensorError, ValueError, KeyError):
            found = _read(path)[0]["features"]
            if len(found) == len(rows):
                return found
    key, _ = the_item(split.spec, "image", "the feature extractor")
    features = embed(net, (split.batch(index)[key] for index in rows.split(512)))
    if cached:
        _write(path, {"features": features}, {})
    return features


def rows_of(net: Extractor, split: SplitLike, wanted: int | None = None) -> Tensor:
    """Which items of a split stand for all. In the data set's own extractor, which takes seconds: `featured(split)`.
    In others, which may take minutes: the first `wanted` of one fixed random order, so that more of them include fewer.
    """
    if isinstance(net, OwnExtractor):
        return featured(split)
    most = min(len(split), MOST if wanted is None else wanted)
    return spread(len(split), MOST)[torch.randperm(min(len(split), MOST), generator=torch.Generator().manual_seed(0))][
        :most
    ]


def _foreign(net: Extractor, dataset: DatasetLike, part: str, rows: Tensor, cached: bool) -> Tensor:
    """Features of these rows, the first of which may be in the cache; what is new is written as it comes."""
    split: SplitLike = getattr(dataset, part)
    key, field = the_item(split.spec, "image", "the feature extractor")
    shape = "x".join(map(str, field.shape))
    name = f"{slug(dataset.name)}-{dataset.digest[:16]}-{shape}-{net.identity.replace('@', '-')}-{part}.safetensors"
    path, held = cache_folder() / "features" / name, torch.empty(0, 0)
    if cached:
        with contextlib.suppress(OSError, SafetensorError, ValueError, KeyError):
            held = _read(path)[0]["features"]
    parts, count, written = [held] if len(held) else [], len(held), len(held)
    began = time.perf_counter()
    for i, index in enumerate(rows[count:].split(STEP)):
        parts.append(embed(net, [split.batch(index)[key]]))
        count += len(index)
        left = (time.perf_counter() - began) * (len(rows) - count) / (len(index) or 1)
        if i == 0 and left > LONG:
            often = "this once" if cached else "every time"
            more = f"{len(rows) - count:,} more {part} items in {net.identity}"
            sys.stderr.write(f"features of {more}: about {left:.0f} s, {often}\n")
        if cached and (count == len(rows) or count > 1.5 * max(written, STEP)):
            _write(path, {"features": torch.cat(parts)}, {})
            written = count
    return torch.cat(parts)[: len(rows)] if parts else torch.empty(0, net.dimensions)


def featured(split: SplitLike) -> Tensor:
    """Which items features are computed of: all up to 60,000, of more a fixed 60,000 that are spread over the split."""
    return spread(len(split), MOST)


def slug(name: str) -> str:
    """A name that is safe in files, tables and commands."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:40] or "data"


def _path(dataset: DatasetLike, seed: int) -> Path:
    shape = the_item(dataset.spec, "image", "the feature extractor")[1].shape
    key = derive_seed(dataset.digest, shape, sorted(dataset.spec), VERSION, seed)
    return cache_folder() / "extractors" / f"{slug(dataset.name)}-{key:016x}.safetensors"


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with safe_open(str(path), framework="pt") as file:
        return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Written beside and renamed; a disk that is full or closed to us is no reason to fail."""
    with contextlib.suppress(OSError, SafetensorError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)
            os.replace(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)
