"""The share of runs of n words that stand nowhere in the training text (McCoy et al. 2023), beside held-out text's.

Text that anybody writes is new in this sense at a rate that rises with n. Far less means reciting, far more nonsense.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genloom.metrics.base import Result
from genloom.metrics.ngrams import beside, hashes, numbered, ratio_interval
from genloom.metrics.recitation import CITATION

ORDERS = (2, 3, 4, 5)


class Source:
    """A text as numbers of its words, to look runs up in."""

    def __init__(self, words: Sequence[str]) -> None:
        self.known: dict[str, int] = {}
        self.ids = numbered(words, self.known, grow=True)

    def novel(self, texts: Sequence[Sequence[str]], n: int) -> tuple[list[int], list[int]]:
        """(runs of n words that do not stand here, all runs) of each text given as words."""
        there = np.sort(hashes(self.ids, n))
        new, runs = [], []
        for words in texts:
            mine = numbered(words, self.known, grow=False)
            wanted = hashes(mine, n)
            found = np.zeros(len(wanted), bool)
            if len(there):
                found = there[np.searchsorted(there, wanted).clip(max=len(there) - 1)] == wanted
            if len(wanted):  # a run with a word that does not stand here is new, whatever its hash
                found &= np.lib.stride_tricks.sliding_window_view(mine, n).min(1) >= 0
            new.append(int((~found).sum()))
            runs.append(len(found))
        return new, runs


def ngram_novelty(texts: Sequence[Sequence[str]], source: Sequence[str], n: int) -> float:
    """The share over all texts; 0 where no text has n words."""
    new, runs = Source(source).novel(texts, n)
    return sum(new) / sum(runs) if sum(runs) else 0.0


def novelty_results(
    texts: Sequence[Sequence[str]], held_out: Sequence[Sequence[str]], source: Sequence[str], unit: str = "word"
) -> list[Result]:
    """For n from 2 to 5, each beside what held-out text gives."""
    results, searched = [], Source(source)
    for n in ORDERS:
        new, runs = searched.novel(texts, n)
        theirs, of = searched.novel(held_out, n)
        floor = sum(theirs) / sum(of) if sum(of) else 0.0
        value = sum(new) / sum(runs) if sum(runs) else 0.0
        protocol = {
            "unit": unit,
            "source": f"{len(source):,} {unit}s of training text",
            "interval": "delta method over texts, 95%",
            **beside(floor, len(held_out)),
        }
        name = f"runs of {n} {unit}s that training text lacks"
        results.append(Result(f"novel_{n}", name, value, ratio_interval(new, runs), len(texts), protocol, CITATION))
    return results
