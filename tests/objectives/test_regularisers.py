"""Penalties and the like against what can be written down: a linear critic, whose gradient is its weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from genloom.nets.critic import Spectral, follow, spectrally_normalise
from genloom.objectives.regularisers import clip_weights_, fading, gradient_penalty, noised, packed, squared_gradient

WEIGHTS = torch.tensor([3.0, -4.0, 0.0, 12.0])


def linear(weights: Tensor = WEIGHTS) -> nn.Linear:
    layer = nn.Linear(4, 1)
    layer.weight.data.copy_(weights[None])
    return layer


def test_r1_of_a_linear_critic_is_its_squared_length() -> None:
    critic = linear()
    x = torch.randn(5, 1, 2, 2, requires_grad=True)
    penalty = squared_gradient(critic(x.flatten(1)), x)
    assert penalty.tolist() == pytest.approx([169.0] * 5)
    penalty.mean().backward()
    assert critic.weight.grad is not None
    assert torch.allclose(critic.weight.grad[0], 2 * WEIGHTS)


def test_the_gradient_penalty_of_a_linear_critic() -> None:
    critic = linear()
    real, fake, mix = torch.randn(5, 4), torch.randn(5, 4), torch.rand(5, 1)
    penalty = gradient_penalty(critic, real, fake, mix)
    assert penalty.item() == pytest.approx((13.0 - 1) ** 2)
    penalty.backward()
    assert critic.weight.grad is not None  # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    assert torch.allclose(critic.weight.grad[0], 2 * 12.0 * WEIGHTS / 13, atol=1e-4)
    assert gradient_penalty(linear(WEIGHTS / 13), real, fake, mix).item() == pytest.approx(0.0, abs=1e-6)


def test_the_gradient_penalty_looks_between_real_and_fake() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return x.square().sum((1, 2)) / 2  # its gradient at x is x

    real, fake = torch.full((2, 1, 2), 2.0), torch.zeros(2, 1, 2)
    mix = torch.tensor([[1.0], [0.25]])
    lengths = torch.tensor([8.0, 0.5]).sqrt()
    assert gradient_penalty(critic, real, fake, mix).item() == pytest.approx((lengths - 1).square().mean().item())
    assert seen[0].flatten().tolist() == [2.0, 2.0, 0.5, 0.5]


def test_the_gradient_penalty_of_a_flat_critic_is_finite() -> None:
    critic = linear(torch.zeros(4))
    gradient_penalty(critic, torch.ones(2, 4), torch.zeros(2, 4), torch.rand(2, 1)).backward()
    assert critic.weight.grad is not None
    assert torch.isfinite(critic.weight.grad).all()


def test_noise_fades_evenly_and_ends() -> None:
    assert [fading(0.4, p, 0.5) for p in (0.0, 0.25, 0.5, 0.9)] == pytest.approx([0.4, 0.2, 0.0, 0.0])
    x, noise = torch.randn(3, 4), torch.randn(3, 4)
    assert torch.equal(noised(x, noise, 0.5), x + 0.5 * noise)


def test_packing_puts_neighbours_into_one() -> None:
    x = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 2, 1, 3)
    two = packed(x, 2)
    assert two.shape == (3, 4, 1, 3)
    assert two[:, :, 0, 0].tolist() == [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4, 5, 5]]
    assert packed(x[:3], 2)[:, :, 0, 0].tolist() == [[0, 0, 1, 1], [2, 2, 0, 0]]  # filled with the first
    assert packed(x, 1) is x


def test_weights_are_cut() -> None:
    layer = linear()
    clip_weights_(layer.parameters(), 0.01)
    assert torch.allclose(layer.weight[0], torch.tensor([0.01, -0.01, 0.0, 0.01]))


def test_spectral_norms_are_one_and_follow_the_weights() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.Flatten(), nn.Linear(32, 6))
    spectrally_normalise(net)

    def largest() -> list[float]:
        layers = [m for m in net if isinstance(m, nn.Conv2d | nn.Linear)]
        return [float(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2)) for m in layers]

    for _ in range(50):
        follow(net)
    assert largest() == pytest.approx([1.0, 1.0], abs=1e-3)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(3).add_(0.1 * torch.randn_like(p))
    for _ in range(50):
        follow(net)
    assert largest() == pytest.approx([1.0, 1.0], abs=1e-3)


def test_a_spectral_norm_changes_nothing_when_it_is_used() -> None:
    weight = torch.randn(3, 5)
    norm = Spectral(weight)
    before = norm.u.clone()
    assert torch.equal(norm(weight), norm(weight))
    assert torch.equal(norm.u, before)
