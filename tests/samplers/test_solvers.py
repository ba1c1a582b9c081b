"""Solvers against flows whose solution is known: a Gaussian, and mixtures where the velocity bends."""

import math
from functools import partial

import mixture
import pytest
import torch
from torch import Tensor

from genloom.errors import BadValue, NotFound
from genloom.samplers.base import karras_grid, table_grid
from genloom.samplers.exponential import exponential_weights, sample_ddim, sample_dpmpp, sample_sde, sample_unipc
from genloom.samplers.solvers import SOLVERS, adams_weights, sample_adams, sample_heun, solve, time_grid

S = 0.3  # the data's standard deviation
RANDOM = sorted(k for k, s in SOLVERS.items() if s.random and k != "ddim")
STEADY = sorted(set(SOLVERS) - set(RANDOM))


def gaussian(x: Tensor, t: float) -> Tensor:
    """The exact velocity for data N(0, S^2): x_t = x_1 sqrt((1-t)^2 S^2 + t^2)."""
    return x * (t - (1 - t) * S**2) / ((1 - t) ** 2 * S**2 + t**2)


def pair(x: Tensor, t: float) -> Tensor:
    """The exact velocity for data at +1 and -1 smeared by S, half each."""
    a, variance = 1 - t, (1 - t) ** 2 * S**2 + t**2
    mean = torch.tanh(a * x / variance)
    data = mean + S**2 * a / variance * (x - a * mean)
    return (x - data) / t if t > 0 else -x


def error(name: str, steps: int, model=gaussian, truth: Tensor | None = None) -> float:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    truth = S * x if truth is None else truth
    return float((solve(name, model, x, evaluations=steps) - truth).abs().max())


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("heun", 2), ("adams", 2), ("ipndm", 2)])
def test_error_falls_with_the_order(name: str, order: int) -> None:
    # Adams starts with one Euler step, whose error of h^2 leaves order 2 overall.
    measured = math.log2(error(name, 128) / error(name, 256))
    assert measured > order - 0.25
    assert measured < order + 0.25 or name in ("adams", "ipndm")  # whose further orders show where that step is small


@pytest.mark.parametrize(("sample", "order"), [(sample_adams, 2), (sample_adams, 3), (sample_adams, 4)])
def test_adams_reaches_its_order_from_a_fine_start(sample, order: int) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)

    def run(n: int) -> float:
        start = [1 - (1 / n) * 0.5**k for k in range(16, 0, -1)]  # first steps so short that their order does not count
        times = [1.0, *start, *[1 - i / n for i in range(1, n + 1)]]
        return float((sample(gaussian, x, times, order=order) - S * x).abs().max())

    assert math.log2(run(64) / run(128)) > order - 0.4


HIGH, LOW = 0.9, 0.1


def even_in_lambda(n: int, fine: bool = True) -> list[float]:
    """Times from HIGH to LOW even in log((1 - t) / t), the first step cut so finely that its order does not count."""
    ends = [math.log((1 - t) / t) for t in (HIGH, LOW)]
    grid = [ends[0] + (ends[1] - ends[0]) * i / n for i in range(n + 1)]
    start = [ends[0] + (grid[1] - ends[0]) * 0.5**k for k in range(16, 0, -1)] if fine else []
    return [1 / (1 + math.exp(v)) for v in [ends[0], *start, *grid[1:]]]


@pytest.mark.parametrize(
    ("sample", "order"),
    [
        (partial(sample_dpmpp, order=2), 2),
        (partial(sample_dpmpp, order=3), 3),
        (partial(sample_unipc, order=2), 3),  # the corrector adds an order
        (partial(sample_unipc, order=3), 3.5),  # 4 in the limit; at these steps less
    ],
)
def test_exponential_solvers_reach_their_order_between_the_ends(sample, order: float) -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.5], dtype=torch.float64)
    truth = sample_heun(mixture.velocity, x, even_in_lambda(4000, fine=False))

    def run(n: int) -> float:
        return float((sample(mixture.velocity, x, even_in_lambda(n)) - truth).abs().mean())

    # UniPC's last step is not corrected: it is off by the predictor's h^(order + 1), which is of the corrector's order.
    measured = math.log2(run(32) / run(64))
    assert order - 0.5 < measured < order + 1


