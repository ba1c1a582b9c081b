"""How many modes of a known mixture a model has found: the ring, the grid and StackedMNIST of the GAN literature
(Srivastava et al. 2017, sec. 4; Lin et al. 2018).

On the planar mixtures a sample is of high quality within three standard deviations of its nearest centre, and a mode
is found when a high-quality sample lies there. For StackedMNIST three digits judged by a classifier name one of 1,000
modes. Even a perfect sampler does not show all modes at once: `expected_modes` says how many, and what
Kullback-Leibler divergence from uniform it shows by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import as_matrix
from genloom.metrics.features import Extractor

CITATION = (
    "@inproceedings{srivastava2017veegan, title={{VEEGAN}: Reducing Mode Collapse in {GAN}s using Implicit Variational "
    "Learning}, author={Srivastava, Akash and Valkov, Lazar and Russell, Chris and Gutmann, Michael U. and Sutton, "
    "Charles}, booktitle={NeurIPS}, year={2017}}"
)


def ring(modes: int = 8, radius: float = 1.0) -> Tensor:
    """Centres (modes, 2) evenly on a circle, the first at (radius, 0)."""
    angle = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    return radius * torch.stack([angle.cos(), angle.sin()], 1)


def grid(side: int = 5, step: float = 2.0) -> Tensor:
    """Centres (side^2, 2) on a square lattice around the origin."""
    line = step * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
    return torch.cartesian_prod(line, line)


@dataclass(frozen=True)
class Modes:
    """found: modes with a (high-quality) sample; of: modes there are; quality: share of high-quality samples; kl:
    divergence in nats of the shares of modes among those from uniform, infinite where there are none."""

    found: int
    of: int
    quality: float
    kl: float


def count_modes(index: Tensor, of: int, n: int | None = None) -> Modes:
    """From the mode (M,) of each high-quality sample, numbers below `of`; n: samples drawn in all, default M."""
    counts = torch.bincount(index.cpu(), minlength=of).double()
    if len(counts) > of or not of:
        raise BadValue(f"expected modes below {of}, got {int(index.max())}")
    total = counts.sum()
    shares = counts / total
    kl = float((torch.special.xlogy(shares, shares) + shares * math.log(of)).sum()) if total else math.inf
    drawn = len(index) if n is None else n
    return Modes(int((counts > 0).sum()), of, float(total) / drawn if drawn else 0.0, kl)


def mixture_modes(points: Tensor, centres: Tensor, deviation: float) -> Modes:
    """Of points (N, 2) against a mixture of isotropic Gaussians with these centres (K, 2) and standard deviation."""
    distances = torch.cdist(as_matrix(points, "points").double(), centres.double())
    nearest, index = distances.min(1)
    return count_modes(index[nearest <= 3 * deviation], len(centres), len(points))


def stacked_modes(images: Tensor, judge: Extractor) -> Modes:
    """Of StackedMNIST's pictures, bytes (N, 3, H, W): the digits that a classifier of grey ones sees in red, green and
    blue name one of 1,000 modes."""
    if images.ndim != 4 or images.shape[1] != 3 or len(judge.classes) != 10:
        raise BadValue(f"expected pictures (n, 3, h, w) and a judge of ten digits, got {tuple(images.shape)}")
    digits = torch.stack([judge.judge(judge.features(images[:, i : i + 1])) for i in range(3)])
    return count_modes(100 * digits[0] + 10 * digits[1] + digits[2], 1000)


def expected_modes(n: int, of: int) -> tuple[float, float]:
    """What n draws from the uniform distribution over `of` modes show: modes on average, and the mean KL divergence
    in nats (the entropy estimate's bias, (of - 1) / 2n for large n, here exact up to the binomial's sum)."""
    if n < 1 or of < 1:
        raise BadValue(f"expected at least one draw and one mode, got {n} and {of}")
    found = of * (1 - (1 - 1 / of) ** n)
    if of == 1:
        return found, 0.0
    count = torch.arange(1, n + 1, dtype=torch.float64)
    log_binomial = math.lgamma(n + 1) - torch.lgamma(count + 1) - torch.lgamma(n - count + 1)
    p = (log_binomial - count * math.log(of) + (n - count) * math.log1p(-1 / of)).exp()
    share = count / n
    return found, float(of * (p * share * (share * of).log()).sum())
