"""Pictures unlike the others: far from the rest in the principal components of small colour thumbnails."""

from __future__ import annotations

import numpy as np

from genloom.data.inspect.finding import Check, Finding, Outcome, few, plural
from genloom.data.inspect.pictures import Album

_COMPONENTS = 16
_FEWEST = 30  # fewer pictures do not say what is usual
_FAR = 6.0  # robust standard deviations of the logarithm of the distance
_SAMPLE = 20_000  # pictures that say what is usual
_USUAL = 0.95  # share of them that does
_BLOCK = 8192


def outliers(album: Album) -> Outcome:
    """A picture counts as unlike the rest if its distance stands out among all, not merely for being the largest."""
    how = f"{plural(len(album), 'picture')}; distance in {_COMPONENTS} principal components of 8x8 colour thumbnails"
    if len(album) < _FEWEST:
        return Outcome(Check("outliers", missing=f"fewer than {_FEWEST} pictures do not say what is usual"))
    distance = distances(album.colour)
    logs = np.log(distance + 1e-6)
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle))) + 1e-6
    score = (logs - middle) / spread
    found = np.argsort(-score)[: int((score > _FAR).sum())]
    check = Check("outliers", how)
    if not len(found):
        return Outcome(check)
    seen = f"{plural(len(found), 'picture')} unlike the rest in colour and coarse shape"
    advice = "look whether they belong; what matters may also be invisible to so simple a measure"
    names = [album.names[i] for i in found]
    shown = tuple((int(i),) for i in found[:12])
    return Outcome(check, (Finding("outliers", "note", seen, advice, few(names, 12), len(found), shown),))


def distances(colour: np.ndarray) -> np.ndarray:
    """How far each thumbnail (N, 8, 8, 3) is from the mean: Mahalanobis in the first components, and what they miss.

    Mean and components are taken twice, the second time without the furthest, which would else hide themselves.
    """
    n = len(colour)
    flat = colour.reshape(n, -1)
    rows = np.linspace(0, n - 1, min(n, _SAMPLE)).astype(np.int64)
    first = _far(flat[rows], flat[rows])
    usual = rows[np.sort(np.argsort(first)[: max(2, int(_USUAL * len(rows)))])]
    return np.concatenate([_far(flat[usual], flat[start : start + _BLOCK]) for start in range(0, n, _BLOCK)])


def _far(sample: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Distances of `asked` (M, 192) by the components of `sample` (N, 192)."""
    known = sample.astype(np.float64)
    mean = known.mean(0)
    values, vectors = np.linalg.eigh(np.cov(known - mean, rowvar=False) + np.eye(known.shape[1]) * 1e-3)
    keep = min(_COMPONENTS, len(known) // 3)
    values, vectors = values[::-1], vectors[:, ::-1]
    centred = asked.astype(np.float64) - mean
    scores = centred @ vectors[:, :keep]
    missed = np.maximum(0, (centred**2).sum(1) - (scores**2).sum(1))
    return np.sqrt((scores**2 / values[:keep]).sum(1) + missed / max(1e-3, float(values[keep:].sum())))
