"""Finding a latent by gradient descent: known answers, many starts, decoders without gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.samplers.inversion import invert

SPREAD = (torch.zeros(3), torch.ones(3))


def g(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_linear_decoder_is_inverted() -> None:
    matrix = torch.randn(5, 3, generator=g())
    wanted = torch.randn(2, 3, generator=g(1))
    items = wanted @ matrix.T

    def distance(x: Tensor, rows: Tensor) -> Tensor:
        return (x - items[rows]).square().sum(1)

    found = invert(lambda z, rows: z @ matrix.T, torch.zeros(2, 1, 3), distance, SPREAD, stay=0.0)
    assert torch.allclose(found.latent, wanted, atol=1e-2)
    assert found.loss.max() < 1e-3
    near = invert(lambda z, rows: z @ matrix.T, torch.zeros(2, 1, 3), distance, SPREAD, stay=50.0)
    assert bool((near.latent.norm(dim=1) < found.latent.norm(dim=1)).all())


def test_the_best_of_several_starts_is_kept() -> None:
    def distance(x: Tensor, rows: Tensor) -> Tensor:  # two valleys along the first axis, the deeper one at 2
        return ((x[:, 0] - 2).square() * (x[:, 0] + 2).square() - 0.5 * x[:, 0]) + x[:, 1:].square().sum(1)

    starts = torch.tensor([[[-2.5, 0, 0], [2.5, 0, 0]]])
    found = invert(lambda z, rows: z, starts, distance, SPREAD, stay=0.0)
    assert found.start.tolist() == [1]
    assert found.latent[0, 0].item() == pytest.approx(2, abs=0.1)
    again = invert(lambda z, rows: z, starts, distance, SPREAD, stay=0.0)
    assert torch.equal(found.latent, again.latent)


def test_rates_follow_the_spread_of_the_prior() -> None:
    target = torch.tensor([[1000.0, 2000.0, 3000.0]])
    wide = (torch.zeros(3), torch.full((3,), 1000.0))
    distance = lambda x, rows: ((x - target) / 1000).square().sum(1)  # noqa: E731
    found = invert(lambda z, rows: z, torch.zeros(1, 1, 3), distance, wide, stay=0.0)
    assert torch.allclose(found.latent, target, rtol=1e-2)


def test_a_decoder_without_gradient_is_refused() -> None:
    with pytest.raises(BadValue, match="hands on no gradient"):
        invert(lambda z, rows: z.detach(), torch.zeros(1, 1, 3), lambda x, rows: x.sum(1), SPREAD)
