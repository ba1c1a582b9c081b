"""Densities along a flow are those of the known mixture, and their estimate has no bias."""

import math

import mixture
import pytest
import torch

from genloom.samplers.likelihood import density_change, normal_log_density, rising_grid, signs


def estimate(x: torch.Tensor, probe: torch.Tensor, steps: int = 40) -> torch.Tensor:
    times = rising_grid(steps, 1e-4, 1.0)
    noise, change = density_change(mixture.velocity, x, times, probe)
    return normal_log_density(noise) + change


def test_log_density_of_the_mixture_is_exact() -> None:
    x = mixture.draw(300)
    # In the plane the divergence is the mean over the two kinds of probes with equal and with opposite signs.
    same, opposite = torch.ones_like(x), torch.tensor([1.0, -1.0], dtype=torch.float64).expand_as(x)
    noise, first = density_change(mixture.velocity, x, rising_grid(60, 1e-4, 1.0), same)
    _, second = density_change(mixture.velocity, x, rising_grid(60, 1e-4, 1.0), opposite)
    found = normal_log_density(noise) + (first + second) / 2
    assert float((found - mixture.log_density(x)).abs().max()) < 0.005


def test_random_probes_have_no_bias() -> None:
    x = mixture.draw(2000)
    found = estimate(x, signs(x, torch.Generator().manual_seed(0)))
    gap = found - mixture.log_density(x)
    error = float(gap.std()) / math.sqrt(len(x))
    assert abs(float(gap.mean())) < 3 * error + 0.005
    assert error < 0.02


def test_pieces() -> None:
    x = torch.zeros(5, 3, 2)
    probe = signs(x, torch.Generator().manual_seed(0))
    assert set(probe.unique().tolist()) == {-1.0, 1.0}
    normal = torch.distributions.Normal(0, 0.5)
    y = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(normal_log_density(y, 0.5), normal.log_prob(y).sum(1), atol=1e-5)
    grid = rising_grid(7, 0.001, 0.98)
    assert len(grid) == 8
    assert grid == sorted(grid)
    assert (grid[0], grid[-1]) == (pytest.approx(0.001), 0.98)
