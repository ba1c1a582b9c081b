"""The nearest training items of samples: does the model invent, or recite?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from genloom.core import Batch
from genloom.errors import BadData, BadValue
from genloom.metrics.base import Array, as_matrix, spread


@dataclass(frozen=True)
class Neighbours:
    """indices, distances: (N, k), the nearest first; distances are Euclidean, in the units of what was compared."""

    indices: Tensor
    distances: Tensor


class Stored(Protocol):
    """A split whose items are read by index as they are stored: `genloom.data`'s Split."""

    def __len__(self) -> int: ...

    def raw(self, index: Tensor) -> Batch: ...


def nearest(queries: Array, reference: Array, *, k: int = 1, chunk: int = 4096) -> Neighbours:
    """The k rows of `reference` (M, ...) nearest to each row of `queries` (N, ...), in Euclidean distance.

    Pixels (uint8 or float) or features; later dimensions are flattened. The reference is read in chunks, so that bytes
    become floats piecewise; the distances of the winners are computed anew from differences, so that a copy is at 0.
    Raises BadValue where k exceeds the reference.
    """
    return _search(queries, len(reference), lambda rows: reference[rows], k, chunk)


def nearest_in(
    split: Stored, key: str, queries: Array, *, k: int = 1, limit: int | None = None, chunk: int = 4096
) -> Neighbours:
    """The same among the items of a split, field `key` as it is stored (images: bytes), which need not fit into memory.

    Items are read in blocks by their index; `indices` are theirs. limit: looks at so many items only, spread evenly.
    Raises BadValue where k exceeds the items.
    """
    if limit is None or limit >= len(split):
        return _search(queries, len(split), lambda rows: split.raw(rows)[key], k, chunk)
    chosen = spread(len(split), max(1, limit))
    found = _search(queries, len(chosen), lambda rows: split.raw(chosen[rows])[key], k, chunk)
    return Neighbours(chosen[found.indices], found.distances)


def _search(queries: Array, n: int, read: Callable[[Tensor], Array], k: int, chunk: int) -> Neighbours:
    """read(rows) -> those rows of a reference of n."""
    if not 1 <= k <= n:
        raise BadValue(f"expected k between 1 and the {n} reference items, got {k}")
    q = as_matrix(queries, "queries").float()
    if not len(q):
        return Neighbours(torch.empty(0, k, dtype=torch.int64), torch.empty(0, k))
    best = torch.full((len(q), k), torch.inf)
    where = torch.zeros(len(q), k, dtype=torch.int64)
    # Shifting both sides changes no distance and keeps fp32 sums of large, similar numbers exact.
    centre = q.mean(0)
    shifted = q - centre
    for rows in _blocks(n, chunk):
        block = as_matrix(read(rows), "reference").float()
        if block.shape[1] != q.shape[1]:
            raise BadData(f"queries of {q.shape[1]} dimensions, reference of {block.shape[1]}: compare like with like")
        block = block - centre
        distances = torch.addmm(block.square().sum(1), shifted, block.T, alpha=-2)
        best, order = torch.cat([best, distances], 1).topk(k, largest=False)
        where = torch.cat([where, rows.expand(len(q), -1)], 1).gather(1, order)
    found = as_matrix(read(where.flatten()), "reference").float().view(len(q), k, -1)
    exact = (found - q[:, None]).double().norm(dim=2)
    exact, order = exact.sort(dim=1, stable=True)
    return Neighbours(where.gather(1, order), exact.float())


def _blocks(n: int, size: int) -> Iterator[Tensor]:
    return (torch.arange(start, min(start + size, n)) for start in range(0, n, size))
