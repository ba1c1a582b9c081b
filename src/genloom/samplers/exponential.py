"""Solvers that follow the data prediction x0 = x - t v in lambda = log((1 - t) / t), half the logarithm of the
signal-to-noise ratio: there the rest of the equation is linear and solved exactly. One evaluation a step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from genloom.samplers.base import Noise, Velocity, Watch, silent


def log_ratio(t: float) -> float:
    """lambda = log((1 - t) / t), for t inside (0, 1)."""
    return math.log1p(-t) - math.log(t)


def exponential_weights(nodes: Sequence[float], start: float, stop: float, rate: float = 1.0) -> list[float]:
    """Weights w with sum_j w_j f(nodes_j) = integral over u from start to stop of rate e^(rate (u - stop)) f(u), exact
    for degree < len(nodes)."""
    h = stop - start
    at = torch.tensor([n - start for n in nodes], dtype=torch.float64)
    powers = torch.arange(len(nodes), dtype=torch.float64)
    moments: list[float] = []
    for k in range(len(nodes)):  # by parts, from one power to the next
        moments.append(-math.expm1(-rate * h) if k == 0 else h**k - k / rate * moments[-1])
    return torch.linalg.solve(at[None, :] ** powers[:, None], torch.tensor(moments, dtype=torch.float64)).tolist()


def _inside(t: float, s: float) -> bool:
    """Whether lambda is finite at both ends of a step; elsewhere a solver falls back to order 1, Euler's step."""
    return 0 < s < t < 1


def _advance(x: Tensor, t: float, s: float, past: Sequence[tuple[float, Tensor]]) -> Tensor:
    """From x at t to s, x0 between taken from the polynomial through `past`, pairs (lambda, x0)."""
    weights = exponential_weights([lam for lam, _ in past], log_ratio(t), log_ratio(s))
    x = x * (s / t)
    for weight, (_, data) in zip(weights, past, strict=True):
        x = x + (1 - s) * weight * data
    return x


def sample_dpmpp(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent, order: int = 3
) -> Tensor:
    """DPM-Solver++ multistep (Lu et al. 2022, arXiv:2211.01095) of order 2 or 3.

    The first step (lambda = -inf) and the last (lambda = inf) are Euler's.
    """
    past: list[tuple[float, Tensor]] = []
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        x0 = x - t * v
        callback(i, x0, t)
        if not _inside(t, s):
            x = x + (s - t) * v
        else:
            past = [(log_ratio(t), x0), *past][:order]
            x = _advance(x, t, s, past)
    return x


def sample_unipc(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent, order: int = 2
) -> Tensor:
    """UniPC (Zhao et al. 2023, arXiv:2302.04867): DPM-Solver++ as predictor, and a corrector that repeats the last step
    with the evaluation at its end, which was needed anyway.

    Weights are exact for uneven steps, the paper's varying coefficients (its section 3.4). What comes out is of
    order `order` + 1.
    """
    past: list[tuple[float, Tensor]] = []  # newest first
    begun: tuple[Tensor, float] | None = None  # where the last predicted step started
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        x0 = x - t * v
        callback(i, x0, t)
        if 0 < t < 1:
            past = [(log_ratio(t), x0), *past]
            if begun is not None:
                x = _advance(*begun, t, past[: order + 1])
        past = past[:order]
        if _inside(t, s):
            begun = (x, t)
            x = _advance(x, t, s, past)
        else:
            begun = None
            x = (s / t) * x + (1 - s / t) * x0
    return x


def sample_sde(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent, *, noise: Noise, order: int = 2
) -> Tensor:
    """SDE-DPM-Solver++ multistep (arXiv:2211.01095, appendix; order 2): the reverse diffusion instead of the flow.

    Order 1 is ancestral sampling. noise: of a step, see `genloom.samplers.brownian`.
    """
    past: list[tuple[float, Tensor]] = []
    for i, (t, s) in enumerate(pairwise(times)):
        x0 = x - t * model(x, t)
        callback(i, x0, t)
        if s <= 0:
            x = x0
        elif t >= 1:
            x = (1 - s) * x0 + s * noise(t, s)
        else:
            now, then = log_ratio(t), log_ratio(s)
            past = [(now, x0), *past][:order]
            x = x * (s / t) * math.exp(now - then) + s * math.sqrt(-math.expm1(2 * (now - then))) * noise(t, s)
            weights = exponential_weights([lam for lam, _ in past], now, then, rate=2.0)
            for weight, (_, data) in zip(weights, past, strict=True):
                x = x + (1 - s) * weight * data
    return x


def sample_ddim(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent, *, noise: Noise, eta: float = 0.0
) -> Tensor:
    """DDIM (Song et al. 2021, arXiv:2010.02502, equations 12 and 16).

    eta: 0 is deterministic, the same as Euler's method here; 1 is the ancestral sampling of DDPM (arXiv:2006.11239)
    with the posterior's variance, and takes as much noise out before each step as it puts in.
    """
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        x0, e = x - t * v, x + (1 - t) * v
        callback(i, x0, t)
        # The posterior's variance of q(x_s | x_t, x0): s^2 (1 - SNR(t) / SNR(s)).
        fresh = eta * s * math.sqrt(1 - ((1 - t) * s / ((1 - s) * t)) ** 2) if s > 0 else 0.0
        x = (1 - s) * x0 + math.sqrt(max(s**2 - fresh**2, 0.0)) * e
        if fresh:
            x = x + fresh * noise(t, s)
    return x
