"""Copies: exact ones by the hash of their content, near ones by low frequencies and then pixel by pixel.

A near copy is the same picture resized, compressed again, brightened, shifted or cropped a little. Looking for one
takes three steps, none of which compares all with all once there are many pictures:

1. Each picture is described by the 44 lowest frequencies (DCT) of its 32 x 32 grey thumbnail, less their mean over the
   data. Descriptions as they would be after a shift or crop are looked up too. Many pictures are first sorted into
   cells around chosen pictures; only one cell is searched.
2. Candidates are laid over each other (`register`) and their pixels correlated.
3. A high correlation alone means little where all pictures are alike (trousers, digits): a pair counts as a copy if it
   is far more alike than either picture is to its fourth nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from genloom.data.inspect.register import likeness

Progress = Callable[[float], None]
SIDE = 32
ALIKE = 0.97  # correlation that a copy has at least
SURE = 0.995  # correlation that makes a copy without asking the neighbours
CLOSER = 0.25  # else: its distance from 1 is at most this share of the fourth nearest's
_TOP = 8  # frequencies across and down, together
_COSINE = 0.9  # descriptions of candidates agree at least this much
_EACH = 2  # candidates of one picture from one look
_CELL = 512  # pictures to a cell, about
_ALL = 4096  # up to so many pictures all are compared
_FEW = 100  # up to so many pictures have no mean that would count
_BLOCK = 2048
_PLAIN = 2.0  # standard deviation of grey levels below which a picture shows nothing


def _looks() -> list[tuple[float, float, float, float]]:
    """Poses under which a copy is looked up: as it is, shifted, cropped around the middle and at the corners."""
    shifts = [(dx, dy, 0.0, 0.0) for dx in (-2.0, 0.0, 2.0) for dy in (-2.0, 0.0, 2.0)]
    corners = [(0.0, 0.0), (-1.5, -1.5), (1.5, -1.5), (-1.5, 1.5), (1.5, 1.5)]
    return sorted(shifts, key=lambda s: abs(s[0]) + abs(s[1])) + [(x, y, -0.1, -0.1) for x, y in corners]


LOOKS = np.array(_looks(), np.float32)


@dataclass(frozen=True)
class Pairs:
    """Near copies. first, second: rows (P,); score: their correlation (P,); compared: candidates that were laid over
    each other; skipped: candidates that were not, because there were too many."""

    first: np.ndarray
    second: np.ndarray
    score: np.ndarray
    compared: int = 0
    skipped: int = 0


def exact_groups(keys: np.ndarray) -> list[np.ndarray]:
    """Rows with the same key, largest group first. keys: (N,) of any type that can be sorted."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(keys[order][1:] != keys[order][:-1]) + 1
    groups = [g for g in np.split(order, edges) if len(g) > 1]
    return sorted(groups, key=lambda g: (-len(g), g[0]))


def plain(grey: np.ndarray) -> np.ndarray:
    """Which of the thumbnails (N, 32, 32) show nothing: one colour, or nearly so."""
    out = np.empty(len(grey), bool)
    for start in range(0, len(grey), _BLOCK):
        out[start : start + _BLOCK] = grey[start : start + _BLOCK].astype(np.float32).std((1, 2)) < _PLAIN
    return out


