"""A Gaussian mixture in the plane whose velocity, samples and density are known in closed form, float64."""

from __future__ import annotations

import math

import torch
from torch import Tensor

MEANS = torch.tensor([[-0.8, 0.2], [0.6, 0.7], [0.3, -0.9]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
S = 0.25  # the standard deviation of each part


def responsibilities(x: Tensor, t: float) -> Tensor:
    """How likely each part is at the straight point x (N, 2) of time t: (N, 3)."""
    variance = (1 - t) ** 2 * S**2 + t**2
    distance = (x[:, None] - (1 - t) * MEANS).square().sum(-1)
    return torch.softmax(SHARES.log() - distance / (2 * variance), 1)


def data(x: Tensor, t: float) -> Tensor:
    """The expected data at x of time t."""
    variance = (1 - t) ** 2 * S**2 + t**2
    parts = MEANS + (1 - t) * S**2 / variance * (x[:, None] - (1 - t) * MEANS)
    return (responsibilities(x, t)[..., None] * parts).sum(1)


def velocity(x: Tensor, t: float) -> Tensor:
    """The exact velocity E[e - x | x_t]."""
    if t > 0:
        return (x - data(x, t)) / t
    return -x  # noise is independent of the data: E[e | x_0 = x] = 0


def draw(n: int, seed: int = 0) -> Tensor:
    """n samples of the mixture."""
    g = torch.Generator().manual_seed(seed)
    part = torch.multinomial(SHARES, n, replacement=True, generator=g)
    return MEANS[part] + S * torch.randn(n, 2, generator=g, dtype=torch.float64)


def noise(n: int, seed: int = 1) -> Tensor:
    return torch.randn(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def log_density(x: Tensor, t: float = 0.0) -> Tensor:
    """log p(x_t) in nats, (N,)."""
    variance = (1 - t) ** 2 * S**2 + t**2
    distance = (x[:, None] - (1 - t) * MEANS).square().sum(-1)
    return torch.logsumexp(SHARES.log() - distance / (2 * variance), 1) - math.log(2 * math.pi * variance)


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Szekely's distance between two sets of points: 0 in expectation where their laws are the same."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())
