"""Which items train, validate and test: decided by content, so the same items fall the same way everywhere.

Everything here is a few passes over columns: ten million items take seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from genloom.core import derive_seed

Rows = tuple[Tensor, Tensor, Tensor]
KEY_BYTES = 12
KEY = np.dtype(f"S{KEY_BYTES}")
_CHUNK = 1 << 16


def shuffled(n: int, *seed: object) -> np.ndarray:
    """A fixed order of range(n) that depends on `seed` alone, not on numpy's generators."""
    base = b"%d/" % derive_seed(*seed)
    keys = np.empty(n, ">u8")
    for start in range(0, n, _CHUNK):
        numbers = range(start, min(start + _CHUNK, n))
        found = b"".join(hashlib.blake2b(base + b"%d" % i, digest_size=8).digest() for i in numbers)
        keys[start : start + len(numbers)] = np.frombuffer(found, ">u8")
    return np.argsort(keys.astype(np.uint64), kind="stable")


def stratified(labels: np.ndarray, counts: tuple[int, int, int], *seed: object) -> Rows:
    """Rows for three splits of `counts` items, each with the classes in equal shares as far as it goes.

    Every prefix of a split is balanced too: classes alternate.
    """
    order = shuffled(len(labels), *seed)
    spread = _alternating(order, labels[order])  # one item of every class, then the next of every class, ...
    ends = np.cumsum(counts)
    first, second, third = np.split(spread[: ends[2]], ends[:2])
    return torch.from_numpy(first), torch.from_numpy(second), torch.from_numpy(third)


def _alternating(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The rows with every class spread evenly from start to end; within a class the order is as before."""
    groups = _groups(labels)
    if len(groups) < 2:
        return rows
    place = np.empty(len(labels), np.float64)
    for mine in groups:
        place[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    return rows[np.argsort(place, kind="stable")]


def _groups(labels: np.ndarray) -> list[np.ndarray]:
    """The places of each label, ascending, by ascending label."""
    if not len(labels) or labels.min() == labels.max():
        return [np.arange(len(labels), dtype=np.int32)] if len(labels) else []
    small = labels.astype(np.int16) if labels.min() >= 0 and labels.max() < 1 << 15 else labels  # sorted by counting
    order = np.argsort(small, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(small[order])) + 1)


def content_keys(images: Tensor | np.ndarray) -> np.ndarray:
    """A short hash of each image of (N, C, H, W) as bytes, (N,) of type S12; equal pictures have equal keys."""
    array = images.numpy() if isinstance(images, Tensor) else images
    found = b"".join(content_key(np.ascontiguousarray(item)) for item in array)
    return np.frombuffer(found, KEY).copy()


def content_key(image_CHW: np.ndarray) -> bytes:
    """The hash of one image, 12 bytes; its memory must be contiguous."""
    return hashlib.blake2b(image_CHW.data, digest_size=KEY_BYTES).digest()


def by_content(
    keys: Sequence[bytes] | np.ndarray,
    labels: np.ndarray,
    notes: list[str],
    shares: tuple[float, float] = (0.1, 0.1),
) -> Rows:
    """Rows for train, validation (shares[0]) and test (shares[1]) by content hash, class by class.

    keys: 12 bytes an item. Items of one key stay together, so no copy of a training item is held out. Every split that
    is to have a share gets an item at least; two items make one to train and one for both others. Within a split the
    order is that of the hashes, which is as good as a shuffled one, and every prefix has the classes in equal shares.
    """
    labels = np.asarray(labels)
    order, kind, kinds = _by_key(np.asarray(keys, KEY))
    if len(groups := _groups(labels[order])) > 1:  # by class, within it by key
        by_class = np.concatenate(groups)
        order, kind = order[by_class], kind[by_class]
    lengths = [len(group) for group in groups]
    del groups
    parts = np.empty(len(labels), np.int8)  # of the item at each place of `order`
    homes = np.full(kinds, -1, np.int8)  # of a key that another class has placed
    units = np.zeros(3, np.int64)  # different items in each part
    stop = 0
    for length in lengths:
        start, stop = stop, stop + length
        first = np.ones(length, bool)
        np.not_equal(kind[start + 1 : stop], kind[start : stop - 1], out=first[1:])
        mine = kind[start:stop][first]
        part = _deal(homes[mine], [int(share * len(mine) + 0.5) for share in shares])
        homes[mine] = part
        units += np.bincount(part, minlength=3)
        parts[start:stop] = part[np.cumsum(first, dtype=kind.dtype) - 1]
    for p, share in ((1, shares[0]), (2, shares[1])):
        if share > 0 and not units[p] and units[0] > 1:
            parts[_last_unit(parts, kind, labels, order)] = p
            units[p], units[0] = 1, units[0] - 1
    del kind, homes
    rows = []
    for p in range(3):
        chosen = order[parts == p].astype(np.int64)
        rows.append(torch.from_numpy(_alternating(chosen, labels[chosen])))
    train, validation, test = rows
    if copies := len(labels) - kinds:
        notes.append(f"{copies} items are exact copies of others; copies stay in one split")
    if not len(validation):
        validation = test if len(test) else train
        notes.append("too few different items for a validation part: it reuses others")
    if shares[1] > 0 and not len(test):
        test = validation
        notes.append("too few different items for a test part: it reuses the validation items")
    return train, validation, test


def _by_key(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(the rows sorted by key, the number of the key at each place, how many different keys); copies stay in order."""
    raw = np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), KEY_BYTES)
    high = np.ascontiguousarray(raw[:, :8]).view(">u8")[:, 0].astype(np.uint64)
    low = raw[:, 8:]
    small = np.int32 if len(keys) < 1 << 31 else np.int64
    order = np.argsort(high, kind="stable").astype(small, copy=False)
    differs = _differs(high, order)
    ties = np.flatnonzero(~differs) + 1
    unlike = ties[(low[order[ties]] != low[order[ties - 1]]).any(1)]
    if len(unlike):  # 64 bits agree and the rest does not
        last = np.ascontiguousarray(low).view(">u4")[:, 0].astype(np.uint32)
        order = np.lexsort((last, high)).astype(small, copy=False)
        differs = _differs(high, order) | _differs(last, order)
    kind = np.zeros(len(keys), small)
    np.cumsum(differs, out=kind[1:])
    return order, kind, int(kind[-1]) + 1 if len(kind) else 0


def _differs(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Whether each value but the first differs from the one before it in this order."""
    found = np.empty(max(0, len(order) - 1), bool)
    for i in range(0, len(found), _CHUNK):
        part = values[order[i : i + _CHUNK + 1]]
        np.not_equal(part[1:], part[:-1], out=found[i : i + _CHUNK])
    return found


def _deal(homes: np.ndarray, wanted: list[int]) -> np.ndarray:
    """The part of each different item of a class, in the order of keys: validation until it has enough, then test.

    homes: where another class has put the same item already (-1: nowhere); those count towards what is wanted.
    """
    part = homes.copy()
    free = homes < 0
    for p, count in ((1, wanted[0]), (2, wanted[1])):
        counted = free | (homes == p)
        taken = np.cumsum(counted, dtype=np.int32) - counted  # before each
        chosen = free & (taken < count)
        part[chosen] = p
        free &= ~chosen
    part[free] = 0
    return part


def _last_unit(parts: np.ndarray, kind: np.ndarray, labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Places of the last item, with its copies, that trains: the last class's last key."""
    trained = np.flatnonzero(parts == 0)
    last = trained[-1]
    return trained[(kind[trained] == kind[last]) & (labels[order[trained]] == labels[order[last]])]
