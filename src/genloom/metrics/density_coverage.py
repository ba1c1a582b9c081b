"""Density and coverage (Naeem et al. 2020, eqs. 7 and 10): precision and recall that a few outliers cannot fool.

Around each *real* item lies a ball that reaches to its k-th nearest other real item. Density is the mean number of
balls a sample lies in, divided by k: 1 for samples like real items, above 1 where samples crowd into dense regions.
Coverage is the share of real items whose ball holds a sample. Both use balls of real items alone, so an outlier among
the samples, whose ball is huge, covers nothing.
"""

from __future__ import annotations

import torch

from genloom.errors import BadValue
from genloom.metrics.base import Array, Result, pair
from genloom.metrics.precision_recall import radii, squared_distances
from genloom.metrics.shares import clopper_pearson

CITATION = (
    "@inproceedings{naeem2020reliable, title={Reliable Fidelity and Diversity Metrics for Generative Models}, "
    "author={Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun}, "
    "booktitle={ICML}, year={2020}}"
)


def density_coverage(real: Array, fake: Array, *, k: int = 5, chunk: int = 1024) -> tuple[float, float]:
    """Density and coverage of `fake` (M, D) against `real` (N, D); an item on a ball's edge is inside.

    Raises BadValue unless there are more than k real items and at least one sample.
    """
    a, b = (t.float() for t in pair(real, fake))
    if k < 1 or len(a) <= k or not len(b):
        raise BadValue(f"density and coverage with k = {k} need more than k real items and a sample, "
                       f"got {len(a)} and {len(b)}")  # fmt: skip
    centre = a.mean(0)
    a, b = a - centre, b - centre
    slack = 8 * torch.finfo(torch.float32).eps * max(float(a.square().sum(1).max()), float(b.square().sum(1).max()))
    edge = radii(a, k, chunk) + slack
    balls, covered = 0, torch.zeros(len(a), dtype=torch.bool)
    for part in b.split(chunk):
        inside = squared_distances(part, a) <= edge
        balls += int(inside.sum())
        covered |= inside.any(0)
    return balls / (k * len(b)), float(covered.double().mean())


def density_coverage_results(real: Array, fake: Array, *, k: int = 5, features: str) -> tuple[Result, Result]:
    """Both figures with their protocol. Coverage has the exact interval of a share, given the samples."""
    density, coverage = density_coverage(real, fake, k=k)
    protocol = {"k": k, "features": features, "n_held_out": len(real)}
    interval = clopper_pearson(round(coverage * len(real)), len(real))
    how = {**protocol, "n_samples": len(fake), "interval": "Clopper-Pearson, 95%, given the samples"}
    return (
        Result("density", f"density({features})", density, None, len(fake), protocol, CITATION, ""),
        Result("coverage", f"coverage({features})", coverage, interval, len(real), how, CITATION, "higher"),
    )
