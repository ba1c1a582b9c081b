"""The Frechet distance between two Gaussians fitted to features (Dowson & Landau 1982; Heusel et al. 2017, eq. 6).

    d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

Everything is computed in float64. The last trace is a sum of square roots of eigenvalues of a *symmetric* matrix:
with S1 = L L^T the products S1 S2 and L^T S2 L share their eigenvalues. So nothing can turn complex, and it costs a
tenth of a matrix square root. With fewer items than dimensions the trace is the nuclear norm of Xc Yc^T instead.

The distance is biased upwards by about 1/n: compare only values of equal n, beside the floor of real data. A bootstrap
interval is wrong for it (resampling repeats items, which adds bias); repeat with disjoint sample sets instead.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, pair

CITATION = (
    "@inproceedings{heusel2017gans, title={GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium}, author={Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and "
    "Hochreiter, Sepp}, booktitle={NeurIPS}, year={2017}}"
)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of the rows of x (N, D), in float64."""
    x = x.double()
    mean = x.mean(0)
    centred = x - mean
    return mean, centred.T @ centred / (len(x) - 1)


def trace_sqrt_product(s1: Tensor, s2: Tensor) -> Tensor:
    """tr (S1 S2)^(1/2) of two positive semidefinite float64 matrices (D, D)."""
    factor, info = torch.linalg.cholesky_ex(s1)
    if int(info):  # singular, as with features that never fire: use the symmetric square root
        values, vectors = torch.linalg.eigh(s1)
        factor = vectors * values.clamp_min(0).sqrt()
    return torch.linalg.eigvalsh(factor.T @ s2 @ factor).clamp_min(0).sqrt().sum()


def frechet_from_moments(m1: Tensor, s1: Tensor, m2: Tensor, s2: Tensor) -> float:
    """The squared Frechet distance of two Gaussians given by mean (D,) and covariance (D, D); never below 0."""
    m1, s1, m2, s2 = (t.double() for t in (m1, s1, m2, s2))
    value = (m1 - m2).square().sum() + s1.trace() + s2.trace() - 2 * trace_sqrt_product(s1, s2)
    return max(float(value), 0.0)


def frechet_distance(x: Array, y: Array) -> float:
    """The squared Frechet distance between two sets of features (N, D) and (M, D).

    Raises BadValue with fewer than two items on a side, BadData where widths differ or values are not finite.
    """
    a, b = pair(x, y)
    if min(len(a), len(b)) < 2:
        raise BadValue(f"a Frechet distance needs two items on each side, got {len(a)} and {len(b)}: measure more")
    if max(len(a), len(b)) >= a.shape[1]:
        return frechet_from_moments(*moments(a), *moments(b))
    # The dual: |S1^(1/2) S2^(1/2)| and |Xc Yc^T| / sqrt((N-1)(M-1)) have the same singular values.
    a, b = a.double(), b.double()
    m1, m2 = a.mean(0), b.mean(0)
    a, b = (a - m1) / (len(a) - 1) ** 0.5, (b - m2) / (len(b) - 1) ** 0.5
    cross = torch.linalg.svdvals(a @ b.T).sum()
    value = (m1 - m2).square().sum() + a.square().sum() + b.square().sum() - 2 * cross
    return max(float(value), 0.0)
