"""Mixtures of Gaussians in two dimensions, for networks that say a density: Graves 2013 (arXiv:1308.0850), section 4.1.

Dimensions: K components; all else broadcasts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mixture(NamedTuple):
    """log_weight, rho: (..., K); mean, log_sigma: (..., K, 2)."""

    log_weight: Tensor
    mean: Tensor
    log_sigma: Tensor
    rho: Tensor


NUMBERS = 6
"""Numbers that a network gives for each component."""


def mixture_of(raw: Tensor) -> Mixture:
    """The mixture that numbers (..., 6 K) stand for, in fp32 (eqs. 18 to 22)."""
    raw = raw.float()
    k = raw.shape[-1] // NUMBERS
    weight, mean, log_sigma, rho = raw.split((k, 2 * k, 2 * k, k), -1)
    # A correlation of one would be a density without width.
    rho = 0.99 * torch.tanh(rho)
    return Mixture(weight.log_softmax(-1), mean.unflatten(-1, (k, 2)), log_sigma.unflatten(-1, (k, 2)), rho)


def mixture_nll(x: Tensor, m: Mixture) -> Tensor:
    """-log p(x) of places (..., 2), shape (...,) (eqs. 23 to 25)."""
    z = (x[..., None, :] - m.mean) * torch.exp(-m.log_sigma)
    free = 1 - m.rho.square()
    distance = (z.square().sum(-1) - 2 * m.rho * z.prod(-1)) / free  # Z / (1 - rho^2)
    log_n = -0.5 * distance - m.log_sigma.sum(-1) - 0.5 * free.log() - math.log(2 * math.pi)
    return -torch.logsumexp(m.log_weight + log_n, -1)


def mixture_draw(m: Mixture, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
    """One place of each mixture, (..., 2). temperature: divides the logarithms of weights and multiplies variances (Ha
    and Eck 2017, arXiv:1704.03477, eq. 8); 0 takes the likeliest component's mean."""
    if temperature == 0:
        chosen = m.log_weight.argmax(-1)
    else:
        weight = (m.log_weight / temperature).softmax(-1)
        chosen = torch.multinomial(weight.flatten(0, -2), 1, generator=generator).view(weight.shape[:-1])
    at = chosen[..., None]
    mean, log_sigma = (t.gather(-2, at[..., None].expand(*at.shape, 2))[..., 0, :] for t in (m.mean, m.log_sigma))
    rho = m.rho.gather(-1, at)[..., 0]
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    second = rho * noise[..., 0] + (1 - rho.square()).sqrt() * noise[..., 1]
    return mean + math.sqrt(temperature) * log_sigma.exp() * torch.stack((noise[..., 0], second), -1)
