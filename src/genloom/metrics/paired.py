"""Two sets of samples measured alike, and how far apart they are: differences with intervals.

The chance of a difference is that of the samples; held-out items are the same for both. So

- figures of a whole set (Frechet distance, recall, coverage, Vendi, Inception-style score) are taken on disjoint parts
  of equal size, and Welch's t compares the two means over parts. All parts are of one size, so the bias that depends
  on it is the same on both sides;
- FD_inf and the kernel distance have errors in closed form, in which what both owe to the held-out items cancels;
- shares of single samples (precision, classes) are compared by Newcombe's interval (1998, method 10);
- likelihoods are compared item by item.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from scipy.stats import t as student
from torch import Tensor

from genloom.metrics.density_coverage import density_coverage
from genloom.metrics.features import Extractor, key_of, name_of
from genloom.metrics.figures import NEIGHBOURS, Real
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.frechet_limit import enough, frechet_limit
from genloom.metrics.inception_score import inception_score
from genloom.metrics.kernel_distance import kernel_difference
from genloom.metrics.precision_recall import precision_recall
from genloom.metrics.store import DatasetLike
from genloom.metrics.vendi import vendi_score

PART = 200  # items of the smallest part worth a Frechet distance in 64 dimensions
PARTS = 10


@dataclass(frozen=True)
class Difference:
    """first, second: the figure of each; difference: second - first; interval: its 95% interval, None where there is no
    honest one; n: items of each side; better: which way; how: the interval's method."""

    key: str
    name: str
    first: float
    second: float
    difference: float
    interval: tuple[float, float] | None
    n: int
    better: str
    how: str

    @property
    def significant(self) -> bool | None:
        """Whether the interval leaves out 0; None without one."""
        return None if self.interval is None else not self.interval[0] <= 0 <= self.interval[1]

    @property
    def winner(self) -> str:
        """ "first" or "second" where the difference is significant and one way is better, else ""."""
        if not self.significant or not self.better:
            return ""
        return "second" if (self.difference > 0) == (self.better == "higher") else "first"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        ends = list(self.interval) if self.interval else None
        return {**asdict(self), "interval": ends, "significant": self.significant, "winner": self.winner}


def welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of mean(b) - mean(a) with unequal variances (Welch 1947); None for fewer than two on a side."""
    if min(len(a), len(b)) < 2:
        return None
    x, y = (torch.tensor(v, dtype=torch.float64) for v in (a, b))
    first, second = float(x.var()) / len(x), float(y.var()) / len(y)
    total, gap = first + second, float(y.mean() - x.mean())
    if total == 0:
        return gap, gap
    freedom = total**2 / (first**2 / (len(x) - 1) + second**2 / (len(y) - 1))
    half = float(student.ppf(0.975, freedom)) * math.sqrt(total)
    return gap - half, gap + half


def newcombe(a: int, n: int, b: int, m: int) -> tuple[float, float]:
    """The 95% interval of b/m - a/n for independent shares, from their score intervals (Newcombe 1998, method 10)."""
    p, q = a / n, b / m
    (low_a, high_a), (low_b, high_b) = wilson(p, n), wilson(q, m)
    return (
        q - p - math.hypot(q - low_b, high_a - p),
        q - p + math.hypot(high_b - q, p - low_a),
    )


def wilson(p: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% score interval of a share p of n (Wilson 1927)."""
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def of_items(key: str, name: str, first: Tensor, second: Tensor, better: str) -> Difference:
    """The difference of two means over the same items, (N,) each, by the normal law of the paired differences."""
    gap = second - first
    n, middle = len(gap), float(gap.mean())
    half = 1.96 * float(gap.std()) / math.sqrt(n) if n > 1 else math.inf
    interval = (middle - half, middle + half) if n > 1 else None
    how = f"normal, 95%, over {n} items paired"
    return Difference(key, name, float(first.mean()), float(second.mean()), middle, interval, n, better, how)


