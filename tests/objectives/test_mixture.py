"""The mixture of Gaussians beside torch's own, and its draws beside its moments."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genloom.objectives.mixture import Mixture, mixture_draw, mixture_nll, mixture_of


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_density_is_torchs() -> None:
    raw = torch.randn(7, 6 * 4, generator=generator())
    m, x = mixture_of(raw), torch.randn(7, 2, generator=generator(1))
    s, c = m.log_sigma.exp(), m.rho * m.log_sigma.exp().prod(-1)
    covariance = torch.stack((torch.stack((s[..., 0] ** 2, c), -1), torch.stack((c, s[..., 1] ** 2), -1)), -2)
    theirs = MixtureSameFamily(Categorical(logits=m.log_weight), MultivariateNormal(m.mean, covariance))
    torch.testing.assert_close(mixture_nll(x, m), -theirs.log_prob(x), atol=1e-4, rtol=1e-4)


def one(rho: float, n: int) -> Mixture:
    return Mixture(
        torch.zeros(n, 1), torch.tensor([[[1.0, -2.0]]]).expand(n, 1, 2),
        torch.tensor([[[0.5, 2.0]]]).log().expand(n, 1, 2), torch.full((n, 1), rho),
    )  # fmt: skip


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_draws_have_the_mixtures_moments(temperature: float) -> None:
    x = mixture_draw(one(0.8, 20_000), generator(2), temperature)
    torch.testing.assert_close(x.mean(0), torch.tensor([1.0, -2.0]), atol=0.05, rtol=0)
    torch.testing.assert_close(x.std(0), math.sqrt(temperature) * torch.tensor([0.5, 2.0]), atol=0.05, rtol=0)
    assert torch.corrcoef(x.T)[0, 1].item() == pytest.approx(0.8, abs=0.02)


def test_temperature_zero_is_the_likeliest_mean() -> None:
    m = Mixture(
        torch.tensor([[0.2, 0.8]]).log(), torch.tensor([[[9.0, 9.0], [1.0, 2.0]]]),
        torch.zeros(1, 2, 2), torch.zeros(1, 2),
    )  # fmt: skip
    torch.testing.assert_close(mixture_draw(m, generator(), 0.0), torch.tensor([[1.0, 2.0]]))
