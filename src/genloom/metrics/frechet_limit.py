"""What a Frechet distance would be with endless items on both sides: FD_inf, after Chong & Forsyth (2020, section 3).

The distance between finite sets is too large by about a/n + b/m. Over subsets that hold a 1/k part of both sides, that
excess is k times as large, so a straight line through the mean distances of the k-th parts, k = 1..4, meets k = 0 at
the distance without it. The parts are disjoint and taken in the order given, which must be a random one: then nothing
depends on further draws. Chong & Forsyth extrapolate in the samples alone, which leaves the held-out items' share.

The interval is the delta method's. The gradient of the squared distance with respect to a covariance is I - T, with T
the optimal transport map between the two Gaussians (Bhatia, Jain & Lim 2019), so each item's influence is known in
closed form, whatever the law of the features. It covers the chance in samples and held-out items. Near 0, where all
influences vanish, it is somewhat too wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, Result, pair
from genloom.metrics.frechet import frechet_from_moments, moments

CITATION = (
    "@inproceedings{chong2020effectively, title={Effectively Unbiased {FID} and Inception Score and Where to "
    "Find Them}, author={Chong, Min Jin and Forsyth, David}, booktitle={CVPR}, year={2020}}"
)
PARTS = 4  # the finest cut
LEAST = 2  # items of the smallest part for each dimension: below, covariances are too far from the straight line


@dataclass(frozen=True)
class Limit:
    """value: the distance without bias, below 0 at times; error: its standard error; influence_x (N,), influence_y
    (M,): what each item adds, centred, so that errors of differences can be had too."""

    value: float
    error: float
    influence_x: Tensor
    influence_y: Tensor


def enough(n: int, m: int, dimensions: int) -> bool:
    """Whether so many items on the two sides allow an extrapolation."""
    return min(n, m) // PARTS >= LEAST * dimensions


def frechet_limit(x: Array, y: Array) -> Limit:
    """Between two sets of features (N, D) and (M, D), both in random order.

    Raises BadValue with fewer than 8 D items on a side.
    """
    a, b = pair(x, y)
    n, m, d = len(a), len(b), a.shape[1]
    if not enough(n, m, d):
        raise BadValue(f"FD_inf needs {PARTS * LEAST * d} items on each side, got {n} and {m}: measure more")
    means = []
    for k in range(1, PARTS + 1):
        found = [
            frechet_from_moments(*moments(p), *moments(q))
            for p, q in zip(a.tensor_split(k), b.tensor_split(k), strict=True)
        ]
        means.append(sum(found) / k)
    ks = torch.arange(1, PARTS + 1, dtype=torch.float64)
    design = torch.stack([torch.ones_like(ks), ks], 1)
    line = torch.linalg.lstsq(design, torch.tensor(means, dtype=torch.float64)[:, None]).solution
    first, second = _influences(a.double(), b.double())
    error = (first.var() / n + second.var() / m).sqrt()
    return Limit(float(line[0, 0]), float(error), first, second)


def _influences(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """How much each row of x (N, D) and y (M, D), float64, moves the squared distance, centred."""
    m1, s1 = moments(x)
    m2, s2 = moments(y)
    out = []
    for rows, mean, cov, other_mean, other in ((x, m1, s1, m2, s2), (y, m2, s2, m1, s1)):
        centred = rows - mean
        bend = torch.eye(len(cov), dtype=cov.dtype) - _transport(cov, other)
        moved = 2 * centred @ (mean - other_mean) + ((centred @ bend) * centred).sum(1)
        out.append(moved - moved.mean())
    return out[0], out[1]


def _transport(s1: Tensor, s2: Tensor) -> Tensor:
    """The linear map (D, D) that carries the Gaussian of covariance s1 to that of s2, on the span of s1."""
    values, vectors = torch.linalg.eigh(s1)
    small = values <= 1e-10 * values.max().clamp_min(1e-300)
    root = values.clamp_min(0).sqrt()
    back = torch.where(small, 0, root.clamp_min(1e-150).reciprocal())
    half, inverse = (vectors * root) @ vectors.T, (vectors * back) @ vectors.T
    inner, axes = torch.linalg.eigh(half @ s2 @ half)
    return inverse @ ((axes * inner.clamp_min(0).sqrt()) @ axes.T) @ inverse


def frechet_limit_result(real: Array, fake: Array, *, features: str, floor: float | None = None) -> Result:
    """The figure with its protocol; `features` names the extractor, `floor` is what real items score."""
    found = frechet_limit(fake, real)
    protocol = {
        "features": features,
        "n_held_out": len(real),
        "floor": floor,
        "parts": f"1 to {PARTS}, disjoint, of both sides",
        "standard_error": found.error,
        "interval": "normal, 95%, delta method over samples and held-out items",
    }
    interval = (found.value - 1.96 * found.error, found.value + 1.96 * found.error)
    return Result("fd_inf", f"FD_inf({features})", found.value, interval, len(fake), protocol, CITATION, "lower")
