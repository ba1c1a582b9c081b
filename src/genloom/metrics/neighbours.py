"""The nearest training items of samples: does the model invent, or recite?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.errors import BadData, BadValue
from genloom.metrics.base import Array, as_matrix


@dataclass(frozen=True)
class Neighbours:
    """indices, distances: (N, k), the nearest first; distances are Euclidean, in the units of what was compared."""

    indices: Tensor
    distances: Tensor


def nearest(queries: Array, reference: Array, *, k: int = 1, chunk: int = 4096) -> Neighbours:
    """The k rows of `reference` (M, ...) nearest to each row of `queries` (N, ...), in Euclidean distance.

    Pixels (uint8 or float) or features; later dimensions are flattened. The reference is read in chunks, so that bytes
    become floats piecewise; the distances of the winners are computed anew from differences, so that a copy is at 0.
    Raises BadValue where k exceeds the reference.
    """
    if not 1 <= k <= len(reference):
        raise BadValue(f"expected k between 1 and the {len(reference)} reference items, got {k}")
    q = as_matrix(queries, "queries").float()
    if not len(q):
        return Neighbours(torch.empty(0, k, dtype=torch.int64), torch.empty(0, k))
    best = torch.full((len(q), k), torch.inf)
    where = torch.zeros(len(q), k, dtype=torch.int64)
    # Shifting both sides changes no distance and keeps fp32 sums of large, similar numbers exact.
    centre = q.mean(0)
    shifted = q - centre
    for start in range(0, len(reference), chunk):
        rows = as_matrix(reference[start : start + chunk], "reference").float()
        if rows.shape[1] != q.shape[1]:
            raise BadData(f"queries of {q.shape[1]} dimensions, reference of {rows.shape[1]}: compare like with like")
        rows = rows - centre
        distances = torch.addmm(rows.square().sum(1), shifted, rows.T, alpha=-2)
        candidates = torch.cat([best, distances], 1)
        places = torch.arange(start, start + len(rows)).expand(len(q), -1)
        best, order = candidates.topk(k, largest=False)
        where = torch.cat([where, places], 1).gather(1, order)
    found = as_matrix(reference[where.flatten()], "reference").float().view(len(q), k, -1)
    exact = (found - q[:, None]).double().norm(dim=2)
    exact, order = exact.sort(dim=1, stable=True)
    return Neighbours(where.gather(1, order), exact.float())
