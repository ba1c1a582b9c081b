"""What all solvers share: the types of a velocity and of a watcher, and grids of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
Watch = Callable[[int, Tensor, float], None]
Noise = Callable[[float, float], Tensor]
"""noise(t, s): standard normal numbers for the step from time t to time s."""
Grid = Callable[[int], list[float]]
"""grid(steps): the steps + 1 times of a solver, falling to 0."""


def silent(i: int, x: Tensor, t: float) -> None:
    """Watches nothing."""


def time_grid(steps: int, shift: float = 1.0, top: float = 1.0) -> list[float]:
    """steps + 1 times from `top` to 0: even where shift is 1, denser near the noise above it, near the data below it.

    t = shift u / (1 + (shift - 1) u) multiplies every sigma by `shift` (Esser et al. 2024, arXiv:2403.03206, eq. 23).
    """
    even = [top * (1 - i / steps) for i in range(steps + 1)]
    return [shift * u / (1 + (shift - 1) * u) for u in even]


def karras_grid(steps: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0) -> list[float]:
    """steps + 1 times whose sigma = t / (1 - t) falls from `high` to `low` evenly in sigma^(1/rho), then to 0
    (Karras et al. 2022, arXiv:2206.00364, equation 5)."""
    first, last = high ** (1 / rho), low ** (1 / rho)
    sigmas = [(first + i / max(steps - 1, 1) * (last - first)) ** rho for i in range(steps)]
    return [*(s / (1 + s) for s in sigmas), 0.0]


def table_grid(steps: int, times: Sequence[float]) -> list[float]:
    """steps + 1 of the given times (rising from 0), evenly spaced by their place and falling from the last to 0: the
    respaced steps of a model with a discrete schedule (arXiv:2102.09672, section 4). Between places, even."""
    found = []
    for i in range(steps + 1):
        at = (len(times) - 1) * (1 - i / steps)
        below = min(int(at), len(times) - 2)
        found.append(times[below] + (at - below) * (times[below + 1] - times[below]))
    return found
