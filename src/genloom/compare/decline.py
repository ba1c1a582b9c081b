"""Does a figure get worse from generation to generation, by more than chance?

If every generation were as good as the first, their order would be arbitrary. So the test permutes generations within
each seed, and asks how often chance makes a figure worsen as steadily as it did: exact for short experiments, 20,000
permutations by a fixed seed for long ones. What worsens must also differ, last from first, by more than the chance in
the samples they are measured on (Welch's t over disjoint sets). Several figures are judged with Holm's correction.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from genloom.compare.standings import holm

LEVEL = 0.05
EXACT = 20_000  # orders up to which all are tried
DRAWS = 20_000


@dataclass(frozen=True)
class Decline:
    """One figure over the generations of one share of fresh data. p: of the permutation test; adjusted: after Holm's
    correction; gap: last - first generation, the mean over seeds; interval: of the gap, for the chance in samples;
    worse: whether it declines."""

    key: str
    p: float
    adjusted: float
    gap: float
    interval: tuple[float, float] | None
    worse: bool


def steadiness(values: np.ndarray) -> float:
    """How steadily values (seeds, generations) rise: the sum over seeds of generation times value."""
    return float((values @ np.arange(values.shape[1])).sum())


def permuted(values: np.ndarray) -> float:
    """The one-sided p of values (seeds, generations) that rise: the share of orders, the given one among them, that
    rise as much. Larger is worse."""
    seeds, generations = values.shape
    if generations < 2:
        return 1.0
    scaled = values - values.mean(1, keepdims=True)
    weights = np.arange(generations)
    given = steadiness(scaled) - 1e-9 * generations * float(np.abs(scaled).sum())  # sums in another order may round
    if math.factorial(generations) ** seeds <= EXACT:
        orders = np.array(list(itertools.permutations(range(generations))))
        sums = np.zeros(1)
        for row in scaled:  # of every combination of orders
            sums = (sums[:, None] + (row[orders] @ weights)[None]).ravel()
        return float((sums >= given).mean())
    random = np.random.default_rng(0)
    sums = np.zeros(DRAWS)
    for row in scaled:
        sums += random.permuted(np.tile(row, (DRAWS, 1)), axis=1) @ weights
    return float((1 + (sums >= given).sum()) / (DRAWS + 1))


def least_p(seeds: int, generations: int) -> float:
    """The smallest p that so many seeds and generations can give."""
    orders = math.factorial(generations) ** seeds
    return 1 / orders if orders <= EXACT else 1 / (DRAWS + 1)


def gap(first: np.ndarray, last: np.ndarray) -> tuple[float, tuple[float, float] | None]:
    """last - first and its 95% interval, from values (seeds, sets) over disjoint sets of samples; the mean over seeds.

    The interval covers the chance in the samples alone. None for fewer than two sets.
    """
    from scipy.stats import t as student

    seeds, sets = first.shape
    middle = float((last.mean(1) - first.mean(1)).mean())
    if sets < 2:
        return middle, None
    parts = np.concatenate([first.var(1, ddof=1), last.var(1, ddof=1)]) / sets / seeds**2
    total = float(parts.sum())
    if total == 0:
        return middle, (middle, middle)
    freedom = total**2 / float((np.square(parts) / (sets - 1)).sum())
    half = float(student.ppf(0.975, freedom)) * math.sqrt(total)
    return middle, (middle - half, middle + half)


def declines(figures: Mapping[str, tuple[np.ndarray, str]]) -> list[Decline]:
    """Judges figures by key: (values (seeds, generations, sets), "lower" or "higher" for what is better)."""
    found = []
    for key, (values, better) in figures.items():
        sign = 1.0 if better == "lower" else -1.0
        middle, ends = gap(values[:, 0], values[:, -1])
        found.append((key, sign, permuted(sign * values.mean(2)), middle, ends))
    adjusted = holm([p for _, _, p, _, _ in found])
    results = []
    for (key, sign, p, middle, ends), corrected in zip(found, adjusted, strict=True):
        beyond = ends is not None and (ends[0] > 0 if sign > 0 else ends[1] < 0)
        results.append(Decline(key, p, corrected, middle, ends, bool(corrected < LEVEL and beyond)))
    return results
