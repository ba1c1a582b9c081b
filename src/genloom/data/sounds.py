"""A person's folder of WAV files: any rate, width of samples and length; sub-folders, or the first word of names, are
classes.

Files are read once, in the order of their names, into a store that is mapped from then on: as 16-bit samples, or as
log-mel spectrograms in bytes. What cannot be read, and what is silent, is skipped by name and counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genloom.core import Field
from genloom.data.dataset import Dataset
from genloom.data.listing import Listing, scan
from genloom.data.options import DataOptions
from genloom.data.shape import in_threads
from genloom.data.signals import PROBED, Told, own_card, own_rows, report_bad, signal_dataset
from genloom.data.splits import KEY_BYTES, content_key
from genloom.data.store import Draft, Source, Store, obtain
from genloom.errors import BadData, BadValue
from genloom.modalities import sound
from genloom.modalities.image import to_bytes

ENDINGS = frozenset((".wav",))
MOST_RATE, MOST_SECONDS = 16_000, 2.0  # what is taken where nobody says otherwise
LEAST_RATE, LEAST_SECONDS = 1_000, 0.05
SILENT = 1e-3  # greatest sample of a recording in which nothing is heard: -60 dB
GOOD, QUIET, BROKEN = range(3)
_BLOCK = 256


@dataclass(frozen=True)
class Shape:
    """How sounds are stored. rate: samples a second; length: samples; mel: whether as spectrograms."""

    rate: int
    length: int
    mel: bool

    @property
    def field(self) -> Field:
        if not self.mel:
            return Field("audio", (1, self.length), rate=float(self.rate))
        return Field("audio", (1, sound.BANDS, -(-self.length // sound.hop(self.rate))), rate=float(self.rate))

    def stored(self, samples: np.ndarray) -> np.ndarray:
        """Samples of any length as a row: int16 (T,) or uint8 (M, F)."""
        wave = torch.from_numpy(sound.fitted(samples, self.length))
        if not self.mel:
            return sound.to_int16(wave).numpy()
        return to_bytes(sound.log_mel(wave[None], self.rate)[0]).numpy()


def shape_of(listing: Listing, options: DataOptions) -> Shape:
    """The rate most files have (16,000 at most), and a length that holds nine of ten (2 s at most), by some of them."""
    if options.rate is not None and options.rate < LEAST_RATE:
        raise BadValue(f"--data.rate: expected at least {LEAST_RATE} samples a second, got {options.rate}")
    if options.seconds is not None and not LEAST_SECONDS <= options.seconds <= 60:
        raise BadValue(f"--data.seconds: expected {LEAST_SECONDS} to 60 seconds, got {options.seconds:g}")
    rates, seconds = Counter[int](), []
    if options.rate is None or options.seconds is None:
        chosen = np.unique(np.linspace(0, len(listing) - 1, min(PROBED, len(listing))).astype(int)).tolist()
        for samples, found in filter(None, (_read(listing.path(i)) for i in chosen)):
            rates[found] += 1
            seconds.append(len(samples) / found)
    rate = options.rate or min(MOST_RATE, rates.most_common(1)[0][0] if rates else MOST_RATE)
    usual = np.ceil(np.quantile(seconds, 0.9) * 10) / 10 if seconds else 1.0
    length = options.seconds or min(MOST_SECONDS, max(LEAST_SECONDS, float(usual)))
    return Shape(rate, max(1, round(rate * length)), options.audio == "mel")


def _read(path: str) -> tuple[np.ndarray, int] | None:
    try:
        return sound.read_wav(path)
    except (BadData, OSError):
        return None


def stored_sounds(listing: Listing, shape: Shape, notes: list[str]) -> Store:
    """All files as columns: items, keys, state, rates and lengths of the files (0 where they cannot be read)."""
    said = {"rate": shape.rate, "length": shape.length, "mel": shape.mel, "bands": sound.BANDS}
    source = Source("sounds", listing.folder, listing.fingerprint, said)

    def one(i: int) -> tuple[np.ndarray | None, int, int, int]:
        found = _read(listing.path(i))
        if found is None:
            return None, BROKEN, 0, 0
        samples, rate = found
        cut = samples[: int(np.ceil(shape.length * rate / shape.rate)) + rate]  # what is not needed is not resampled
        wave = sound.resampled(cut, rate, shape.rate)[: shape.length]
        state = QUIET if float(np.abs(wave).max(initial=0.0)) < SILENT else GOOD
        return shape.stored(wave), state, rate, len(samples)

    def make(draft: Draft) -> Mapping[str, Any]:
        row = shape.field.shape[1:]
        columns = {
            "items": (np.uint8 if shape.mel else np.int16, row),
            "keys": (np.uint8, (KEY_BYTES,)),
            "state": (np.uint8, ()),
            "rates": (np.int32, ()),
            "lengths": (np.int64, ()),
        }
        done = draft.begin(said, columns, len(listing))
        for start in range(done, len(listing), _BLOCK):
            read = list(in_threads(one, range(start, min(start + _BLOCK, len(listing)))))
            items = np.stack([np.zeros(row, columns["items"][0]) if r[0] is None else r[0] for r in read])
            keys = np.stack([np.frombuffer(content_key(np.ascontiguousarray(i)), np.uint8) for i in items])
            state, rates, lengths = (np.array([r[k] for r in read]) for k in (1, 2, 3))
            draft.append(items=items, keys=keys, state=state, rates=rates, lengths=lengths)
        return {}

    return obtain(source, make, notes)


def told_of(names: list[str], notes: list[str]) -> Told | None:
    """Classes by the outermost sub-folders, or else by what stands before the first _ of names; None for neither."""
    tops = [name.split("/", 1)[0] if "/" in name else "" for name in names]
    if len(set(tops)) > 1 and "" not in tops:
        return Told.of(tops)
    stems = [name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for name in names]
    words = [stem.split("_", 1)[0] for stem in stems]
    if all("_" in stem for stem in stems) and 2 <= len(set(words)) <= len(words) // 4:
        shown = ", ".join(sorted(set(words))[:5]) + (", ..." if len(set(words)) > 5 else "")
        notes.append(
            f"names begin with one of {len(set(words))} words ({shown}): the classes; --data.labels false ends that"
        )
        return Told.of(words)
    return None


def usable(listing: Listing, store: Store, shape: Shape, options: DataOptions, notes: list[str]) -> np.ndarray:
    """Which files are used (n,), ascending; says what was left out and how the others were changed."""
    state = store.columns["state"]
    report_bad(listing, np.flatnonzero(state == BROKEN), "recordings", "cannot be read as WAV", options, notes)
    report_bad(listing, np.flatnonzero(state == QUIET), "recordings", "are silent", options, notes)
    good = np.flatnonzero(state == GOOD)
    if len(good) < 2:
        raise BadData(
            f"{listing.folder} holds {len(good)} recordings that can be used, and a model needs several: add more"
        )
    rates, lengths = store.columns["rates"][good], store.columns["lengths"][good]
    if other := int((rates != shape.rate).sum()):
        named = ", ".join(f"{r:,}" for r in np.unique(rates[rates != shape.rate])[:4])
        notes.append(f"{other:,} of {len(good):,} recordings are resampled to {shape.rate:,} Hz, from {named} Hz")
    seconds, wanted = lengths / rates, shape.length / shape.rate
    longer, shorter = int((seconds > wanted + 1e-3).sum()), int((seconds < wanted - 1e-3).sum())
    if longer or shorter:
        notes.append(
            f"recordings last {seconds.min():.2f} to {seconds.max():.2f} s, items {wanted:.2f} s: {longer:,} are cut, "
            f"{shorter:,} are followed by silence; --data.seconds changes that"
        )
    return good


def load_sounds(folder: Path, options: DataOptions, listing: Listing | None = None) -> Dataset:
    """The data set of all WAV files in `folder`. Raises BadData where fewer than two can be used."""
    notes: list[str] = []
    listing = scan(folder, ENDINGS) if listing is None else listing
    if not len(listing):
        raise BadData(f"{folder} holds no .wav files: give a folder of recordings")
    shape = shape_of(listing, options)
    store = stored_sounds(listing, shape, notes)
    good = usable(listing, store, shape, options, notes)
    label = told_of(listing.names, notes)
    rows = own_rows(folder, [listing.names[i] for i in good], good, store.columns["keys"], label, options, notes)
    content = hashlib.sha256(repr((shape, "sounds")).encode() + store.columns["keys"][good].tobytes()).digest()
    told = {} if label is None else {"label": label}
    card = own_card(folder, f"{len(good):,} recordings in a folder", "audio")
    return signal_dataset(folder.name, options, shape.field, store.columns["items"], told, rows, card, notes, content)
