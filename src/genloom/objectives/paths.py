"""Gaussian paths from data to noise, z = alpha x + sigma e, and how each is the straight one rescaled.

The straight path x_t = (1 - t) x + t e meets them all: z / (alpha + sigma) is the straight point of time
t = sigma / (alpha + sigma). So everything after the network (losses, solvers, guidance) lives on the straight path, and
a path only decides three things: at which times there are steps, on which scale the network sees an item, and what time
it is told. Paths:

- "straight": alpha = 1 - t, sigma = t (Lipman et al. 2023; Liu et al. 2023).
- "vp-linear", "vp-cosine": variance-preserving, alpha^2 + sigma^2 = 1 over 1,000 steps, alpha^2 = prod (1 - beta). beta
  rises evenly from 1e-4 to 0.02 (Ho et al. 2020, arXiv:2006.11239, section 4), or alpha^2 falls along a squared cosine
  (Nichol and Dhariwal 2021, arXiv:2102.09672, equation 17, beta at most 0.999).
- "ve": variance-exploding, alpha = 1, sigma from 0.002 to 80 by equal factors (Song et al. 2021, arXiv:2011.13456, with
  the ends of Karras et al. 2022, arXiv:2206.00364).

A path's own time u runs from 0 (data) to 1 (noise); step n of 1,000 is u = n / 1000.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from genloom.objectives.diffusion import match, sigma_from_time, time_from_sigma

Path = Literal["straight", "vp-linear", "vp-cosine", "ve"]
STEPS = 1000
SIGMAS = (0.002, 80.0)


def betas(path: Path) -> Tensor:
    """beta of steps 1 .. 1,000 of a variance-preserving path, float64."""
    if path == "vp-linear":
        return torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64)
    at = (torch.linspace(0, 1, STEPS + 1, dtype=torch.float64) + 0.008) / 1.008
    squared = torch.cos(at * math.pi / 2).square()
    return (1 - squared[1:] / squared[:-1]).clamp_max(0.999)


@cache
def knots(path: Path) -> Tensor:
    """The straight times of steps 0 (data, t = 0) .. 1,000 of a path, (1001,) rising, float64."""
    even = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    if path == "straight":
        return even
    if path == "ve":
        low, high = SIGMAS
        sigma = low * (high / low) ** ((even * STEPS - 1) / (STEPS - 1))
        return torch.cat([even[:1], time_from_sigma(sigma[1:])])
    squared = torch.cat([even.new_ones(1), torch.cumprod(1 - betas(path), 0)])
    alpha, sigma = squared.sqrt(), (1 - squared).sqrt()
    return sigma / (alpha + sigma)


def straight_time(path: Path, u_B: Tensor) -> Tensor:
    """The straight time of a path's own time u in [0, 1]; even between the steps."""
    if path == "straight":
        return u_B
    table = knots(path).to(u_B.device)
    at = u_B.double().clamp(0, 1) * STEPS
    below = at.floor().long().clamp_max(STEPS - 1)
    t = table[below] + (at - below) * (table[below + 1] - table[below])
    return t.to(u_B.dtype)


def own_time(path: Path, t_B: Tensor) -> Tensor:
    """A path's own time u at straight time t: undoes `straight_time`. Times beyond the last step are told as 1."""
    if path == "straight":
        return t_B
    table = knots(path).to(t_B.device)
    t = t_B.double().clamp(0, float(table[-1]))
    below = (torch.searchsorted(table, t, right=True) - 1).clamp(0, STEPS - 1)
    u = (below + (t - table[below]) / (table[below + 1] - table[below])) / STEPS
    return u.to(t_B.dtype)


def ends(path: Path) -> tuple[float, float]:
    """(bottom, top): the straight times between which a network on this path is trained and asked."""
    if path == "straight":
        return 0.0, 1.0
    table = knots(path)
    return float(table[1]), float(table[-1])


def coefficients(path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
    """(alpha, sigma) of the path at straight time t; with sigma / alpha = t / (1 - t) on all of them."""
    if path == "straight":
        return 1 - t, t
    if path == "ve":
        return torch.ones_like(t), sigma_from_time(t)
    length = torch.hypot(1 - t, t)
    return (1 - t) / length, t / length


def to_straight(z: Tensor, alpha_B: Tensor, sigma_B: Tensor) -> tuple[Tensor, Tensor]:
    """(x_t, t_B): the straight point and time of z = alpha x + sigma e on any Gaussian path."""
    total = alpha_B + sigma_B
    return z / match(total, z), sigma_B / total


def from_straight(x_t: Tensor, t_B: Tensor, path: Path) -> Tensor:
    """The path's point z = alpha x + sigma e of the straight point x_t = (1 - t) x + t e: undoes `to_straight`."""
    alpha, sigma = coefficients(path, t_B)
    return x_t * match(alpha + sigma, x_t)


def seen(path: Path, x_t: Tensor, t_B: Tensor, data_std: float) -> tuple[Tensor, Tensor]:
    """(input, time): what the network of a path is shown of a straight point and told of its time.

    Straight and variance-preserving: the path's own point and time. Variance-exploding: the point at unit variance
    and ln(sigma) / 4 (Karras et al. 2022, table 1: c_in and c_noise).
    """
    if path == "straight":
        return x_t, t_B
    if path == "ve":
        spread = torch.hypot((1 - t_B) * data_std, t_B)
        return x_t / match(spread, x_t), torch.log(sigma_from_time(t_B)) / 4
    return from_straight(x_t, t_B, path), own_time(path, t_B)