def _frequencies(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest cosines of a row and a column of a picture seen through `pose`: two matrices (9, 32)."""
    c = (SIDE - 1) / 2
    at = np.arange(SIDE)
    waves = np.cos(np.pi * (2 * at[None] + 1) * np.arange(_TOP + 1)[:, None] / (2 * SIDE))
    out = []
    for shift, zoom in ((pose[0], pose[2]), (pose[1], pose[3])):
        x = np.clip(c + (at - c) * np.exp(zoom) + shift, 0, SIDE - 1.001)
        low = x.astype(int)
        sample = np.zeros((SIDE, SIDE))
        sample[at, low] = 1 - (x - low)
        sample[at, low + 1] += x - low
        out.append((waves @ sample).astype(np.float32))
    return out[0], out[1]


_ORDERS = np.array([(i, j) for i in range(_TOP + 1) for j in range(_TOP + 1 - i) if i + j > 0])


def _describe(grey: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Low frequencies (N, 44) of thumbnails (N, 32, 32) seen through a pose, of length 1."""
    across, down = _frequencies(pose)
    out = np.empty((len(grey), len(_ORDERS)), np.float32)
    for start in range(0, len(grey), _BLOCK):
        block = np.asarray(grey[start : start + _BLOCK], np.float32)
        waves = down @ block @ across.T
        out[start : start + _BLOCK] = waves[:, _ORDERS[:, 0], _ORDERS[:, 1]]
    return _unit(out)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


def near_pairs(grey: np.ndarray, most: int = 200_000, progress: Progress = lambda share: None) -> Pairs:
    """Near copies among thumbnails (N, 32, 32) uint8, which may lie in a memory-mapped file.

    Leave exact copies and pictures that show nothing out before. most: candidates that are laid over each other;
    progress: told the share done.
    """
    nothing = np.empty(0, np.int64)
    if len(grey) < 2:
        return Pairs(nothing, nothing, np.empty(0))
    first, second, look, cosine = _candidates(grey, lambda share: progress(0.6 * share))
    skipped = max(0, len(first) - most)
    if skipped:
        keep = np.sort(np.argsort(-cosine, kind="stable")[:most])
        first, second, look = first[keep], second[keep], look[keep]
    score = np.full(len(first), -1.0, np.float32)
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        a, b = (np.asarray(grey[rows[part]], np.float32) for rows in (first, second))
        score[part] = likeness(a, b, LOOKS[look[part]])
        progress(0.6 + 0.4 * min(1.0, (start + _BLOCK) / len(first)))
    usual = _fourth(first, second, score, len(grey))
    other = np.maximum(usual[first], usual[second])
    copies = (score >= ALIKE) & ((score >= SURE) | (1 - score <= CLOSER * (1 - other)))
    order = np.flatnonzero(copies)[np.argsort(-score[copies], kind="stable")]
    return Pairs(first[order], second[order], score[order], len(first), skipped)


def _fourth(first: np.ndarray, second: np.ndarray, score: np.ndarray, n: int) -> np.ndarray:
    """The fourth highest score of each picture (n,), 0 where it has fewer candidates."""
    who, what = np.concatenate([first, second]), np.concatenate([score, score])
    order = np.lexsort((-what, who))
    who, what = who[order], what[order]
    rank = np.arange(len(who)) - np.searchsorted(who, who)
    out = np.zeros(n, np.float32)
    out[who[rank == 3]] = what[rank == 3]
    return out


def _candidates(grey: np.ndarray, progress: Progress) -> tuple[np.ndarray, ...]:
    """(first, second, look, cosine) of pairs that may be copies; each pair once, with its best look."""
    base = _describe(grey, LOOKS[0])
    mean = base.mean(0) * max(0.0, 1 - _FEW / len(base))  # a few pictures say nothing of what is usual
    base = _unit(base - mean)
    cells, anchors = _cells(base)
    found: list[tuple[np.ndarray, ...]] = []
    for number, pose in enumerate(LOOKS):
        seen = _unit(_describe(grey, pose) - mean)
        home = np.concatenate([(seen[s : s + _BLOCK] @ anchors.T).argmax(1) for s in range(0, len(seen), _BLOCK)])
        order = np.argsort(home, kind="stable")
        edges = np.searchsorted(home[order], np.arange(len(anchors) + 1))
        for cell, members in enumerate(cells):
            asking = order[edges[cell] : edges[cell + 1]]
            for start in range(0, len(asking), _BLOCK):
                found.append(_nearest(asking[start : start + _BLOCK], members, seen, base, number))
        progress((number + 1) / len(LOOKS))
    first, second, look, cosine = (np.concatenate(part) for part in zip(*found, strict=True))
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((-cosine, high, low))
    once = np.ones(len(order), bool)
    once[1:] = (low[order][1:] != low[order][:-1]) | (high[order][1:] != high[order][:-1])
    kept = order[once]
    return first[kept], second[kept], look[kept], cosine[kept]


def _nearest(
    asking: np.ndarray, members: np.ndarray, seen: np.ndarray, base: np.ndarray, look: int
) -> tuple[np.ndarray, ...]:
    """Up to _EACH members of a cell for each picture that asks, as (first, second, look, cosine)."""
    cosine = seen[asking] @ base[members].T
    cosine[asking[:, None] == members[None]] = -1
    count = min(_EACH, len(members))
    top = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
    value = np.take_along_axis(cosine, top, 1)
    row, column = np.nonzero(value >= _COSINE)
    return asking[row], members[top[row, column]], np.full(len(row), look), value[row, column]


def _cells(base: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of each cell, and what its pictures are near to. A picture is in the two cells it is nearest to."""
    n = len(base)
    if n <= _ALL:
        return [np.arange(n)], np.zeros((1, base.shape[1]), np.float32)
    anchors = base[np.linspace(0, n - 1, n // _CELL).astype(np.int64)]
    two = np.concatenate(
        [np.argpartition(-(base[s : s + _BLOCK] @ anchors.T), 1, axis=1)[:, :2] for s in range(0, n, _BLOCK)]
    )
    rows, homes = np.repeat(np.arange(n), 2), two.reshape(-1)
    order = np.argsort(homes, kind="stable")
    edges = np.searchsorted(homes[order], np.arange(1, len(anchors)))
    return [np.sort(rows[part]) for part in np.split(order, edges)], anchors
