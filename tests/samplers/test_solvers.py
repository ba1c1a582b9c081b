"""Solvers against flows whose solution is known: a Gaussian, and a two-point mixture where the velocity bends."""

import math

import pytest
import torch
from torch import Tensor

from genloom.errors import BadValue, NotFound
from genloom.samplers.solvers import SOLVERS, adams_weights, sample_adams, sample_dpmpp, solve, time_grid

S = 0.3  # the data's standard deviation


def gaussian(x: Tensor, t: float) -> Tensor:
    """The exact velocity for data N(0, S^2): x_t = x_1 sqrt((1-t)^2 S^2 + t^2)."""
    return x * (t - (1 - t) * S**2) / ((1 - t) ** 2 * S**2 + t**2)


def mixture(x: Tensor, t: float) -> Tensor:
    """The exact velocity for data at +1 and -1 smeared by S, half each."""
    a, variance = 1 - t, (1 - t) ** 2 * S**2 + t**2
    mean = torch.tanh(a * x / variance)
    data = mean + S**2 * a / variance * (x - a * mean)
    return (x - data) / t if t > 0 else -data


def error(name: str, steps: int, model=gaussian, truth: Tensor | None = None) -> float:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    truth = S * x if truth is None else truth
    return float((solve(name, model, x, evaluations=steps) - truth).abs().max())


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("heun", 2), ("adams", 2)])
def test_error_falls_with_the_order(name: str, order: int) -> None:
    # Adams starts with one Euler step, whose error of h^2 leaves order 2 overall.
    measured = math.log2(error(name, 128) / error(name, 256))
    assert measured > order - 0.25


@pytest.mark.parametrize(("sample", "order"), [(sample_adams, 2), (sample_adams, 3), (sample_adams, 4)])
def test_adams_reaches_its_order_from_a_fine_start(sample, order: int) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def run(n: int) -> float:
        start = [1 - (1 / n) * 0.5**k for k in range(16, 0, -1)]  # first steps so short that their order does not count
        times = [1.0, *start, *[1 - i / n for i in range(1, n + 1)]]
        return float((sample(gaussian, x, times, order=order) - S * x).abs().max())

    assert math.log2(run(64) / run(128)) > order - 0.4


@pytest.mark.parametrize("order", [2, 3])
def test_dpmpp_reaches_its_order_between_the_ends(order: int) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def spread(t: float) -> float:
        return math.sqrt((1 - t) ** 2 * S**2 + t**2)

    def run(n: int) -> float:
        high, low = 0.9, 0.1
        lam = [math.log((1 - high) / high), math.log((1 - low) / low)]
        grid = [lam[0] + (lam[1] - lam[0]) * i / n for i in range(n + 1)]
        fine = [lam[0] + (grid[1] - lam[0]) * 0.5**k for k in range(16, 0, -1)]
        times = [1 / (1 + math.exp(v)) for v in [lam[0], *fine, *grid[1:]]]
        return float((sample_dpmpp(gaussian, x, times, order=order) - x * spread(low) / spread(high)).abs().max())

    assert math.log2(run(32) / run(64)) > order - 0.4


def test_multistep_beats_one_step_methods_at_twelve_evaluations() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    truth = solve("heun", mixture, x, evaluations=4000)
    euler, heun, adams = (error(name, 12, mixture, truth) for name in ("euler", "heun", "adams"))
    assert adams < euler / 2
    assert adams < heun


@pytest.mark.parametrize("name", sorted(SOLVERS))
@pytest.mark.parametrize("steps", [1, 2, 7, 12])
def test_calls_are_the_steps_asked(name: str, steps: int) -> None:
    calls: list[float] = []
    seen: list[int] = []

    def model(x: Tensor, t: float) -> Tensor:
        calls.append(t)
        return gaussian(x, t)

    x = solve(name, model, torch.ones(3, 1, 2, 2), evaluations=steps, callback=lambda i, x, t: seen.append(i))
    assert len(calls) == steps
    assert seen == list(range(steps))
    assert calls[0] == 1.0
    assert x.isfinite().all()


def test_adams_weights_integrate_polynomials() -> None:
    nodes = [0.7, 0.8, 0.95, 1.0]
    weights = adams_weights(nodes, 0.7, 0.4)
    for k in range(4):
        exact = (0.4 ** (k + 1) - 0.7 ** (k + 1)) / (k + 1)
        assert sum(w * n**k for w, n in zip(weights, nodes, strict=True)) == pytest.approx(exact)


def test_time_grid_ends_and_shift() -> None:
    assert time_grid(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    shifted = time_grid(4, 3.0)
    assert (shifted[0], shifted[-1]) == (1.0, 0.0)
    assert shifted[2] / (1 - shifted[2]) == pytest.approx(3.0)  # sigma of 1 becomes 3


def test_bad_requests() -> None:
    with pytest.raises(NotFound, match="heun"):
        solve("huen", gaussian, torch.ones(1), evaluations=4)
    with pytest.raises(BadValue, match="at least 1"):
        solve("euler", gaussian, torch.ones(1), evaluations=0)
