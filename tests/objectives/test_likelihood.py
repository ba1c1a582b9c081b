"""Likelihoods against torch.distributions and against what makes a probability one."""

from __future__ import annotations

import math

import pytest
import torch
from torch import distributions as D

from genloom.objectives.likelihood import (
    bernoulli_nll,
    discretised_gaussian_nll,
    gaussian_nll,
    optimal_log_sigma,
    soft_floor,
    standard_normal_kl,
)


def test_soft_floor() -> None:
    x = torch.tensor([-50.0, -6.0, 3.0])
    y = soft_floor(x, -6.0)
    assert y[0].item() == pytest.approx(-6.0, abs=1e-5)
    assert y[1].item() == pytest.approx(-6 + math.log(2), abs=1e-5)
    assert y[2].item() == pytest.approx(3.0, abs=1e-3)


def test_no_other_sigma_is_more_likely() -> None:
    x, mean = torch.randn(64, 10) * 0.3, torch.zeros(64, 10)
    best = optimal_log_sigma((x - mean).square(), low=-60.0)
    losses = [gaussian_nll(x, mean, best + d).mean().item() for d in (-0.1, 0.0, 0.1)]
    assert losses[1] == min(losses)
    assert best.exp().item() == pytest.approx(x.square().mean().sqrt().item(), rel=1e-4)


def test_a_perfect_reconstruction_stays_finite() -> None:
    log_sigma = optimal_log_sigma(torch.zeros(4))
    assert log_sigma.item() == pytest.approx(-6.0, abs=0.1)
    assert not log_sigma.requires_grad


def test_gaussian_nll_is_the_density() -> None:
    x, mean, log_sigma = torch.randn(5, 2, 3), torch.randn(5, 2, 3), torch.tensor(-0.7)
    expected = -D.Normal(mean, log_sigma.exp()).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(gaussian_nll(x, mean, log_sigma), expected, atol=1e-4)


@pytest.mark.parametrize("log_sigma", [-6.0, -3.0, 0.0, 2.0])
@pytest.mark.parametrize("mean", [-1.3, -1.0, 0.123, 1.0])
def test_the_masses_of_all_stored_values_sum_to_one(mean: float, log_sigma: float) -> None:
    levels = (torch.arange(256.0) / 127.5 - 1).reshape(256, 1)
    nll = discretised_gaussian_nll(levels, torch.full_like(levels, mean), torch.tensor(log_sigma))
    assert torch.isfinite(nll).all()
    assert (nll >= -1e-6).all()
    assert torch.exp(-nll).sum().item() == pytest.approx(1.0, abs=1e-5)


def test_a_wide_gaussian_has_the_mass_of_its_density_times_the_bin() -> None:
    x, mean, log_sigma = torch.tensor([[51 / 127.5 - 1]]), torch.tensor([[-0.5]]), torch.tensor(-1.0)
    mass = discretised_gaussian_nll(x, mean, log_sigma)
    assert mass.item() == pytest.approx(gaussian_nll(x, mean, log_sigma).item() - math.log(2 / 255), abs=1e-4)


def test_bernoulli_and_kl() -> None:
    x, logits = torch.rand(3, 4), torch.randn(3, 4)
    expected = -(x * torch.sigmoid(logits).log() + (1 - x) * torch.sigmoid(-logits).log()).sum(1)
    assert torch.allclose(bernoulli_nll(x, logits), expected, atol=1e-5)
    mean, log_variance = torch.randn(3, 4), torch.randn(3, 4)
    kl = D.kl_divergence(D.Normal(mean, (0.5 * log_variance).exp()), D.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(standard_normal_kl(mean, log_variance), kl, atol=1e-5)
