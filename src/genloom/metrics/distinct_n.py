"""Distinct-n (Li et al. 2016): different runs of n words over all of them. Low where a model repeats itself.

The more text is measured the lower it is, for real text too: compare it at one number of texts of one length, beside
what held-out text gives. A bootstrap would repeat texts and so lower it; the interval is the jackknife's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from genloom.metrics.base import Result, spread
from genloom.metrics.ngrams import beside, grams

CITATION = (
    "@inproceedings{li2016diversity, title={A Diversity-Promoting Objective Function for Neural Conversation Models}, "
    "author={Li, Jiwei and Galley, Michel and Brockett, Chris and Gao, Jianfeng and Dolan, Bill}, "
    "booktitle={NAACL}, year={2016}}"
)
ORDERS = (1, 2, 3, 4)


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different runs of n words over all runs in texts given as words; 1 where nothing is said twice, 0 for no run."""
    return jackknifed(texts, n)[0]


def jackknifed(texts: Sequence[Sequence[str]], n: int) -> tuple[float, tuple[float, float] | None]:
    """The figure and its 95% interval over texts; none for fewer than ten.

    Without text i the runs are fewer by its own, the different ones by those that stand nowhere else: so leaving out
    each text in turn needs one count.
    """
    counts = [Counter(grams(words, n)) for words in texts]
    whole: Counter[tuple[str, ...]] = Counter()
    for one in counts:
        whole.update(one)
    runs, different = whole.total(), len(whole)
    value = different / runs if runs else 0.0
    alone = np.array([sum(whole[g] == k for g, k in one.items()) for one in counts], np.float64)
    own = np.array([one.total() for one in counts], np.float64)
    if len(texts) < 10 or (runs - own).min() <= 0:
        return value, None
    without = (different - alone) / (runs - own)
    m = len(texts)
    half = 1.96 * math.sqrt((m - 1) / m * float(np.square(without - without.mean()).sum()))
    return value, (max(0.0, value - half), min(1.0, value + half))


def distinct_results(
    texts: Sequence[Sequence[str]], held_out: Sequence[Sequence[str]], unit: str = "word"
) -> list[Result]:
    """Distinct-1 to 4 of as many texts as there are held-out ones, each beside theirs.

    Of more stretches than texts those are taken that are spread over all: neighbours speak of one thing.
    """
    m = min(len(texts), len(held_out))
    beside_them = [held_out[i] for i in spread(len(held_out), m).tolist()]
    results = []
    for n in ORDERS:
        value, interval = jackknifed(texts[:m], n)
        protocol = {
            "unit": unit,
            "interval": "jackknife over texts, 95%",
            **beside(distinct_n(beside_them, n), m),
        }
        results.append(Result(f"distinct_{n}", f"distinct-{n} ({unit}s)", value, interval, m, protocol, CITATION))
    return results
