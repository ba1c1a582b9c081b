"""Does a model make things up or recite? The test for copies (`copies.py`) on a data set, with what can be cached
cached.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.core import the_item
from genloom.data.cache import cached_array
from genloom.metrics import copies
from genloom.metrics.base import Result, SplitLike
from genloom.metrics.shares import clopper_pearson
from genloom.metrics.store import DatasetLike
from genloom.modalities.image import to_bytes

SAMPLES = 2_000
HELD_OUT = 2_000
TRAIN = 60_000
VERSION = 1  # of everything that decides a reference's scores


@dataclass(frozen=True)
class Originality:
    """result: the share of samples under suspicion, beside what chance gives; verdict: of the test; sentence: the same
    in words; notes: what a reader must know."""

    result: Result
    verdict: copies.Verdict
    sentence: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {**asdict(self.verdict), "sentence": self.sentence, "notes": list(self.notes)}


def images_of(split: SplitLike, most: int) -> Tensor:
    """At most that many images of a split, evenly spaced, as bytes (N, C, H, W)."""
    key = the_item(split.spec, "image", "the test for copies")[0]
    rows = torch.linspace(0, len(split) - 1, min(most, len(split))).long()
    return torch.cat([to_bytes(split.batch(part)[key]) for part in rows.split(1024)])


def originality(images: Tensor, dataset: DatasetLike, *, cached: bool = True) -> Originality | None:
    """Judges samples (n, C, H, W) uint8 against the training items of `dataset`, beside its held-out (test) items.

    None where there are too few items to say anything: 2 samples, 4 training and 10 held-out items.
    """
    if len(images) < 2 or len(dataset.train) < 4 or len(dataset.test) < 10:
        return None
    train = images_of(dataset.train, TRAIN)
    notes = []
    if len(train) < len(dataset.train):
        notes.append(f"copies were looked for among {len(train):,} of {len(dataset.train):,} training items")
    if len(images) > SAMPLES:
        notes.append(f"the first {SAMPLES:,} samples were searched for copies")
    beside = _reference(dataset, train, cached)
    verdict = copies.judge(images[:SAMPLES], train, beside)
    protocol = {
        "verdict": verdict.verdict,
        "p": verdict.p,
        "threshold": verdict.threshold,
        "expected_by_chance": verdict.expected / verdict.n,
        "n_reference": verdict.reference,
        "n_train": len(train),
        "planted_verbatim_found": verdict.verbatim,
        "planted_near_found": verdict.near,
        "interval": "Clopper-Pearson, 95%",
    }
    share = verdict.suspects / verdict.n
    interval = clopper_pearson(verdict.suspects, verdict.n)
    result = Result("copies", "suspected copies", share, interval, verdict.n, protocol, copies.CITATION, "lower")
    return Originality(result, verdict, sentence(verdict), tuple(notes))


def sentence(verdict: copies.Verdict) -> str:
    """The verdict in words."""
    of = f"{verdict.suspects} of {verdict.n:,} samples lie suspiciously near to one training item"
    chance = f"{verdict.expected:.1f} would by chance (p = {verdict.p:.2g})"
    if verdict.verdict == "fail":
        return f"Copies: {of}; {chance}. Look at the pairs before you share samples."
    if verdict.verdict == "pass":
        return f"No copies found: {of}; {chance}. Planted copies (1% verbatim, 3% near) would have been found."
    missed = " and ".join(w for w, found in (("1% verbatim", verdict.verbatim), ("3% near", verdict.near)) if not found)
    cure = f"measure at least {verdict.needed:,} samples" if verdict.needed else "more samples or more held-out items"
    return f"No verdict on copies: {of}; {chance}, but {missed} copies would have gone unseen: {cure}."


def _reference(dataset: DatasetLike, train: Tensor, cached: bool) -> copies.Reference:
    def make() -> np.ndarray[Any, Any]:
        found = copies.reference(images_of(dataset.test, HELD_OUT), train)
        return torch.cat([found.verbatim, found.near, found.honest]).float().numpy()

    array = cached_array(f"copies-{VERSION}-{dataset.digest[:24]}", make) if cached else make()
    parts = torch.from_numpy(np.array(array))
    return copies.Reference(parts[2 * copies.POOL :], parts[: copies.POOL], parts[copies.POOL : 2 * copies.POOL])
