"""Adversarial losses against their definitions, written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genloom.objectives.adversarial import (
    bce_discriminator,
    bce_generator,
    relativistic_discriminator,
    relativistic_generator,
)
from genloom.objectives.regularisers import squared_gradient

REAL = torch.tensor([1.5, -0.2, 0.0, 3.0])
FAKE = torch.tensor([-0.5, 0.7, 0.1, -2.0])


def test_bce_equals_sigmoid_and_logarithm_apart() -> None:
    bce = nn.BCELoss()
    apart = bce(torch.sigmoid(REAL), torch.ones(4)) + bce(torch.sigmoid(FAKE), torch.zeros(4))
    assert bce_discriminator(REAL, FAKE) == pytest.approx(apart.item(), rel=1e-5)
    assert bce_generator(FAKE) == pytest.approx(bce(torch.sigmoid(FAKE), torch.ones(4)).item(), rel=1e-5)


def test_bce_keeps_a_gradient_where_a_sigmoid_has_rounded_off() -> None:
    logits = torch.tensor([-200.0], requires_grad=True)
    bce_generator(logits).backward()
    assert logits.grad is not None
    assert logits.grad.item() == pytest.approx(-1.0)


def test_relativistic_losses_mirror_each_other_and_see_only_differences() -> None:
    expected = torch.log1p(torch.exp(-(REAL - FAKE))).mean().item()
    assert relativistic_discriminator(REAL, FAKE) == pytest.approx(expected, rel=1e-5)
    assert relativistic_generator(REAL, FAKE) == pytest.approx(relativistic_discriminator(FAKE, REAL).item())
    assert relativistic_discriminator(REAL + 7, FAKE + 7) == pytest.approx(expected, rel=1e-5)


def test_squared_gradient_of_a_known_function() -> None:
    # f(x) = a . x^2 / 2 has the gradient a x; its squared length is sum a^2 x^2, whose derivative by a is 2 a x^2.
    a = torch.tensor([1.0, -2.0, 0.5], requires_grad=True)
    x = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]], requires_grad=True)
    penalty = squared_gradient((a * x.square()).sum(1) / 2, x)
    assert torch.allclose(penalty, (a * x).square().sum(1))
    penalty.mean().backward()
    assert a.grad is not None
    assert torch.allclose(a.grad, (2 * a * x.square()).mean(0), atol=1e-6)


def test_squared_gradient_is_per_item() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 1))
    x = torch.randn(3, 3, 2, 2, requires_grad=True)
    together = squared_gradient(net(x), x)
    one = x[1:2].detach().requires_grad_()
    assert together.shape == (3,)
    assert together[1].item() == pytest.approx(squared_gradient(net(one), one).item(), rel=1e-5)
