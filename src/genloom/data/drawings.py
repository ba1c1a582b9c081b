"""Drawings out of files: lines of JSON as Quick, Draw! has them, and arrays of movements.

.ndjson    {"drawing": [[[x ...], [y ...]] ...]} a line: for each line of the pen its places
.npz       "strokes" (all movements, 3) and "lengths" (drawings,), one after another; or sketch-rnn's lists "train",
           "valid" and "test", which are pickled and are read by a reader that can make arrays and nothing else
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.arrayfile import read_file
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.fetch.unpickled import read_ragged
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import KEY_BYTES, Rows, by_content
from genloom.errors import BadData
from genloom.modalities.strokes import LIFTED, movements, padded

Drawing = np.ndarray
"""Movements (m, 3), as `genloom.modalities.strokes` has them, without an end."""
LEAST = 10
_FLAT = frozenset(("strokes", "lengths"))


class StrokeSplit(Split):
    """Some of the drawings, of which each fits into L rows with its end."""

    def __init__(self, spec: DataSpec, drawings: Sequence[Drawing]) -> None:
        self.spec, self.drawings = spec, drawings
        self.length = spec["strokes"].shape[0]

    def __len__(self) -> int:
        return len(self.drawings)

    @property
    def items(self) -> int:
        return len(self.drawings)

    def raw(self, index: Tensor) -> Batch:
        return {"strokes": padded([self.drawings[i] for i in index.tolist()], self.length)}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256(str(self.length).encode())
        for drawing in self.drawings:
            digest.update(np.ascontiguousarray(drawing, "<f4").data)
        return digest.digest()


def read_drawings(path: Path, notes: list[str]) -> dict[str, list[Drawing]]:
    """The drawings of a file, by the part they belong to, or all under "". Raises BadData where it holds none."""
    if path.suffix.lower() == ".ndjson":
        return {"": _from_lines(path, notes)}
    if _names(path) >= _FLAT:
        return {"": _from_arrays(path)}
    found = read_ragged(path)
    parts = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
    named = {parts[name]: drawings for name, drawings in found.items() if name in parts}
    if not named:
        have = ", ".join(map(repr, found)) or "nothing"
        raise BadData(f"{path} holds {have}: expected 'strokes' and 'lengths', or lists 'train', 'valid', 'test'")
    return named if "train" in named else {"": next(iter(named.values()))}


def is_drawings(path: Path) -> bool:
    """Whether a file holds movements of a pen rather than pictures."""
    if path.suffix.lower() != ".npz":
        return path.suffix.lower() == ".ndjson"
    names = _names(path)
    return names >= _FLAT or names >= {"train", "valid", "test"}


def _names(path: Path) -> set[str]:
    """What the arrays of an .npz file are called; none where it is broken, which whoever reads it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except Exception:  # zip has a dozen ways to say that a file is broken
        return set()


def _from_arrays(path: Path) -> list[Drawing]:
    held = read_file(path, set(_FLAT), sys.maxsize)
    flat, long = held["strokes"].whole, held["lengths"].whole
    assert flat is not None
    assert long is not None
    numbers = flat.dtype.kind in "iuf" and long.dtype.kind in "iu"
    shaped = flat.ndim == 2 and flat.shape[1] == 3 and long.ndim == 1
    if not numbers or not shaped or ((long < 0) | (long > len(flat))).any() or long.sum() != len(flat):
        raise BadData(f"{path}: expected 'strokes' (n, 3) and whole numbers 'lengths' that add up to n, got "
                      f"{flat.shape} of {flat.dtype} and {long.shape} of {long.dtype}"
                      f"{f' that add up to {long.sum()}' if numbers else ''}: write both anew")  # fmt: skip
    return np.split(flat, np.cumsum(long)[:-1])


def _from_lines(path: Path, notes: list[str]) -> list[Drawing]:
    drawings: list[Drawing] = []
    bad: list[int] = []
    with open(path, "rb") as file:
        for n, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                lines = json.loads(line)["drawing"]
                drawings.append(movements([np.array([one[0], one[1]], np.float64).T for one in lines if len(one[0])]))
            except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError):
                bad.append(n)
    if not drawings:
        raise BadData(f'{path} holds no drawings: expected {{"drawing": [[[x ...], [y ...]] ...]}} on each line')
    if bad:
        notes.append(f"{len(bad)} of {len(bad) + len(drawings)} lines are no drawings and are left out: lines "
                     f"{', '.join(map(str, bad[:5]))}{', ...' if len(bad) > 5 else ''}")  # fmt: skip
    return drawings


def load_drawings(path: Path, options: DataOptions, card: Card | None = None) -> Dataset:
    """The data set of a file of drawings. Raises BadData where too few of them can be used.

    Offsets are divided by the standard deviation of those of the training drawings. A drawing has at most
    options.context rows, its end included; longer ones are left out and counted.
    """
    notes: list[str] = []
    parts = read_drawings(path, notes)
    good = {name: _usable(drawings, options.context) for name, drawings in parts.items()}
    every, kept = (sum(map(len, of.values())) for of in (parts, good))
    if kept < every:
        notes.append(f"{every - kept:,} of {every:,} drawings are left out: empty, not finite, or of "
                     f"{options.context} movements and more (--data.context)")  # fmt: skip
    if "" in good:
        mixed = good.pop("")
        keys = [hashlib.blake2b(d.tobytes(), digest_size=KEY_BYTES).digest() for d in mixed]
        rows: Rows = by_content(keys, np.zeros(len(keys), np.int8), notes)
        good = {n: [mixed[i] for i in r.tolist()] for n, r in zip(("train", "validation", "test"), rows, strict=True)}
    train = good["train"]
    others = [good.get(name) or train[-max(1, len(train) // 10) :] for name in ("validation", "test")]
    if options.validation == "test":
        train = [*train, *others[0]]
        others[0] = others[1]
        notes.append("trains on the validation drawings too; the test drawings take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training drawings are used")
    if len(train) < LEAST:
        raise BadData(f"{path} holds {len(train)} usable training drawings: expected at least {LEAST}")
    scale = float(np.concatenate(train)[:, :2].std()) or 1.0
    whole = all((d[:, :2] == np.round(d[:, :2])).all() for d in train[:1000])
    length = 1 + max(len(d) for part in (train, *others) for d in part)
    spec = {"strokes": Field("strokes", (length, 3), range=(-np.inf, np.inf), grain=1 / scale if whole else 0.0)}
    splits = tuple(StrokeSplit(spec, [_scaled(d, scale) for d in part]) for part in (train, *others))
    known = card or read_card(path) or Card(path.name, str(path), "the owner's", "", "", "strokes")
    items = known.items or f"{sum(map(len, splits)):,} drawings of up to {length - 1} movements"
    return Dataset(
        name=path.stem,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=replace(known, items=items, modality="strokes"),
        digest=digest_of(options, b"strokes", splits, None),
        notes=tuple(notes),
    )


def _usable(drawings: Sequence[Drawing], most: int) -> list[Drawing]:
    floats = [np.asarray(d, np.float64) for d in drawings]
    return [d for d in floats if d.ndim == 2 and d.shape[1] == 3 and 0 < len(d) < most and np.isfinite(d).all()]


def _scaled(drawing: Drawing, scale: float) -> Drawing:
    out = drawing.astype(np.float32)
    out[:, :2] /= scale
    out[:, 2] = np.where(out[:, 2] >= LIFTED / 2, LIFTED, 0.0)
    return out
