"""Adversarial losses against their definitions, written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from genloom.objectives.adversarial import (
    DUELS,
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


def test_losses_on_numbers_made_by_hand() -> None:
    """Logits 0 and log 3: their sigmoids are 1/2 and 3/4."""
    real, fake = torch.tensor([math.log(3), 0.0]), torch.tensor([0.0, math.log(3)])
    half, quarter = math.log(2), math.log(4)
    sure, judge = -math.log(3 / 4), (-math.log(3 / 4) + half) / 2 + (half + quarter) / 2
    expected = {
        "minimax": (judge, -(half + quarter) / 2),
        "non-saturating": (judge, (half + sure) / 2),
        "least-squares": (
            ((math.log(3) - 1) ** 2 + 1) / 4 + math.log(3) ** 2 / 4,
            (1 + (math.log(3) - 1) ** 2) / 4,
        ),
        "hinge": ((0 + 1) / 2 + (1 + 1 + math.log(3)) / 2, -math.log(3) / 2),
        "wgan": (0.0, -math.log(3) / 2),
        "wgan-gp": (0.0, -math.log(3) / 2),
        "relativistic": ((math.log1p(1 / 3) + math.log1p(3)) / 2, (math.log1p(3) + math.log1p(1 / 3)) / 2),
    }
    assert set(expected) == set(DUELS)
    for name, (d, g) in expected.items():
        assert DUELS[name].judge(real, fake).item() == pytest.approx(d, abs=1e-6), name
        assert DUELS[name].generator(real, fake).item() == pytest.approx(g, abs=1e-6), name


def test_the_saturating_gradient_vanishes_where_the_other_does_not() -> None:
    for name, slope in (("minimax", 0.0), ("non-saturating", -1.0)):
        fake = torch.tensor([-30.0], requires_grad=True)
        DUELS[name].generator(fake[:0], fake).backward()
        assert fake.grad is not None
        assert fake.grad.item() == pytest.approx(slope, abs=1e-6)


def test_one_sided_label_smoothing() -> None:
    soft = nn.BCEWithLogitsLoss()
    expected = soft(REAL, torch.full((4,), 0.9)) + soft(FAKE, torch.zeros(4))
    for name in ("minimax", "non-saturating"):
        assert DUELS[name].judge(REAL, FAKE, 0.1).item() == pytest.approx(expected.item(), rel=1e-5)
    squares = (REAL - 0.9).square().mean() / 2 + FAKE.square().mean() / 2
    assert DUELS["least-squares"].judge(REAL, FAKE, 0.1).item() == pytest.approx(squares.item(), rel=1e-5)
    with pytest.raises(ValueError, match="no labels"):
        DUELS["wgan"].judge(REAL, FAKE, 0.1)


def test_verdicts_are_taken_where_the_loss_puts_its_middle() -> None:
    real, fake = torch.tensor([0.6, 0.4]), torch.tensor([0.3, -0.2])
    assert {k: v.item() for k, v in DUELS["least-squares"].verdicts(real, fake).items()} == {
        "real_accuracy": 0.5,
        "fake_accuracy": 1.0,
    }
    assert {k: v.item() for k, v in DUELS["hinge"].verdicts(real, fake).items()} == {
        "real_accuracy": 1.0,
        "fake_accuracy": 0.5,
    }
    assert {k: v.item() for k, v in DUELS["wgan"].verdicts(real, fake).items()} == {"pair_accuracy": 1.0}
