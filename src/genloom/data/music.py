"""Music into windows of token ids: pieces one after another in a row, parted by ends, on a grid of voices or as events.

A person's folder of scores is read once; what cannot be read, and what holds no note, is skipped by name and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.dataset import Card, Dataset, digest_of
from genloom.data.listing import Listing, scan
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.signals import own_card, own_rows, report_bad
from genloom.data.splits import KEY_BYTES, content_key
from genloom.data.store import Draft, Source, obtain
from genloom.errors import BadData, BadValue
from genloom.modalities.notes import END, Ids, event_ids, field_of, grid_ids, to_grid
from genloom.modalities.scores import READS, read_score

ENDINGS = frozenset(READS)
MOST_VOICES = 16


class MusicSplit(Split):
    """Windows of L ids over a row (T,), uint8. Of music on a grid they begin with a beat, elsewhere anywhere."""

    def __init__(self, spec: DataSpec, ids: Tensor) -> None:
        self.spec, self.ids = spec, ids
        field = spec["music"]
        self.length, self.stride = field.shape[0], field.cycle
        self._windows = np.lib.stride_tricks.sliding_window_view(ids.numpy(), self.length)[:: self.stride]

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def items(self) -> int:
        return len(self.ids) // self.length

    def raw(self, index: Tensor) -> Batch:
        return {"music": torch.from_numpy(self._windows[index.numpy()].astype(np.int64))}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def pieces(self) -> list[Ids]:
        """The ids of every piece, without what parts them."""
        ids = self.ids.numpy().astype(np.int64)
        over = np.flatnonzero(ids == END)
        starts, stops = np.concatenate([[0], over + 1]), np.concatenate([over, [len(ids)]])
        return [ids[a:b] for a, b in zip(starts, stops, strict=True) if b > a]

    def fingerprint(self) -> bytes:
        return hashlib.sha256(np.ascontiguousarray(self.ids.numpy()).data).digest()


def music_dataset(
    name: str,
    options: DataOptions,
    parts: Sequence[Sequence[Ids]],
    voices: int,
    beats: float,
    card: Card,
    notes: list[str],
) -> Dataset:
    """The data set over the pieces of train, validation and test. voices: of a grid, 0 for events; beats: quarter notes
    a minute. Raises BadData where there is too little."""
    if options.context < 2:
        raise BadValue(f"a context needs at least 2 tokens, got {options.context}: raise --data.context")
    if options.captions:
        raise BadData(f"{name} holds no captions: leave out --data.captions")
    train, validation, test = parts
    if options.validation == "test":
        train, validation = [*train, *validation], test
        notes.append("trains on the validation pieces too; the test pieces take their place")
    pitches = np.concatenate([np.zeros(0, np.int64), *(p[(p > 0) & (p < END)] for p in train)])
    if not len(pitches):
        raise BadData(f"{name} holds no training piece with notes: give more scores")
    field = field_of(options.context, voices, int(pitches.min()), int(pitches.max()), beats)
    if options.limit is not None:
        train = train[: options.limit]
        notes.append(f"only the first {len(train):,} training pieces are used")
    rows = [_row(part, field) for part in (train, validation, test)]
    if len(rows[0]) < options.context:
        raise BadData(
            f"{name} holds {len(rows[0]):,} training tokens, fewer than a context of {options.context}: give more "
            "music or lower --data.context"
        )
    for i, part in enumerate(("validation", "test"), 1):
        if len(rows[i]) < options.context:
            rows[i] = rows[0]
            notes.append(f"there are too few pieces for {part} of its own: reuses the training pieces")
    spec = {"music": field}
    splits = tuple(MusicSplit(spec, row) for row in rows)
    if options.transpose:
        notes.append(f"training windows are transposed by up to {options.transpose} semitones")
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=None,
        card=replace(card, modality="music"),
        digest=digest_of(options, b"music", splits, None),
        notes=tuple(notes),
    )


def _row(pieces: Sequence[Ids], field: Field) -> Tensor:
    """Pieces one after another; a beat of ends (of events one) stands before each and behind the last."""
    gap = np.full(field.cycle, END, np.int64)
    parts = [part for p in pieces for part in (gap, _whole_beats(p, field.cycle))]
    return torch.from_numpy(np.concatenate([*parts, gap]).astype(np.uint8))


def _whole_beats(piece: Ids, cycle: int) -> Ids:
    """A piece whose last beat is filled up with rests."""
    return np.pad(piece, (0, -len(piece) % cycle))


def load_music(folder: Path, options: DataOptions, listing: Listing | None = None) -> Dataset:
    """The data set of all scores in `folder`. Raises BadData where fewer than two can be used."""
    notes: list[str] = []
    listing = scan(folder, ENDINGS) if listing is None else listing
    if not len(listing):
        raise BadData(f"{folder} holds no scores: give a folder of {', '.join(sorted(ENDINGS))} files")
    voices = options.voices or 0
    if not 0 <= voices <= MOST_VOICES:
        raise BadValue(f"--data.voices: expected 0 (events) to {MOST_VOICES} voices, got {voices}")
    source = Source("scores", listing.folder, listing.fingerprint, {"voices": voices})

    def make(draft: Draft) -> Mapping[str, Any]:
        columns = {"ids": (np.uint8, ()), "lengths": (np.int64, ()), "files": (np.int64, ()),
                   "keys": (np.uint8, (KEY_BYTES,))}  # fmt: skip
        draft.begin({"voices": voices}, columns, len(listing), resume=False)
        why: list[str] = []
        for i in range(len(listing)):
            try:
                pieces = read_score(listing.path(i))
            except BadData as error:
                why.append(str(error))
                continue
            for piece in pieces:
                ids = (grid_ids(to_grid(piece, voices)) if voices else event_ids(piece)).astype(np.uint8)
                key = np.frombuffer(content_key(np.ascontiguousarray(ids)), np.uint8)
                draft.append(ids=ids, lengths=np.array([len(ids)]), files=np.array([i]), keys=key[None])
        return {"why": why[:5]}

    store = obtain(source, make, notes)
    files, lengths = store.columns["files"], store.columns["lengths"]
    bad = np.setdiff1d(np.arange(len(listing)), files)
    report_bad(listing, bad, "scores", "cannot be read or hold no note", options, notes)
    if len(lengths) < 2:
        raise BadData(f"{folder} holds {len(lengths)} pieces that can be used, and a model needs several: add more")
    names = [listing.names[f] for f in files]
    rows = own_rows(folder, names, np.arange(len(lengths)), store.columns["keys"], None, options, notes)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = store.columns["ids"]
    parts = [[ids[starts[i] : starts[i + 1]].astype(np.int64) for i in part.tolist()] for part in rows]
    how = f"on a grid of sixteenths, {voices} voices" if voices else "as events in twelfths of a quarter note"
    notes.append(f"notes are kept {how}; loudness, tempo, instruments and percussion are not")
    card = own_card(folder, f"{len(lengths):,} pieces in {len(listing) - len(bad):,} scores", "music")
    return music_dataset(folder.name, options, parts, voices, 120.0, card, notes)
