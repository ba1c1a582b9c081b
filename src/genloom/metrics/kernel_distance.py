"""The kernel distance between two sets of features: squared maximum mean discrepancy with the kernel (x.y/D + 1)^3
(Gretton et al. 2012, eq. 3; Binkowski et al. 2018, who call it KID in Inception features).

Unlike the Frechet distance its estimate has no bias at any n: on equal distributions it is 0 on average and falls
below 0 half of the time. The standard error is a two-sample jackknife over items, from the sums of the kernel's rows
alone; the spread over random subsets that other packages print as "KID std" is not one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, Result, pair

CITATION = (
    "@inproceedings{binkowski2018demystifying, title={Demystifying {MMD} {GAN}s}, author={Bi{\\'n}kowski, Miko{\\l}aj "
    "and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur}, booktitle={ICLR}, year={2018}}"
)


@dataclass(frozen=True)
class KernelDistance:
    """value: the squared discrepancy, unbiased; error: its standard error."""

    value: float
    error: float


def _sums(x: Tensor, y: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Row sums (N,) and column sums (M,) of the kernel between x (N, D) and y (M, D), float64, in blocks of rows."""
    rows, columns = [], torch.zeros(len(y), dtype=torch.float64)
    for part in x.split(chunk):
        kernel = (part @ y.T / x.shape[1] + 1).pow_(3)
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
    return torch.cat(rows), columns


def _within(x: Tensor, chunk: int) -> Tensor:
    """For each row of x the sum of its kernel with all *other* rows, (N,)."""
    return _sums(x, x, chunk)[0] - (x.square().sum(1) / x.shape[1] + 1).pow(3)


def kernel_distance(x: Array, y: Array, *, chunk: int = 1024) -> KernelDistance:
    """Between two sets of features (N, D) and (M, D). Raises BadValue with fewer than three items on a side."""
    value, without_x, without_y = _jackknife(x, y, chunk)
    return KernelDistance(value, (_variance(without_x) + _variance(without_y)) ** 0.5)


def kernel_difference(real: Array, first: Array, second: Array, *, chunk: int = 1024) -> tuple[float, float, float]:
    """The kernel distances of two sets (N, D) and (K, D) to the same real items (M, D), and the standard error of their
    difference, in which what both owe to the real items cancels. Raises BadValue with fewer than three items."""
    one, without_x, without_y = _jackknife(first, real, chunk)
    two, without_z, without_w = _jackknife(second, real, chunk)
    return one, two, (_variance(without_x) + _variance(without_z) + _variance(without_w - without_y)) ** 0.5


def _jackknife(x: Array, y: Array, chunk: int) -> tuple[float, Tensor, Tensor]:
    """The distance, and what it would be without each item of x, (N,), and of y, (M,): every one at once."""
    a, b = (t.double() for t in pair(x, y))
    n, m = len(a), len(b)
    if min(n, m) < 3:
        raise BadValue(f"a kernel distance needs three items on each side, got {n} and {m}: measure more")
    inside_a, inside_b = _within(a, chunk), _within(b, chunk)
    across_a, across_b = _sums(a, b, chunk)
    total_a, total_b, total = inside_a.sum(), inside_b.sum(), across_a.sum()
    first, second, third = total_a / (n * (n - 1)), total_b / (m * (m - 1)), total / (n * m)
    without_a = (total_a - 2 * inside_a) / ((n - 1) * (n - 2)) + second - 2 * (total - across_a) / ((n - 1) * m)
    without_b = first + (total_b - 2 * inside_b) / ((m - 1) * (m - 2)) - 2 * (total - across_b) / (n * (m - 1))
    return float(first + second - 2 * third), without_a, without_b


def _variance(without: Tensor) -> float:
    """Of a figure, from its values without each of k items."""
    k = len(without)
    return (k - 1) / k * float((without - without.mean()).square().sum())


def kernel_distance_result(real: Array, fake: Array, *, features: str) -> Result:
    """The figure with its protocol; `features` names the extractor. The interval is the value +- 1.96 errors."""
    found = kernel_distance(fake, real)
    protocol = {
        "kernel": "(x.y/D + 1)^3",
        "features": features,
        "n_held_out": len(real),
        "standard_error": found.error,
        "interval": "normal, 95%, two-sample jackknife over items",
    }
    interval = (found.value - 1.96 * found.error, found.value + 1.96 * found.error)
    return Result("kd", f"KD({features})", found.value, interval, len(fake), protocol, CITATION, "lower")
