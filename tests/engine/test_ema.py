"""Averages of weights: the profile they promise, and any width put together afterwards."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from genloom.engine.ema import PowerEMA, exponent, post_hoc_weights


@pytest.mark.parametrize("sigma", [0.05, 0.10, 0.20])
def test_exponent_gives_the_width(sigma: float) -> None:
    g = exponent(sigma)
    assert np.sqrt((g + 1) / ((g + 2) ** 2 * (g + 3))) == pytest.approx(sigma)


def test_published_exponents() -> None:
    assert exponent(0.05) == pytest.approx(16.97, abs=0.01)
    assert exponent(0.10) == pytest.approx(6.94, abs=0.01)


def trajectory(sigma: float, values: list[float]) -> list[float]:
    """The average after each step of one weight that takes these values."""
    net = nn.Linear(1, 1, bias=False)
    average = PowerEMA(net, sigma)
    out = []
    for i, value in enumerate(values, 1):
        nn.init.constant_(net.weight, value)
        average.update(net, i)
        out.append(average.averaged["weight"].item())
    return out


def test_the_average_weighs_time_by_a_power() -> None:
    n, gamma = 400, exponent(0.1)
    values = np.linspace(0.0, 1.0, n)
    s = np.arange(1, n + 1)
    expected = (values * (s / n) ** gamma).sum() / ((s / n) ** gamma).sum()
    assert trajectory(0.1, values.tolist())[-1] == pytest.approx(expected, abs=2e-3)


def test_the_first_step_forgets_the_initial_weights() -> None:
    assert trajectory(0.1, [3.0])[-1] == 3.0


def test_another_width_from_stored_averages() -> None:
    n = 1000
    values = np.cumsum(np.random.default_rng(0).normal(size=n) * 0.05)
    stored = {s: trajectory(s, values.tolist()) for s in (0.05, 0.10)}
    times = np.arange(100, n + 1, 100)
    pairs = [(float(t), s) for t in times for s in stored]
    weights = post_hoc_weights(pairs, float(n), 0.07)
    mixed = sum(w * stored[s][int(t) - 1] for w, (t, s) in zip(weights, pairs, strict=True))
    assert weights.sum() == pytest.approx(1.0, abs=0.05)
    assert mixed == pytest.approx(trajectory(0.07, values.tolist())[-1], abs=0.02)


def test_weights_are_lent_and_given_back() -> None:
    net = nn.Linear(2, 2)
    before = net.weight.detach().clone()
    average = PowerEMA(net, 0.1)
    average.averaged["weight"].fill_(7.0)
    with average.applied(net):
        assert net.weight.eq(7.0).all()
    assert torch.equal(net.weight, before)