def test_the_corrector_helps() -> None:
    x = mixture.noise(200)
    truth = sample_heun(mixture.velocity, x, even_in_lambda(1000, fine=False))
    with_, without = (
        float((sample(mixture.velocity, x, even_in_lambda(12, fine=False)) - truth).square().mean().sqrt())
        for sample in (sample_unipc, partial(sample_dpmpp, order=2))
    )
    assert with_ < without / 3


def test_multistep_beats_one_step_methods_at_twelve_evaluations() -> None:
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)
    truth = solve("heun", pair, x, evaluations=4000)
    euler, heun, adams = (error(name, 12, pair, truth) for name in ("euler", "heun", "adams"))
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


@pytest.mark.parametrize("name", sorted(SOLVERS))
@pytest.mark.parametrize("grid", [None, karras_grid])
def test_samples_follow_the_law_of_the_mixture(name: str, grid) -> None:
    n = 1500
    steps = 40 if SOLVERS[name].sample in (sample_adams, sample_heun, sample_dpmpp, sample_unipc) else 100
    drawn = solve(name, mixture.velocity, mixture.noise(n), evaluations=steps, grid=grid)
    real, other = mixture.draw(n, 5), mixture.draw(n, 6)
    assert abs(mixture.energy_distance(drawn, real)) < max(3 * abs(mixture.energy_distance(other, real)), 0.006)
    shares = mixture.responsibilities(drawn, 0.0).mean(0)
    assert torch.allclose(shares, mixture.SHARES, atol=0.04)
    nearest = mixture.MEANS[mixture.responsibilities(drawn, 0.0).argmax(1)]
    assert float((drawn - nearest).square().mean().sqrt()) == pytest.approx(mixture.S, rel=0.06)


