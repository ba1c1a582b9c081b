"""The sliced Wasserstein-2 distance (Rabin et al. 2011; Bonneel et al. 2015): the root mean square, over random
directions, of the one-dimensional distance, which only needs sorting. Cheap enough to watch a GAN while it trains.

A pure shift by v in D dimensions gives |v| / sqrt(D) on average over directions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, pair

CITATION = (
    "@article{bonneel2015sliced, title={Sliced and Radon Wasserstein Barycenters of Measures}, author={Bonneel, "
    "Nicolas and Rabin, Julien and Peyr{\\'e}, Gabriel and Pfister, Hanspeter}, journal={Journal of "
    "Mathematical Imaging and Vision}, volume={51}, pages={22--45}, year={2015}}"
)


def sliced_wasserstein(x: Array, y: Array, *, generator: torch.Generator, projections: int = 256) -> float:
    """The distance between the rows of x (N, ...) and y (M, ...); later dimensions are flattened; fp32.

    generator: a CPU generator; the same state gives the same directions. The units are those of the values; the least
    distance two sets of n items of one distribution can show falls as 1/sqrt(n): compare equal n only.
    """
    a, b = (t.float() for t in pair(x, y))
    if not len(a) or not len(b) or projections < 1:
        raise BadValue(f"expected items on both sides and a direction, got {len(a)}, {len(b)} and {projections}")
    directions = torch.randn(a.shape[1], projections, generator=generator)
    directions /= directions.norm(dim=0)
    u, v = (a @ directions).sort(0).values, (b @ directions).sort(0).values
    if len(u) != len(v):
        u, v = _quantiles(u, max(len(u), len(v))), _quantiles(v, max(len(u), len(v)))
    return float((u - v).double().square().mean().sqrt())


def _quantiles(ordered: Tensor, n: int) -> Tensor:
    """The step quantile function of ordered rows (M, P) at the n midpoints (i + 1/2) / n."""
    index = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * len(ordered)).long()
    return ordered[index]
