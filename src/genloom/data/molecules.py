"""SMILES into rows of token ids that are mapped from disk, with a property of each where that is told to the model.

Files are read twice, line by line: for the tokens there are, then into a store of one byte a token. Strings that are no
SMILES, and molecules that are too long, are skipped and counted; where rdkit is installed it says what is a molecule,
for files of the user's own.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, Column, DataSpec, Field
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.listing import Listing, of_files
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import KEY, by_content, content_key
from genloom.data.store import Draft, Source, Store, obtain
from genloom.errors import BadData, unknown
from genloom.modalities import chemistry, smiles
from genloom.modalities.table import encode, quantiles

ENDINGS = frozenset((".smi",))
LONGEST = 128  # tokens of a molecule, its end included
_KINDS = 255  # tokens that a byte can tell apart, beside the end
_BLOCK = 8000  # lines
_SHOWN = 3
_TOLD_HELD_OUT = 10_000  # held-out molecules of which a property is computed

Lines = Mapping[str, Sequence[Path]]
"""The files of each part."""


class MoleculeSplit(Split):
    """Rows of ids (N, L), uint8, perhaps mapped; told: a number of each, scaled (N,), nan where there is none."""

    def __init__(self, spec: DataSpec, ids: np.ndarray, told: np.ndarray | None = None) -> None:
        self.spec, self.ids, self._told = spec, ids, told
        self._name = next((k for k, f in spec.items() if f.role == "condition"), "")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def items(self) -> int:
        return len(self.ids)

    def raw(self, index: Tensor) -> Batch:
        at = index.numpy()
        batch = {"molecule": torch.from_numpy(self.ids[at].astype(np.int64))}
        return batch if self._told is None else {**batch, self._name: torch.from_numpy(self._told[at])[:, None]}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def smiles(self, index: Tensor) -> list[str]:
        """The molecules at these places."""
        return smiles.strings(self.ids[index.numpy()], self.spec["molecule"])

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256()
        for start in range(0, len(self.ids), 1 << 16):
            digest.update(np.ascontiguousarray(self.ids[start : start + (1 << 16)]).data)
        if self._told is not None:
            digest.update(np.ascontiguousarray(self._told).data)
        return digest.digest()


def _strings(path: Path) -> Iterator[str]:
    """The first word of every line but those of a header."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            words = line.split(",")[0].split()
            if words and words[0].lower() not in ("smiles", "smile"):
                yield words[0]