@pytest.mark.parametrize("name", RANDOM)
def test_stochastic_solvers_keep_the_variance_of_a_gaussian(name: str) -> None:
    # With 200 steps; ancestral sampling of few steps is known to lose a little.
    x = torch.randn(6_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = solve(name, gaussian, x, evaluations=200)
    assert float(drawn.std()) == pytest.approx(S, rel=0.04)
    assert abs(float(torch.corrcoef(torch.stack([drawn, x]))[0, 1])) < 0.2  # the first noise is mostly forgotten


@pytest.mark.parametrize("name", STEADY)
def test_steady_solvers_ignore_the_seed(name: str) -> None:
    x = mixture.noise(5)
    a, b = (solve(name, mixture.velocity, x, evaluations=6, seed=seed) for seed in (1, 2))
    assert torch.equal(a, b)


@pytest.mark.parametrize("name", RANDOM)
def test_the_same_noise_at_every_step_count(name: str) -> None:
    x = mixture.noise(200)
    fine = solve(name, mixture.velocity, x, evaluations=200, seed=3)
    again, coarse, other = (
        solve(name, mixture.velocity, x, evaluations=n, seed=seed) for n, seed in ((200, 3), (100, 3), (100, 4))
    )
    assert torch.equal(fine, again)
    near, far = ((fine - b).square().mean().sqrt() for b in (coarse, other))
    assert near < far / 5


def test_ancestral_steps_have_the_posterior_of_ddpm() -> None:
    """The step of Ho et al. 2020, equations 6 and 7, on their own path, equals ours on the straight one."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    bar = torch.cumprod(1 - beta, 0)
    n = 400
    z, e, fresh = (torch.randn(6, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(3))
    x0 = (z - (1 - bar[n]).sqrt() * e) / bar[n].sqrt()
    mean = (bar[n - 1].sqrt() * beta[n] * x0 + (1 - beta[n]).sqrt() * (1 - bar[n - 1]) * z) / (1 - bar[n])
    variance = (1 - bar[n - 1]) / (1 - bar[n]) * beta[n]
    theirs = mean + variance.sqrt() * fresh
    total = [float(bar[i].sqrt() + (1 - bar[i]).sqrt()) for i in (n, n - 1)]
    times = [float((1 - bar[i]).sqrt()) / total[j] for j, i in enumerate((n, n - 1))]
    for sample in (partial(sample_ddim, eta=1.0), partial(sample_sde, order=1)):
        ours = sample(lambda x, t: e - x0, z / total[0], times, noise=lambda t, s: fresh)
        assert torch.allclose(ours * total[1], theirs, atol=1e-10)


def test_ddim_without_noise_is_euler_and_eta_1_is_ddpm() -> None:
    x = mixture.noise(20)
    ask = partial(solve, model=mixture.velocity, x=x, evaluations=9, seed=1)
    assert torch.allclose(ask("ddim"), ask("euler"), atol=1e-12)
    assert torch.equal(ask("ddim", eta=1.0), ask("ddpm"))
    assert not torch.allclose(ask("ddim", eta=0.5), ask("ddim"), atol=1e-3)


def test_adams_weights_integrate_polynomials() -> None:
    nodes = [0.7, 0.8, 0.95, 1.0]
    weights = adams_weights(nodes, 0.7, 0.4)
    for k in range(4):
        exact = (0.4 ** (k + 1) - 0.7 ** (k + 1)) / (k + 1)
        assert sum(w * n**k for w, n in zip(weights, nodes, strict=True)) == pytest.approx(exact)


@pytest.mark.parametrize("rate", [1.0, 2.0])
def test_exponential_weights_integrate_polynomials(rate: float) -> None:
    nodes, start, stop = [0.5, 0.1, -0.4], 0.5, 1.1
    weights = exponential_weights(nodes, start, stop, rate)
    u = torch.linspace(start, stop, 200_001, dtype=torch.float64)
    for k in range(3):
        exact = torch.trapezoid(rate * torch.exp(rate * (u - stop)) * u**k, u)
        assert sum(w * n**k for w, n in zip(weights, nodes, strict=True)) == pytest.approx(float(exact))


def test_grids() -> None:
    assert time_grid(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    shifted = time_grid(4, 3.0)
    assert (shifted[0], shifted[-1]) == (1.0, 0.0)
    assert shifted[2] / (1 - shifted[2]) == pytest.approx(3.0)  # sigma of 1 becomes 3
    karras = karras_grid(5)
    sigma = [t / (1 - t) for t in karras]
    assert (len(karras), karras[-1]) == (6, 0.0)
    assert sigma[0] == pytest.approx(80)
    assert sigma[4] == pytest.approx(0.002)
    assert sigma[2] ** (1 / 7) == pytest.approx((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2)
    assert table_grid(2, [0.0, 0.1, 0.4, 0.5, 0.9]) == [0.9, 0.4, 0.0]
    assert table_grid(8, [0.0, 0.4, 0.9])[1] == pytest.approx(0.775)
    assert karras_grid(1)[1:] == [0.0]


def test_bad_requests() -> None:
    with pytest.raises(NotFound, match="heun"):
        solve("huen", gaussian, torch.ones(1), evaluations=4)
    with pytest.raises(NotFound, match="adams, ddim, ddpm, dpmpp, dpmpp-2m, dpmpp-2m-sde, euler, heun, ipndm, unipc"):
        solve("xyz", gaussian, torch.ones(1), evaluations=4)
    with pytest.raises(BadValue, match="at least 1"):
        solve("euler", gaussian, torch.ones(1), evaluations=0)
    with pytest.raises(BadValue, match="eta belongs to the solver ddim"):
        solve("euler", gaussian, torch.ones(1), evaluations=4, eta=0.5)
    with pytest.raises(BadValue, match="from 0"):
        solve("ddim", gaussian, torch.ones(1), evaluations=4, eta=1.5)
