"""Dropout: the share that is dropped, what is left, its seed, its gradient; nothing outside training."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.nets.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.5, 0.9])
def test_a_share_p_is_dropped_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 333)  # not a multiple of four numbers
    y = Dropout(p)(x)
    sigma = (p * (1 - p) / x.numel()) ** 0.5
    assert abs((y == 0).double().mean().item() - p) < 5 * sigma + 1e-5
    assert torch.equal(y[y != 0], torch.full_like(y[y != 0], 1 / (1 - p)))
    assert y.double().mean().item() == pytest.approx(1, abs=5 * sigma / (1 - p) + 1e-4)


def test_neighbours_are_dropped_independently() -> None:
    """Four numbers share a draw of 64 bits; none of the bits may be fixed."""
    torch.manual_seed(0)
    gone = (Dropout(0.5)(torch.ones(200_000, 4)) == 0).double()
    for i in range(4):
        assert gone[:, i].mean().item() == pytest.approx(0.5, abs=0.006)
    correlations = torch.corrcoef(gone.T) - torch.eye(4)
    assert correlations.abs().max().item() < 0.012


def test_a_seed_repeats_it_and_gradients_pass_where_numbers_do() -> None:
    x = torch.randn(64, 48, dtype=torch.bfloat16, requires_grad=True)
    torch.manual_seed(3)
    first = Dropout(0.25)(x)
    torch.manual_seed(3)
    again = Dropout(0.25)(x)
    assert torch.equal(first, again)
    assert first.dtype == torch.bfloat16
    (gradient,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(gradient == 0, (first == 0) & (x != 0))


def test_nothing_is_drawn_outside_training_or_without_a_share() -> None:
    x = torch.randn(5)
    state = torch.random.get_rng_state()
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(torch.random.get_rng_state(), state)
    assert Dropout(0.5)(torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_other_numbers_are_refused(p: float) -> None:
    with pytest.raises(BadValue, match="dropout is a share from 0 up to, not including, 1, got"):
        Dropout(p)
