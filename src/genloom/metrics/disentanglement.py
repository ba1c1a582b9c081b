"""How cleanly latents keep factors apart, where the factors of each item are known: MIG and SAP.

MIG (Chen et al. 2018, eq. 6): of each factor, the mutual information with the latent that knows most of it less that of
the second, over the factor's entropy; 1 where each factor stands in one latent alone, 0 where two know it equally well.
Latents are cut into 20 bins of equal mass for it, and the information that chance gives so many bins (Miller & Madow
1955) is taken off: without that, latents of noise score above 0 on few items.

SAP (Kumar, Sattigeri & Balakrishnan 2018): the same difference with how well one latent alone predicts the factor: the
squared correlation where the factor is a number, the accuracy of a threshold rule per class, balanced over classes,
where it is a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.svm import LinearSVC
from torch import Tensor

from genloom.errors import BadData, BadValue
from genloom.metrics.base import Array, as_matrix

CITATIONS = {
    "mig": (
        "@inproceedings{chen2018isolating, title={Isolating Sources of Disentanglement in Variational Autoencoders}, "
        "author={Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David}, booktitle={NeurIPS}, "
        "year={2018}}"
    ),
    "sap": (
        "@inproceedings{kumar2018variational, title={Variational Inference of Disentangled Latent Concepts from "
        "Unlabeled Observations}, author={Kumar, Abhishek and Sattigeri, Prasanna and Balakrishnan, Avinash}, "
        "booktitle={ICLR}, year={2018}}"
    ),
}
BINS = 20


@dataclass(frozen=True)
class Disentanglement:
    """score: the mean over factors; factors: of each by name; scores: (latents, factors), what each latent knows."""

    score: float
    factors: Mapping[str, float]
    scores: Tensor


def mig(latents: Array, factors: Mapping[str, Tensor], bins: int = BINS) -> Disentanglement:
    """The mutual information gap. latents (N, D); factors: by name (N,), integers for classes, floats for numbers.

    Raises BadValue for fewer than two latents or 10 items a bin, BadData for a factor that never changes.
    """
    x = _checked(latents, factors, 10 * bins)
    codes = [_binned(column, bins) for column in x.T]
    table = np.zeros((len(codes), len(factors)))
    for j, (name, values) in enumerate(factors.items()):
        factor = _classes(name, values, bins)
        entropy = _entropy(np.bincount(factor))
        for i, code in enumerate(codes):
            table[i, j] = _information(code, factor) / entropy
    return _gaps(table, factors)


def sap(latents: Array, factors: Mapping[str, Tensor]) -> Disentanglement:
    """The separated attribute predictability. latents (N, D); factors as in `mig`; the first half of the items fits,
    the second is predicted, so rows should be in random order. Raises BadValue and BadData as `mig` does."""
    x = _checked(latents, factors, 20)
    table = np.zeros((x.shape[1], len(factors)))
    half = len(x) // 2
    for j, (name, values) in enumerate(factors.items()):
        if values.is_floating_point():
            y = values.double().numpy()
            if y.std() == 0:
                raise BadData(f"the factor {name} never changes: leave it out")
            moving = x.std(0) > 0
            table[moving, j] = np.corrcoef(x[:, moving].T, y)[-1, :-1] ** 2
            continue
        labels = _classes(name, values, 0)
        if len(np.unique(labels[:half])) < 2:
            raise BadData(f"the factor {name} never changes in the first half of the items: shuffle them")
        for i in range(x.shape[1]):
            scale = x[:half, i].std() or 1.0
            column = ((x[:, i] - x[:half, i].mean()) / scale)[:, None]
            model = LinearSVC(C=1.0, class_weight="balanced", dual=False).fit(column[:half], labels[:half])
            right = model.predict(column[half:]) == labels[half:]
            table[i, j] = np.mean([right[labels[half:] == c].mean() for c in np.unique(labels[half:])])
    return _gaps(table, factors)


def _checked(latents: Array, factors: Mapping[str, Tensor], least: int) -> NDArray[np.float64]:
    x = as_matrix(latents, "latents").double().numpy()
    if x.shape[1] < 2 or len(x) < least:
        raise BadValue(f"expected at least 2 latents and {least} items, got {x.shape[1]} and {len(x)}")
    for name, values in factors.items():
        if values.shape != (len(x),):
            raise BadData(f"the factor {name} has shape {tuple(values.shape)}, expected ({len(x)},)")
    if not factors:
        raise BadValue("expected a factor, got none")
    return x


def _binned(values: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bins of equal mass; equal values share one."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _classes(name: str, values: Tensor, bins: int) -> NDArray[np.int64]:
    found = values.double().numpy() if values.is_floating_point() else values.numpy()
    made = _binned(found, bins) if values.is_floating_point() else np.unique(found, return_inverse=True)[1]
    if made.min() == made.max():
        raise BadData(f"the factor {name} never changes: leave it out")
    return made


def _entropy(counts: NDArray[np.int64]) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum())


def _information(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Mutual information in nats, less what chance gives: (cells - 1) - (rows - 1) - (columns - 1) over 2N."""
    table = np.zeros((a.max() + 1, b.max() + 1), np.int64)
    np.add.at(table, (a, b), 1)
    rows, columns = (int((table.sum(axis) > 0).sum()) for axis in (1, 0))
    chance = (rows - 1) * (columns - 1) / (2 * len(a))
    plain = _entropy(table.sum(1)) + _entropy(table.sum(0)) - _entropy(table.ravel())
    return max(0.0, plain - chance)


def _gaps(table: NDArray[np.float64], factors: Mapping[str, Tensor]) -> Disentanglement:
    order = np.sort(table, axis=0)
    gaps = dict(zip(factors, (order[-1] - order[-2]).tolist(), strict=True))
    return Disentanglement(float(np.mean(list(gaps.values()))), gaps, torch.from_numpy(table))
