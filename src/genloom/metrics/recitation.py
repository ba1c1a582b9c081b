"""Does a text model recite? The longest stretch of every sample that stands verbatim in the training text.

Any text repeats some phrases of any other, so the stretches of held-out text of the same length show how long they
are by chance. The n-gram novelty of McCoy et al. (2023) and the verbatim lengths of Carlini et al. (2021) are the
models for this. Exact matches of any length are found with a rolling hash (Karp & Rabin 1987) of 64 bits, by
bisection over lengths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.copies import LEVEL, p_value, samples_needed
from genloom.metrics.shares import clopper_pearson

CITATION = (
    "@article{mccoy2023how, title={How Much Do Language Models Copy From Their Training Data? Evaluating Linguistic "
    "Novelty in Text Generation Using {RAVEN}}, author={McCoy, R. Thomas and Smolensky, Paul and Linzen, Tal and Gao, "
    "Jianfeng and Celikyilmaz, Asli}, journal={TACL}, volume={11}, pages={652--670}, year={2023}}"
)
FIRST = 16  # characters of a stretch that is sought everywhere
PLANTED = 0.05  # of the samples, recited whole: what a verdict of "pass" would have found
_HEADS = {"fail": "Recited", "pass": "Nothing recited", "inconclusive": "No verdict on recitation"}
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so it has an inverse modulo 2^64
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))

Codes = NDArray[np.uint64]


def codes_of(text: str) -> Codes:
    """The characters of a text as well mixed 64-bit numbers (splitmix64's finaliser)."""
    z = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64) + _BASE
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Windows:
    """Hashes of all windows of any one length of a text, each from two differences: sum c_i b^-i times b^start."""

    def __init__(self, text: str) -> None:
        codes = codes_of(text)
        self.length = len(codes)
        down = np.full(self.length, _INVERSE)
        down[:1] = 1
        weighted = codes * np.cumprod(down)
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(weighted)])
        up = np.full(self.length, _BASE)
        up[:1] = 1
        self._up = np.cumprod(up)

    def hashes(self, n: int, starts: NDArray[np.int64] | None = None) -> Codes:
        """Of the windows of n characters, (length - n + 1,), or of those that begin at `starts` and end in time; empty
        where the text is shorter."""
        if not 1 <= n <= self.length:
            return np.empty(0, np.uint64)
        if starts is None:
            return (self._sums[n:] - self._sums[: self.length - n + 1]) * self._up[: self.length - n + 1]
        starts = starts[starts <= self.length - n]
        return (self._sums[starts + n] - self._sums[starts]) * self._up[starts]


def longest_copies(texts: Sequence[str], source: str) -> list[int]:
    """For each text the characters of its longest stretch that stands in `source`, 0 where not even one does.

    A stretch of n holds stretches of n - 1, so lengths can be bisected, for all texts side by side. What is longer than
    FIRST begins where a stretch of FIRST stands: from there on only those places of the source are looked at.
    """
    known, pieces = Windows(source), [Windows(t) for t in texts]
    low = np.zeros(len(pieces), np.int64)  # found
    high = np.array([min(p.length, known.length) for p in pieces], np.int64)  # not yet excluded
    places = _places(known, pieces)
    while (low < high).any():
        middle = (low + high + 1) // 2
        middle = np.where((low < FIRST) & (high >= FIRST), FIRST, middle)
        for n in np.unique(middle[low < high]):
            there = np.sort(known.hashes(int(n), places if n >= FIRST else None))
            for i in np.flatnonzero((middle == n) & (low < high)):
                mine = pieces[i].hashes(int(n))
                at = np.searchsorted(there, mine).clip(max=max(len(there) - 1, 0))
                if len(there) and bool((there[at] == mine).any()):
                    low[i] = n
                else:
                    high[i] = n - 1
    return [int(v) for v in low]


def _places(known: Windows, pieces: Sequence[Windows]) -> NDArray[np.int64]:
    """Where in the source a stretch of FIRST characters of any piece stands."""
    wanted = np.unique(np.concatenate([p.hashes(FIRST) for p in pieces] or [np.empty(0, np.uint64)]))
    there = known.hashes(FIRST)
    if not len(wanted) or not len(there):
        return np.empty(0, np.int64)
    at = np.searchsorted(wanted, there).clip(max=len(wanted) - 1)
    return np.flatnonzero(wanted[at] == there)