def _made(draft: Draft, files: Lines, check: bool, every: int) -> Mapping[str, Any]:
    """Fills a column of ids for each part; every `every`th row of "train" goes to "validation"."""
    kinds: Counter[str] = Counter()
    longest, total = 0, 0
    for paths in files.values():
        for one in (s for path in paths for s in _strings(path)):
            tokens = smiles.split(one)
            total += 1
            if tokens is not None and len(tokens) < LONGEST:
                kinds.update(tokens)
                longest = max(longest, len(tokens))
    if not kinds:
        raise BadData(f"{draft.source.path} holds no SMILES: give a line for each molecule")
    tokens = sorted(t for t, _ in kinds.most_common(_KINDS))
    numbers = {t: i for i, t in enumerate(tokens, 1)}
    length = -(-(longest + 1) // 8) * 8
    parts = (*files, "validation") if every else tuple(files)
    draft.begin({}, dict.fromkeys(parts, (np.uint8, (length,))), total // len(parts), resume=False)
    bad: list[str] = []
    wrong = 0
    for part, paths in files.items():
        rows: list[list[int]] = []
        for one in (s for path in paths for s in _strings(path)):
            found = smiles.split(one)
            ids = None if found is None else smiles.encode(found, numbers, length)
            if ids is None or (check and chemistry.molecule(one) is None):
                wrong += 1
                bad += [one[:60]] if len(bad) < _SHOWN else []
                continue
            rows.append(ids)
            if len(rows) == _BLOCK:
                _keep(draft, part, rows, every)
                rows = []
        _keep(draft, part, rows, every)
    return {"tokens": tokens, "length": length, "total": total, "wrong": wrong, "bad": bad, "checked": check}


def _keep(draft: Draft, part: str, rows: list[list[int]], every: int) -> None:
    block = np.array(rows, np.uint8).reshape(len(rows), -1)
    if not len(block):
        return
    if every and part == "train":
        held = np.arange(len(block)) % every == every - 1
        draft.append(train=block[~held], validation=block[held])
    else:
        draft.append(**{part: block})


def molecule_dataset(
    name: str, path: Path, options: DataOptions, files: Lines, fingerprint: str, check: bool, card: Card,
    notes: list[str], every: int = 0,
) -> Dataset:  # fmt: skip
    """The data set over files of SMILES: parts "train" and "test", or "all", which is split by content.

    every: so many-th training molecules validate, where there is no part for that; check: ask rdkit whether each is
    a molecule. Raises BadData where nothing is left, or where options.strict and something is wrong.
    """
    source = Source("molecules", path, fingerprint, {"parts": sorted(files), "checked": check, "every": every})
    store = obtain(source, lambda draft: _made(draft, files, check, every), notes)
    about = store.about
    if about["wrong"]:
        said = f"{about['wrong']:,} of {about['total']:,} lines are no molecules or too long: {', '.join(about['bad'])}"
        if options.strict:
            raise BadData(f"{path}: {said}; mend or remove them, or leave out --data.strict")
        notes.append(f"{said}; skipped")
    parts = _parts(store, notes)
    if min(map(len, parts)) < 1:
        raise BadData(f"{path} holds {about['total']:,} usable lines, too few for three parts: give more molecules")
    train, validation, test = parts
    if options.validation == "test":
        train, validation = np.concatenate([train, validation]), test
        notes.append("trains on the validation molecules too; the test molecules take their place")
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training molecules are used")
    field = smiles.field_of(about["length"], about["tokens"])
    spec: dict[str, Field] = {"molecule": field}
    told: list[np.ndarray | None] = [None, None, None]
    if options.property is not None:
        validation, test = validation[:_TOLD_HELD_OUT], test[:_TOLD_HELD_OUT]
        values = [_property(options.property, part, field.classes, path) for part in (train, validation, test)]
        column = Column(options.property, "number", knots=quantiles(values[0]))
        spec[options.property] = smiles.property_field(column)
        told = [encode(v[:, None], (column,))[:, 0].numpy() for v in values]
        notes.append(f"{chemistry.NAMES[options.property]} is told; of held-out molecules {len(test):,} are used")
    if options.randomise:
        chemistry.check()
        notes.append("training molecules are written in another order of their atoms each time")
    splits = tuple(MoleculeSplit(spec, p, t) for p, t in zip((train, validation, test), told, strict=True))
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=replace(card, modality="molecule"),
        digest=digest_of(options, b"molecules", splits, None),
        notes=tuple(notes),
    )


def _parts(store: Store, notes: list[str]) -> tuple[np.ndarray, ...]:
    """Rows that train, validate and test: as the files have them, or by their content."""
    if "all" not in store.columns:
        return tuple(store.columns[part] for part in ("train", "validation", "test"))
    rows = store.columns["all"]
    keys = np.stack([np.frombuffer(content_key(np.ascontiguousarray(r)), np.uint8) for r in rows])
    found = by_content(keys.view(KEY)[:, 0], np.zeros(len(rows), np.int64), notes)
    return tuple(rows[part.numpy()] for part in found)


def _property(name: str, ids: np.ndarray, classes: Sequence[str], path: Path) -> np.ndarray:
    """A property of every row (N,), kept in the cache. Raises NotFound for an unknown one."""
    if name not in chemistry.PROPERTIES:
        raise unknown("property", name, chemistry.PROPERTIES)
    digest = hashlib.sha256(np.ascontiguousarray(ids).data).hexdigest()[:32]

    def make(draft: Draft) -> Mapping[str, Any]:
        draft.begin({}, {"values": (np.float64, ())}, len(ids), resume=False)
        for start in range(0, len(ids), _BLOCK):
            rows = [smiles.decode(row, classes) for row in ids[start : start + _BLOCK].tolist()]
            draft.append(values=chemistry.properties(rows, name))
        return {}

    return obtain(Source(f"property-{name}", path, digest), make, []).columns["values"]


def load_molecules(path: Path, options: DataOptions) -> Dataset:
    """The data set of a .smi file: a SMILES a line, perhaps with a name behind it."""
    notes: list[str] = []
    check = chemistry.there()
    if not check:
        notes.append("rdkit is not installed, so strings are taken for molecules that may be none: genloom[molecules]")
    listing: Listing = of_files([path])
    card = read_card(path) or Card(path.name, str(path), "the owner's", "", "", "molecule")
    return molecule_dataset(path.stem, path, options, {"all": [path]}, listing.fingerprint, check, card, notes)
