"""What the texts of a model are judged by on a data set: stretches of its held-out text, and its training text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from genloom.errors import BadData
from genloom.metrics.base import SplitLike, spread
from genloom.metrics.likelihood import Decodes
from genloom.metrics.store import DatasetLike

SAMPLES = 2_000
HELD_OUT = 500  # stretches
SOURCE = 8_000_000  # tokens of the training text that are searched


class Reads(Decodes, Protocol):
    """A tokenizer: both ways."""

    def encode(self, text: str) -> list[int]: ...


def tokens_of(split: SplitLike, most: int) -> list[int]:
    """The first tokens of a text split in order, at most so many, from windows that do not overlap."""
    key, field = next((k, f) for k, f in split.spec.items() if f.modality == "text" and f.role == "item")
    length = field.shape[0]
    rows = torch.arange(min(split.items, max(1, most // length))) * (length if len(split) > split.items else 1)
    return [t for part in rows.split(512) for t in split.batch(part)[key].flatten().tolist()]


@dataclass(frozen=True)
class Beside:
    """Texts as the tokenizer reads them back, stretches of held-out text of their median length, the training text."""

    texts: tuple[str, ...]
    held_out: tuple[str, ...]
    source: str
    notes: tuple[str, ...]


def beside(texts: Sequence[str], dataset: DatasetLike, tokenizer: Decodes | None) -> Beside | None:
    """What texts are judged by on this data set.

    None where there is too little to say anything: 2 samples and 10 held-out stretches of their median length.
    Raises BadData where all texts are empty.
    """
    if tokenizer is None:
        return None
    notes: list[str] = []
    known = [_as_learnt(t, tokenizer) for t in texts[:SAMPLES]]
    if len(texts) > SAMPLES:
        notes.append(f"the first {SAMPLES:,} texts were measured and searched for recited stretches")
    length = int(np.median([len(t) for t in known])) if known else 0
    if not any(known):
        raise BadData(f"{len(texts)} samples hold no text at all: give texts with content")
    length = max(length, 1)
    source = tokenizer.decode(tokens_of(dataset.train, SOURCE))
    whole = dataset.train.items * next(f.shape[0] for f in dataset.spec.values() if f.modality == "text")
    if whole > SOURCE:
        notes.append(f"recited stretches were sought in the first {SOURCE:,} of {whole:,} training tokens")
    held_out = tokenizer.decode(tokens_of(dataset.test, SOURCE))
    count = len(held_out) // length
    starts = (spread(count, HELD_OUT) * length).tolist()
    if len(known) < 2 or count < 10:
        return None
    return Beside(tuple(known), tuple(held_out[s : s + length] for s in starts), source, tuple(notes))


def _as_learnt(text: str, tokenizer: Any) -> str:
    """A text as the training text is read back: a character that the tokenizer does not know looks the same in both."""
    return str(tokenizer.decode(tokenizer.encode(text)))
