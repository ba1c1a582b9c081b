"""Texts as words, and runs of n words: what the figures of texts have in common.

A word is what stands between white space; where a text hardly has any (Chinese, say), its characters take that place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONG = 20  # characters a word on average, from which on white space does not part words
_BASE = np.uint64(0x9E3779B97F4A7C15)


def unit_of(texts: Sequence[str]) -> str:
    """ "word", or "character" where white space is rare."""
    characters, words = sum(map(len, texts)), sum(len(t.split()) for t in texts)
    return "word" if words and characters / words <= LONG else "character"


def words_of(text: str, unit: str) -> list[str]:
    """The words of a text (or its characters, white space left out)."""
    return text.split() if unit == "word" else [c for c in text if not c.isspace()]


def inner(words: Sequence[str]) -> list[str]:
    """Without the first and the last word, which are torn where a text was cut out of a longer one.

    Whole texts lose theirs too, so that samples and held-out stretches are treated alike; very short ones keep them.
    """
    return list(words[1:-1]) if len(words) > 4 else list(words)


def grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of n words, in order."""
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def numbered(words: Sequence[str], known: dict[str, int], grow: bool) -> NDArray[np.int64]:
    """The number of each word; new words get the next one, or -1 where `known` does not grow."""
    if grow:
        return np.array([known.setdefault(w, len(known)) for w in words], np.int64)
    return np.array([known.get(w, -1) for w in words], np.int64)


def hashes(ids: NDArray[np.int64], n: int) -> NDArray[np.uint64]:
    """A well mixed 64-bit number for each run of n word numbers."""
    if len(ids) < n:
        return np.empty(0, np.uint64)
    z = ids.astype(np.uint64) + _BASE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    found = np.zeros(len(ids) - n + 1, np.uint64)
    for i in range(n):  # Horner's rule modulo 2^64: every place has a factor of its own
        found = found * _BASE + z[i : i + len(found)]
    return found


def ratio_interval(top: Sequence[float], bottom: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of sum(top) / sum(bottom) over independent items, by the delta method, within [0, 1].

    None for fewer than ten items, where the normal law says nothing.
    """
    a, b = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    if len(a) < 10 or not b.sum():
        return None
    ratio = a.sum() / b.sum()
    residual = (a - ratio * b) / b.mean()
    half = 1.96 * float(residual.std(ddof=1)) / math.sqrt(len(a))
    return max(0.0, float(ratio) - half), min(1.0, float(ratio) + half)


def beside(floor: float, n: int) -> Mapping[str, Any]:
    """What a protocol says of a floor that n stretches of held-out text gave."""
    return {"floor": floor, "samples_of_the_floor": "held-out text", "n_held_out": n}