def image_differences(
    net: Extractor, dataset: DatasetLike, first: Tensor, second: Tensor, notes: list[str], *, cached: bool = True
) -> list[Difference]:
    """Of two sets of sample features (n, 64), rows in random order. Sets of unequal n are cut to the smaller."""
    n = min(len(first), len(second))
    if len(first) != len(second):
        notes.append(f"sets of {len(first):,} and {len(second):,} samples: the first {n:,} of each are compared")
    real = Real(net, dataset, n, notes, cached)
    n = real.n
    a, b = first[:n], second[:n]
    found = [*_closed(net, real, a, b), *_by_parts(net, real, a, b, notes), *_by_sample(real, a, b)]
    if net.classes:
        judged, others = net.judge(a), net.judge(b)
        for i, label in enumerate(net.classes):
            counts = int((judged == i).sum()), int((others == i).sum())
            found.append(_shares(f"share:{label}", f"share of {label}", *counts, n, ""))
    order = ("fd", "fid", "fd_inf", "kd", "kid", "precision", "recall", "density", "coverage", "vendi")
    ranks = {k: i for i, k in enumerate(order)}
    return sorted(found, key=lambda d: ranks.get(d.key, len(ranks)))


def _closed(net: Extractor, real: Real, a: Tensor, b: Tensor) -> list[Difference]:
    """Figures without bias, whose errors are known in closed form."""
    found = []
    if enough(len(a), len(real.held_out), a.shape[1]):
        first, second = (frechet_limit(x, real.held_out) for x in (a, b))
        shared = second.influence_y - first.influence_y
        error = math.sqrt(float(first.influence_x.var() + second.influence_x.var()) / len(a)
                          + float(shared.var()) / len(shared))  # fmt: skip
        found.append(_normal("fd_inf", f"FD_inf({net.identity})", first.value, second.value, error, len(a),
                             "delta method, held-out items paired"))  # fmt: skip
    if real.balls >= 3:
        x, y, held_out = a[: real.balls], b[: real.balls], real.held_out[: real.balls]
        one, two, error = kernel_difference(held_out, x, y)
        found.append(
            _normal(key_of(net, "kd"), name_of(net, "kd"), one, two, error, len(x), "jackknife, held-out items paired")
        )
    return found


def _normal(key: str, name: str, first: float, second: float, error: float, n: int, how: str) -> Difference:
    gap = second - first
    interval = (gap - 1.96 * error, gap + 1.96 * error)
    return Difference(key, name, first, second, gap, interval, n, "lower", f"normal, 95%, {how}")


def _by_parts(net: Extractor, real: Real, a: Tensor, b: Tensor, notes: list[str]) -> list[Difference]:
    """Figures of whole sets, over disjoint parts of equal size."""
    parts = min(PARTS, len(a) // PART)
    if parts < 3:
        notes.append(f"figures of whole sets are compared from {3 * PART} samples on, and here are {len(a)}")
        return []
    size = len(a) // parts
    k, held_out = NEIGHBOURS, real.held_out[: real.balls]
    chosen: list[tuple[str, str, Callable[[Tensor], float]]] = [
        (key_of(net, "fd"), name_of(net, "fd"), lambda x: frechet_distance(x, real.held_out)),
        ("recall", f"recall({net.identity})", lambda x: precision_recall(held_out, x, k=k)[1]),
        ("coverage", f"coverage({net.identity})", lambda x: density_coverage(held_out, x, k=k)[1]),
        ("vendi", f"Vendi({net.identity})", vendi_score),
    ]
    if net.classes:
        chosen.append(("is", f"IS({net.identity})", lambda x: inception_score(net.logits(x))))
    found = []
    for key, name, measure in chosen:
        if key in ("recall", "coverage") and len(held_out) <= k:
            continue
        one, two = ([measure(part) for part in x[: parts * size].split(size)] for x in (a, b))
        first, second = sum(one) / parts, sum(two) / parts
        how = f"Welch's t, 95%, over {parts} disjoint sets of {size} samples each; held-out items fixed"
        better = "lower" if key in ("fd", "fid") else "higher"
        told = f"{name} at n = {size:,}"
        found.append(Difference(key, told, first, second, second - first, welch(one, two), size, better, how))
    return found


def _by_sample(real: Real, a: Tensor, b: Tensor) -> list[Difference]:
    """Precision: each sample by itself lies in a ball of real items or does not."""
    n, k, name = real.balls, NEIGHBOURS, real.net.identity
    if n <= k:
        return []
    counts = [round(n * precision_recall(real.held_out[:n], x[:n], k=k)[0]) for x in (a, b)]
    return [_shares("precision", f"precision({name})", counts[0], counts[1], n, "higher")]


def _shares(key: str, name: str, first: int, second: int, n: int, better: str) -> Difference:
    gap = (second - first) / n
    interval = newcombe(first, n, second, n)
    return Difference(key, name, first / n, second / n, gap, interval, n, better, "Newcombe, 95%; held-out items fixed")