def seen_share(texts: Sequence[str], source: str, n: int) -> float:
    """The share of all windows of n characters in `texts` that stand in `source`; 0 where there are none."""
    there = np.sort(Windows(source).hashes(n))
    windows = np.concatenate([Windows(t).hashes(n) for t in texts] or [np.empty(0, np.uint64)])
    if not len(windows) or not len(there):
        return 0.0
    at = np.searchsorted(there, windows).clip(max=len(there) - 1)
    return float((there[at] == windows).mean())


@dataclass(frozen=True)
class Recitation:
    """results: figures; verdict: "pass", "fail" or "inconclusive"; p: of the test; needed: samples that a verdict
    takes, None where it has one or no number would do; worst: (characters, the stretch) of the longest copies, the
    longest first; sentence: in words; notes: what a reader must know."""

    results: tuple[Result, ...]
    verdict: str
    p: float
    needed: int | None
    worst: tuple[tuple[int, str], ...]
    sentence: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "verdict": self.verdict,
            "p": self.p,
            "needed": self.needed,
            "worst": [list(w) for w in self.worst],
            "sentence": self.sentence,
            "notes": list(self.notes),
        }


def recitation(texts: Sequence[str], held_out: Sequence[str], source: str, *, worst: int = 5) -> Recitation:
    """Judges samples beside stretches of held-out text of about the same length, both against the training text.

    "pass" means more than "nothing was found": had PLANTED of the samples been recited whole, they would have been.
    Raises BadValue for fewer than two samples or ten held-out stretches.
    """
    if len(texts) < 2 or len(held_out) < 10:
        raise BadValue(f"recitation needs 2 samples and 10 held-out texts, got {len(texts)} and {len(held_out)}")
    found = longest_copies([*texts, *held_out], source)
    mine, chance = found[: len(texts)], found[len(texts) :]
    # Long is suspicious where low scores are: the same exact test, on 1 / length.
    p, threshold = p_value(_shortness(mine), _shortness(chance))
    sure = _found(len(mine), chance, int(np.median([len(t) for t in texts])))
    verdict = "fail" if p < LEVEL else "pass" if sure else "inconclusive"
    needed = samples_needed(len(chance), PLANTED) if verdict == "inconclusive" else None
    needed = None if needed is None or needed <= len(mine) else needed
    limit = round(1 / threshold - 1)
    over = sum(v > limit for v in mine)
    n = 25
    share, by_chance = seen_share(texts, source, n), seen_share(held_out, source, n)
    protocol = {"verdict": verdict, "p": p, "characters": limit, "planted_found": sure, "n_held_out": len(held_out)}
    results = (
        Result("recited", "samples reciting more than held-out text", over / len(mine),
               clopper_pearson(over, len(mine)), len(mine),
               {**protocol, "interval": "Clopper-Pearson, 95%"}, CITATION, "lower"),
        Result("seen_25", f"windows of {n} characters that stand in the training text", share, None, len(mine),
               {"floor": by_chance, "samples_of_the_floor": "held-out text", "n_held_out": len(held_out)},
               CITATION, "lower"),
    )  # fmt: skip
    order = sorted(range(len(mine)), key=lambda i: -mine[i])[:worst]
    longest = tuple((mine[i], _stretch(texts[i], source, mine[i])) for i in order)
    said = (
        f"{_HEADS[verdict]}: the longest stretch of a sample that stands in the training text has {max(mine)} "
        f"characters; of held-out text {max(chance)} (p = {p:.2g})."
    )
    if verdict == "pass":
        said += f" Samples recited whole, {PLANTED:.0%} of them, would have been found."
    elif verdict == "inconclusive":
        cure = f"measure at least {needed:,} samples" if needed else "it takes longer samples or more held-out text"
        said += f" Samples recited whole, {PLANTED:.0%} of them, would have gone unseen: {cure}."
    return Recitation(results, verdict, p, needed, longest, said)


def _found(n: int, chance: Sequence[int], length: int) -> bool:
    """Whether PLANTED of n samples, recited whole, would be found among others that are like held-out text."""
    copies = math.ceil(PLANTED * n)
    others = np.random.default_rng(0).choice(np.asarray(chance), n - copies)
    return p_value(_shortness([*others.tolist(), *[length] * copies]), _shortness(chance))[0] < LEVEL


def _shortness(lengths: Sequence[int]) -> torch.Tensor:
    return 1 / (1 + torch.tensor(lengths, dtype=torch.float64))


def _stretch(text: str, source: str, n: int) -> str:
    """The first stretch of n characters of `text` that stands in `source`."""
    return next((text[i : i + n] for i in range(len(text) - n + 1) if text[i : i + n] in source), "") if n else ""
