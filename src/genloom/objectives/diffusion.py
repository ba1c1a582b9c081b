"""Pure functions of flow matching and diffusion: the path from data to noise, its targets, times and conversions.

One convention throughout: time t runs from 0 (data) to 1 (noise) along the straight path of Lipman et al. 2023
(arXiv:2210.02747) and Liu et al. 2023 (arXiv:2209.03003),

    x_t = (1 - t) x + t e,    e ~ N(0, I),    velocity v = dx_t/dt = e - x.

Any other Gaussian path is this one rescaled: x_t / (1 - t) = x + sigma e with sigma = t / (1 - t) (see paths.py).
Times are (B,) and broadcast over items (B, ...); items and velocities have the units of the data.
"""

from __future__ import annotations

import torch
from torch import Tensor


def match(t_B: Tensor, x: Tensor) -> Tensor:
    """t_B with as many trailing dimensions of size 1 as x has, so that it broadcasts over items."""
    return t_B.reshape(-1, *[1] * (x.dim() - 1))


def interpolate(x: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
    """The point x_t on the straight path from the data x (t = 0) to the noise (t = 1)."""
    t = match(t_B, x)
    return (1 - t) * x + t * noise


def velocity_target(x: Tensor, noise: Tensor) -> Tensor:
    """What the network should predict anywhere on the path: dx_t/dt."""
    return noise - x


def data_from_velocity(x_t: Tensor, v: Tensor, t_B: Tensor) -> Tensor:
    """The data x that velocity v points back to from x_t."""
    return x_t - match(t_B, x_t) * v


def noise_from_velocity(x_t: Tensor, v: Tensor, t_B: Tensor) -> Tensor:
    """The noise e that velocity v comes from at x_t."""
    return x_t + (1 - match(t_B, x_t)) * v


def velocity_from_data(x_t: Tensor, x: Tensor, t_B: Tensor) -> Tensor:
    """The velocity at x_t of the path that started at the data x (t > 0)."""
    return (x_t - x) / match(t_B, x_t)


def sigma_from_time(t: Tensor) -> Tensor:
    """The ratio of noise to data, sigma = t / (1 - t), of the variance-exploding diffusion equal to this path."""
    return t / (1 - t)


def time_from_sigma(sigma: Tensor) -> Tensor:
    """The time at which noise and data stand in the ratio sigma."""
    return sigma / (1 + sigma)


def linear_part(t_B: Tensor, data_std: float) -> tuple[Tensor, Tensor]:
    """(skip, out), each (B,): the velocity written as v = skip x_t + out F with a target F of unit variance.

    `skip x_t` is the best linear guess for data of mean 0 and standard deviation s = data_std, out the spread that
    remains. This is the preconditioning of EDM (Karras et al. 2022, arXiv:2206.00364, appendix B.6) for velocities:
    var x_t = (1-t)^2 s^2 + t^2,  skip = (t - (1-t) s^2) / var x_t,  out = s / sqrt(var x_t).
    """
    s2 = data_std**2
    variance = (1 - t_B) ** 2 * s2 + t_B**2
    return (t_B - (1 - t_B) * s2) / variance, data_std / variance.sqrt()


def stratify(u_B: Tensor, rows: tuple[int, int, int]) -> Tensor:
    """Uniform numbers spread evenly over a batch: row i of N falls into [i/N, (i+1)/N).

    rows: (start, stop, total) of these rows in the batch. Each number stays uniform over batches drawn in random
    order; the mean over a batch varies less.
    """
    start, stop, total = rows
    return (torch.arange(start, stop, device=u_B.device) + u_B) / total


def logit_normal(u_B: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Times whose logit is normal, from uniform u (Esser et al. 2024, arXiv:2403.03206, section 3.1): mostly the middle
    of the path, where the velocity is hardest to predict."""
    return torch.sigmoid(mean + std * torch.special.ndtri(u_B.clamp(1e-6, 1 - 1e-6)))


def log_normal_sigma(u_B: Tensor, mean: float = -1.2, std: float = 1.2) -> Tensor:
    """Noise levels whose logarithm is normal, from uniform u (Karras et al. 2022, table 1).

    Since ln sigma is the logit of t, the times of these levels are `logit_normal` with the same mean and std.
    """
    return torch.exp(mean + std * torch.special.ndtri(u_B.clamp(1e-6, 1 - 1e-6)))


def discrete(u_B: Tensor, steps: int = 1000) -> Tensor:
    """One of the own times 1/steps, 2/steps, ..., 1, each as likely, from uniform u in [0, 1)."""
    return ((u_B * steps).floor() + 1).clamp_max(steps) / steps


def training_times(u_B: Tensor, progress: float, *, mean: float, std: float, switch: float) -> Tensor:
    """Times to train at, from uniform u: logit-normal until `switch` of the run, uniform afterwards.

    The middle of the path is learnt fastest when it is drawn most, but the ends decide the details of samples: the
    two-phase curriculum of arXiv:2603.12517.
    """
    return logit_normal(u_B, mean, std) if progress < switch else u_B
