"""Searching a latent space for a number that is computed of what its points decode to. All pure functions.

A Gaussian process is fitted to the codes whose numbers are known, and new codes are proposed around the best of them
where it expects the greatest improvement (Jones, Schonlau and Welch 1998; in latent spaces of molecules,
Gomez-Bombarelli et al. 2018). Proposals keep to the neighbourhood of known codes, since what a decoder makes of codes
far from all that it was trained on says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MOST = 1000  # codes that the process is fitted to
CANDIDATES = 64  # among which each proposal is the best
LENGTHS = (0.5, 1.0, 2.0)  # length scales that are tried, as multiples of the median distance
NOISES = (0.01, 0.1, 0.5, 0.9)  # shares of the variance that codes may leave unexplained
NEAREST, FURTHEST = 0.05, 0.5  # standard deviations of the codes by which a proposal leaves its parents


@dataclass(frozen=True)
class Process:
    """A Gaussian process with a squared-exponential kernel, fitted. All in units of the codes' own spread.

    codes_ND, factor_NN: where it knows numbers, and the Cholesky factor of their covariance; weights_N: the inverse of
    that times the numbers; length, noise: of the kernel; middle, scale: of the numbers; spread_D: of the codes.
    """

    codes_ND: Tensor
    factor_NN: Tensor
    weights_N: Tensor
    length: float
    noise: float
    middle: float
    scale: float
    spread_D: Tensor

    def predict(self, codes_MD: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the number at each code, (M,)."""
        across_NM = kernel(self.codes_ND, codes_MD.double() / self.spread_D, self.length) * (1 - self.noise)
        mean = across_NM.T @ self.weights_N
        solved = torch.linalg.solve_triangular(self.factor_NN, across_NM, upper=False)
        variance = (1 - self.noise - solved.square().sum(0)).clamp_min(1e-9)
        return self.middle + self.scale * mean, self.scale * variance.sqrt()


def kernel(a_ND: Tensor, b_MD: Tensor, length: float) -> Tensor:
    """exp(-|a - b|^2 / (2 length^2)), (N, M)."""
    return torch.exp(-torch.cdist(a_ND, b_MD).square() / (2 * length**2))


def fit(codes_ND: Tensor, values_N: Tensor) -> Process:
    """The process of these numbers, its length scale and noise those of the greatest marginal likelihood among a few
    (Rasmussen and Williams 2006, equation 5.8). At least two codes."""
    codes, values = codes_ND.double(), values_N.double()
    spread = codes.std(0).clamp_min(1e-6)
    codes = codes / spread
    middle, scale = float(values.mean()), max(float(values.std()), 1e-9)
    y = (values - middle) / scale
    typical = max(float(torch.pdist(codes[:300]).median()), 1e-6)
    best: tuple[float, Process] | None = None
    for length in (typical * many for many in LENGTHS):
        plain = kernel(codes, codes, length)
        for noise in NOISES:
            covariance = (1 - noise) * plain
            covariance.diagonal().add_(noise)
            factor = torch.linalg.cholesky(covariance)
            weights = torch.cholesky_solve(y[:, None], factor)[:, 0]
            likely = float(-0.5 * y @ weights - factor.diagonal().log().sum())
            if best is None or likely > best[0]:
                best = likely, Process(codes, factor, weights, length, noise, middle, scale, spread)
    assert best is not None
    return best[1]


def expected_improvement(mean: Tensor, std: Tensor, best: float) -> Tensor:
    """E[max(f - best, 0)] of normal f."""
    z = (mean - best) / std
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return (mean - best) * torch.special.ndtr(z) + std * density


def propose(codes_ND: Tensor, worth_N: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n codes (n, D) that may be worth more than those that are known; worth_N: of each, greater is better, nan where
    its item has no number at all, which is then taken as worth no more than the worst tenth.

    Each begins at one of the best codes, or between two, and goes a little further in a random direction: of 64 such
    points the one of the greatest expected improvement. Draws from `generator`, on the CPU. At least two codes must
    have a number.
    """
    codes, worth = codes_ND.detach().cpu().double(), worth_N.detach().cpu().double()
    known = worth.isfinite()
    filled = torch.where(known, worth, worth[known].quantile(0.1))
    order = filled.argsort(descending=True, stable=True)
    rest = order[MOST // 2 :]
    rest = rest[torch.randperm(len(rest), generator=generator)[: MOST // 2]]
    used = torch.cat((order[: MOST // 2], rest))  # the best half, and as many of all others
    process = fit(codes[used], filled[used])
    elite = order[: max(2, min(n, int(known.sum()) // 4))]
    mother, father = (elite[torch.randint(len(elite), (n,), generator=generator)] for _ in "ab")
    between = torch.rand(n, CANDIDATES, 1, generator=generator, dtype=torch.float64)
    between = torch.where(torch.rand(n, 1, 1, generator=generator) < 0.5, between, 0.0)  # half stay near one parent
    base = codes[mother][:, None] + between * (codes[father] - codes[mother])[:, None]
    far = torch.rand(n, CANDIDATES, 1, generator=generator, dtype=torch.float64)
    far = NEAREST * (FURTHEST / NEAREST) ** far
    step = torch.randn(n, CANDIDATES, codes.shape[1], generator=generator, dtype=torch.float64)
    tried = base + far * step * process.spread_D
    mean, std = process.predict(tried.flatten(0, 1))
    gain = expected_improvement(mean, std, float(filled.max())).view(n, CANDIDATES)
    return tried[torch.arange(n), gain.argmax(1)].to(codes_ND)
