"""From figures over seeds to a leaderboard: estimates with intervals, which differences are significant, ranks.

Pure functions on numbers. Differences are judged by Welch's t-test over seeds, on the logarithm where the figure is a
distance (its spread grows with its size), with Holm's correction for the number of pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from scipy.stats import ttest_ind

from genloom.report.content import Estimate

LEVEL = 0.05
SMALLEST = 1e-12  # distances below count as this on the logarithmic scale


def over_seeds(values: Sequence[float], n: int, bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:
    """The mean over seeds with its 95% t-interval, cut to the range that the figure can have; needs two seeds.

    n: items that each seed was measured on. A value that is not finite leaves the mean NaN and the interval out.
    """
    array = np.asarray(values, dtype=np.float64)
    if len(array) == 0 or not np.isfinite(array).all():
        return Estimate(math.nan, tuple(map(float, values)), None, n)
    mean = float(array.mean())
    if len(array) < 2:
        return Estimate(mean, tuple(map(float, values)), None, n)
    half = float(student.ppf(0.975, len(array) - 1) * array.std(ddof=1) / math.sqrt(len(array)))
    interval = (max(bounds[0], mean - half), min(bounds[1], mean + half))
    return Estimate(mean, tuple(map(float, values)), interval, n, f"t, 95%, over {len(array)} seeds")


def welch(a: Sequence[float], b: Sequence[float], log: bool = False) -> float:
    """The two-sided p of Welch's t-test that two contestants have the same mean; NaN with fewer than two values a side
    or one that is not finite. log: on the logarithms."""
    x, y = (np.asarray(v, dtype=np.float64) for v in (a, b))
    if min(len(x), len(y)) < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return math.nan
    if log:
        x, y = (np.log(np.maximum(v, SMALLEST)) for v in (x, y))
    if x.std() == 0 and y.std() == 0:  # no spread at all: the test divides by it
        return 1.0 if x[0] == y[0] else 0.0
    return float(ttest_ind(x, y, equal_var=False).pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's method; NaN stays NaN and counts for nothing."""
    known = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    out, worst = [math.nan] * len(p), 0.0
    for place, (value, i) in enumerate(known):
        worst = max(worst, min(1.0, (len(known) - place) * value))
        out[i] = worst
    return out


def pairs(values: Mapping[str, Sequence[float]], log: bool = False) -> dict[tuple[str, str], float]:
    """Corrected p of every pair of contestants, in their order."""
    found = list(itertools.combinations(values, 2))
    return dict(zip(found, holm([welch(values[a], values[b], log) for a, b in found]), strict=True))


@dataclass(frozen=True)
class Place:
    """rank: from 1; tied: contestants that do not differ significantly; as_above: the one above is among them."""

    name: str
    rank: int
    tied: tuple[str, ...] = ()
    as_above: bool = False


def places(values: Mapping[str, Sequence[float]], better: str, log: bool = False) -> list[Place]:
    """Contestants by their mean, the best first; those without a finite mean come last, in the order given."""
    sign = -1.0 if better == "higher" else 1.0

    def merit(name: str) -> float:
        mean = float(np.mean(values[name])) if len(values[name]) else math.nan
        return sign * mean if math.isfinite(mean) else math.inf

    order = sorted(values, key=merit)
    judged = pairs(values, log)
    same = {frozenset(pair) for pair, p in judged.items() if p > LEVEL}
    out = []
    for i, name in enumerate(order):
        tied = tuple(other for other in order if frozenset((name, other)) in same)
        out.append(Place(name, i + 1, tied, i > 0 and order[i - 1] in tied))
    return out


def judged_in_words(seeds: int, log: bool, what: str) -> str:
    """How differences were judged, in a sentence."""
    if seeds < 2:
        return "One seed: no difference is called significant, because nothing is known of how runs vary."
    scale = f"the logarithm of {what}" if log else what
    return (
        f"Differences are judged by Welch's t-test on {scale} over {seeds} seeds, at 5%, with Holm's correction for "
        "the number of pairs."
    )
