"""Pure solvers of the probability-flow equation dx/dt = v(x, t), from noise at t = 1 to data at t = 0.

All have the form sample_x(model, x, times, callback): `model(x, t)` returns the velocity at x (B, ...) and the scalar
time t; `times` falls from 1 to 0; `callback(i, x, t)` is called after the model's i-th evaluation with the current
estimate of the data. An evaluation is one call of the model: `solve` spends exactly as many as it is asked to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from genloom.errors import BadValue, unknown

Velocity = Callable[[Tensor, float], Tensor]
Watch = Callable[[int, Tensor, float], None]


def _silent(i: int, x: Tensor, t: float) -> None:
    """Watches nothing."""


def time_grid(steps: int, shift: float = 1.0) -> list[float]:
    """steps + 1 times from 1 to 0: even where shift is 1, denser near the noise above it, near the data below it.

    t = shift u / (1 + (shift - 1) u) multiplies every sigma by `shift` (Esser et al. 2024, arXiv:2403.03206, eq. 23).
    """
    even = [1 - i / steps for i in range(steps + 1)]
    return [shift * u / (1 + (shift - 1) * u) for u in even]


def sample_euler(model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = _silent) -> Tensor:
    """Euler's method, order 1; here the same as deterministic DDIM (arXiv:2010.02502). One evaluation a step."""
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(i, x - t * v, t)
        x = x + (s - t) * v
    return x


def sample_heun(model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = _silent) -> Tensor:
    """Heun's method, order 2 (Karras et al. 2022, arXiv:2206.00364, algorithm 1). Two evaluations a step."""
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(2 * i, x - t * v, t)
        ahead = x + (s - t) * v
        w = model(ahead, s)
        callback(2 * i + 1, ahead - s * w, s)
        x = x + (s - t) * (v + w) / 2
    return x


def adams_weights(nodes: Sequence[float], start: float, stop: float) -> list[float]:
    """Weights w with sum_j w_j f(nodes_j) = integral of f from start to stop, exact for degree < len(nodes)."""
    at = torch.tensor([n - start for n in nodes], dtype=torch.float64)
    powers = torch.arange(len(nodes), dtype=torch.float64)
    moments = (stop - start) ** (powers + 1) / (powers + 1)
    return torch.linalg.solve(at[None, :] ** powers[:, None], moments).tolist()


def sample_adams(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = _silent, order: int = 3
) -> Tensor:
    """Adams-Bashforth of up to `order` past velocities, exact for uneven steps; starts at lower orders.

    This is what PNDM and iPNDM (arXiv:2202.09778, arXiv:2204.13902) approximate with the weights of even steps. One
    evaluation a step.
    """
    past: list[tuple[float, Tensor]] = []
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(i, x - t * v, t)
        past = [(t, v), *past][:order]
        weights = adams_weights([time for time, _ in past], t, s)
        for weight, (_, velocity) in zip(weights, past, strict=True):
            x = x + weight * velocity
    return x


def sample_dpmpp(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = _silent, order: int = 3
) -> Tensor:
    """DPM-Solver++ multistep (Lu et al. 2022, arXiv:2211.01095) of order 2 or 3: one evaluation a step.

    Integrates the data prediction x0 = x - t v exactly against the exponential weight in lambda = log((1-t)/t); the
    first step (lambda = -inf) and the last (lambda = inf) fall back to order 1, which is Euler's.
    """
    past: list[tuple[float, Tensor]] = []
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        x0 = x - t * v
        callback(i, x0, t)
        if not (0 < s < t < 1):
            x = x + (s - t) * v
        else:
            now, then = (torch.logit(torch.tensor(1 - u, dtype=torch.float64)).item() for u in (t, s))
            past = [(now, x0), *past][:order]
            # Newton's divided differences of x0 in lambda, integrated against e^lambda.
            weights = _exponential_weights([lam for lam, _ in past], now, then)
            x = x * (s / t)
            for weight, (_, data) in zip(weights, past, strict=True):
                x = x + s * weight * data
    return x


def _exponential_weights(nodes: Sequence[float], start: float, stop: float) -> list[float]:
    """Weights w with sum_j w_j f(nodes_j) = integral of e^u f(u) from start to stop, exact for degree < len(nodes)."""
    h = stop - start
    at = torch.tensor([n - start for n in nodes], dtype=torch.float64)
    powers = torch.arange(len(nodes), dtype=torch.float64)
    high, low = (
        torch.tensor(stop, dtype=torch.float64).exp().item(),
        torch.tensor(start, dtype=torch.float64).exp().item(),
    )
    moments, previous = [], 0.0
    for k in range(len(nodes)):
        previous = (high - low) if k == 0 else high * h**k - k * previous  # integration by parts
        moments.append(previous)
    return torch.linalg.solve(at[None, :] ** powers[:, None], torch.tensor(moments, dtype=torch.float64)).tolist()


SOLVERS: dict[str, tuple[Callable[..., Tensor], int]] = {
    "euler": (sample_euler, 1),
    "heun": (sample_heun, 2),
    "adams": (sample_adams, 1),
    "dpmpp": (sample_dpmpp, 1),
}


def solve(
    name: str, model: Velocity, x: Tensor, *, evaluations: int, shift: float = 1.0, callback: Watch = _silent
) -> Tensor:
    """The data at t = 0 that the noise x at t = 1 flows to: solver `name`, exactly `evaluations` model calls.

    Where a solver takes two calls a step and the number is odd, the last step is Euler's. Raises NotFound for an
    unknown solver and BadValue for fewer than one evaluation.
    """
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    if evaluations < 1:
        raise BadValue(f"sampling takes at least 1 step, got {evaluations}: set steps to a positive number")
    sample, cost = SOLVERS[name]
    whole, rest = divmod(evaluations, cost)
    times = time_grid(whole + rest, shift)
    if not rest:
        return sample(model, x, times, callback)
    x = sample(model, x, times[:-1], callback)
    return sample_euler(model, x, times[-2:], lambda i, data, t: callback(i + cost * whole, data, t))
