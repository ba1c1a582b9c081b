"""Which items train, validate and test: decided by content, so the same items fall the same way everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from genloom.core import derive_seed

Rows = tuple[Tensor, Tensor, Tensor]


def shuffled(n: int, *seed: object) -> np.ndarray:
    """A fixed order of range(n) that depends on `seed` alone, not on numpy's generators."""
    keys = [hashlib.blake2b(f"{derive_seed(*seed)}/{i}".encode(), digest_size=8).digest() for i in range(n)]
    return np.array(sorted(range(n), key=keys.__getitem__), dtype=np.int64)


def stratified(labels: np.ndarray, counts: tuple[int, int, int], *seed: object) -> Rows:
    """Rows for three splits of `counts` items, each with the classes in equal shares as far as it goes.

    Every prefix of a split is balanced too: classes alternate.
    """
    order = shuffled(len(labels), *seed)
    place = np.empty(len(labels), np.float64)
    for value in np.unique(labels):
        mine = order[labels[order] == value]
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    rank = np.empty(len(labels), np.int64)
    rank[order] = np.arange(len(labels))
    spread = np.lexsort((rank, place))  # one item of every class, then the next of every class, ...
    ends = np.cumsum(counts)
    first, second, third = np.split(spread[: ends[2]], ends[:2])
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(third)
