"""What models lose first: the rare. Which held-out items have a sample nearby, by class and in the tail of the data.

An item is covered where a sample lies in the ball that reaches to its k-th nearest other held-out item (the coverage of
Naeem et al. 2020, item by item). Rare are the tenth of the held-out items that lie furthest from their k-th nearest
training item. Balls of rare items are large, so samples like the data cover them as often as any.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, pair
from genloom.metrics.precision_recall import radii, squared_distances

RARE = 0.1  # of the held-out items


def covered(real: Array, fake: Array, *, k: int = 5, chunk: int = 1024) -> Tensor:
    """Which rows of `real` (N, D) have a row of `fake` in their ball: bool (N,). An item on the edge is inside.

    Raises BadValue unless there are more than k real items and a sample.
    """
    a, b = (t.float() for t in pair(real, fake))
    if k < 1 or len(a) <= k or not len(b):
        raise BadValue(f"coverage with k = {k} needs more than k real items and a sample, got {len(a)} and {len(b)}")
    centre = a.mean(0)
    a, b = a - centre, b - centre
    slack = 8 * torch.finfo(torch.float32).eps * max(float(a.square().sum(1).max()), float(b.square().sum(1).max()))
    edge = radii(a, k, chunk) + slack
    found = torch.zeros(len(a), dtype=torch.bool)
    for part in b.split(chunk):
        found |= (squared_distances(part, a) <= edge).any(0)
    return found


def rare(held_out: Array, train: Array, *, k: int = 5, share: float = RARE, chunk: int = 1024) -> Tensor:
    """Places in `held_out` (N, D) of the share that lies furthest from its k-th nearest row of `train` (M, D)."""
    a, b = (t.float() for t in pair(held_out, train))
    if len(b) < k or not len(a):
        raise BadValue(f"rare items need {k} training items and a held-out one, got {len(b)} and {len(a)}")
    centre = b.mean(0)
    parts = [
        torch.topk(squared_distances(part, b - centre), k, largest=False, sorted=True).values[:, -1]
        for part in (a - centre).split(chunk)
    ]
    count = max(1, math.ceil(share * len(a)))
    return torch.cat(parts).argsort(descending=True, stable=True)[:count].sort().values


def least_covered(found: Tensor, labels: Tensor, classes: int) -> tuple[int, float]:
    """(the class whose items are covered least, the share of them that is); classes without items are passed over."""
    shares = [(float(found[labels == c].double().mean()), c) for c in range(classes) if (labels == c).any()]
    if not shares:
        raise BadValue("no item has a class")
    value, index = min(shares)
    return index, value
