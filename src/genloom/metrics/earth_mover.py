"""The earth mover's distance between two sets of points: the least mean distance over which one must be carried to
become the other (Rubner et al. 2000; the 1-Wasserstein distance of the empirical distributions, 2-Wasserstein for p =
2).

Exact, by solving the assignment problem, so meant for low dimensions and a few thousand points. In many dimensions
nearly all points are equally far from each other and the distance says little: use the sliced one.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import wasserstein_distance_nd

from genloom.errors import BadValue
from genloom.metrics.base import Array, pair

CITATION = (
    "@article{rubner2000earth, title={The Earth Mover's Distance as a Metric for Image Retrieval}, author={Rubner, "
    "Yossi and Tomasi, Carlo and Guibas, Leonidas J.}, journal={IJCV}, volume={40}, pages={99--121}, year={2000}}"
)
MOST = 5_000  # an assignment of this many points takes some seconds
UNEQUAL = 150  # unequal sets need a linear programme over all pairs


def earth_mover(x: Array, y: Array, *, p: int = 1) -> float:
    """Between points (N, D) and (M, D), with p = 1 or 2. Unequal numbers are allowed for p = 1 and few points.

    Raises BadValue where there is nothing to carry, or too much.
    """
    a, b = (t.double() for t in pair(x, y))
    n, m = len(a), len(b)
    if not n or not m or p not in (1, 2):
        raise BadValue(f"an earth mover's distance needs points on both sides and p of 1 or 2, got {n}, {m}, p = {p}")
    if n != m:
        if p != 1 or max(n, m) > UNEQUAL:
            raise BadValue(f"got {n} and {m} points: give equally many (unequal: p = 1 and at most {UNEQUAL})")
        return float(wasserstein_distance_nd(a.numpy(), b.numpy()))
    if n > MOST:
        raise BadValue(f"got {n} points a side, at most {MOST:,} can be matched exactly: draw fewer")
    cost = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").pow_(p).numpy()
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean() ** (1 / p))
