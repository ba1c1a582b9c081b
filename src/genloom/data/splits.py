"""Which items train, validate and test: decided by content, so the same items fall the same way everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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


def content_keys(images: Tensor) -> list[bytes]:
    """A short hash of each image of (N, C, H, W); equal pictures have equal keys."""
    return [hashlib.blake2b(np.ascontiguousarray(item).data, digest_size=12).digest() for item in images.numpy()]


def by_content(
    keys: Sequence[bytes], labels: np.ndarray, notes: list[str], shares: tuple[float, float] = (0.1, 0.1)
) -> Rows:
    """Rows for train, validation (shares[0]) and test (shares[1]) by content hash, class by class.

    Items of one key stay together, so no copy of a training item is held out. Every split that is to have a share gets
    an item at least; two items make one to train and one for both others.
    """
    groups: dict[int, dict[bytes, list[int]]] = {}
    for i, (key, label) in enumerate(zip(keys, labels.tolist(), strict=True)):
        groups.setdefault(label, {}).setdefault(key, []).append(i)
    parts: tuple[list[list[int]], list[list[int]], list[list[int]]] = ([], [], [])
    homes: dict[bytes, int] = {}
    for label in sorted(groups):
        mine = sorted(groups[label].items())
        wanted = [int(share * len(mine) + 0.5) for share in shares]
        for key, rows in mine:
            part = homes.get(key)  # the same picture in another class
            if part is None:
                part = 1 if wanted[0] > 0 else 2 if wanted[1] > 0 else 0
            if part > 0:
                wanted[part - 1] -= 1
            homes[key] = part
            parts[part].append(rows)
    for part, share in ((1, shares[0]), (2, shares[1])):
        if share > 0 and not parts[part] and len(parts[0]) > 1:
            parts[part].append(parts[0].pop())
    train, validation, test = ([i for rows in part for i in rows] for part in parts)
    copies = len(keys) - len(homes)
    if copies:
        notes.append(f"{copies} items are exact copies of others; copies stay in one split")
    if not validation:
        validation = test or train
        notes.append("too few different items for a validation part: it reuses others")
    if shares[1] > 0 and not test:
        test = validation
        notes.append("too few different items for a test part: it reuses the validation items")
    first, second, third = (_interleaved(rows, labels) for rows in (train, validation, test))
    return first, second, third


def _interleaved(rows: list[int], labels: np.ndarray) -> Tensor:
    """Rows in an order whose every prefix holds the classes in equal shares."""
    if not rows:
        return torch.empty(0, dtype=torch.int64)
    at = np.array(rows, np.int64)
    order = stratified(labels[at], (len(at), 0, 0), "prefix")[0].numpy()
    return torch.from_numpy(at[order])
