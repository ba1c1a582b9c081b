"""Augmentations: what p does, exactness where nothing applies, gradients, adaptation."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genloom.objectives.augment import KINDS, MOST, NORMAL, UNIFORM, adapted, augmented, jittered, stroked

N = 64


def pictures(shape: tuple[int, int, int] = (3, 12, 12)) -> Tensor:
    return torch.rand(N, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1


def draws(seed: int = 1) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.rand(N, UNIFORM, generator=g), torch.randn(N, NORMAL, generator=g)


def test_p_is_the_share_that_changes() -> None:
    x = pictures()
    assert augmented(x, *draws(), torch.tensor(0.0)) is x
    for kind in KINDS:
        changed = [
            (augmented(x, *draws(), torch.tensor(p), (kind,)) - x).flatten(1).abs().amax(1) > 1e-3 for p in (0.05, 0.4)
        ]
        few, many = (float(c.float().mean()) for c in changed)
        assert 0 < few < many < 1
        assert not bool((changed[0] & ~changed[1]).any())  # the same draws: a higher p adds to what is changed


def test_what_is_left_out_stays_as_it_is() -> None:
    uniform, normal = draws()
    x = pictures((1, 10, 7))
    same = augmented(x, uniform.clamp_min(0.5), normal, torch.tensor(0.3))
    assert torch.allclose(same, x, atol=1e-5)


def test_a_flip_a_quarter_turn_and_a_shift_move_pixels_and_invent_none() -> None:
    x = pictures()
    off = torch.full((N, UNIFORM), 0.99)
    p = torch.tensor(0.8)
    flip, turn, shift = off.clone(), off.clone(), off.clone()
    flip[:, 0], flip[:, 1] = 0.0, 0.0
    turn[:, 2] = 0.25 * 0.8 + 1e-3
    shift[:, 3], shift[:, 4], shift[:, 5] = 0.0, 0.5, 0.999  # by round(0.125 * 12) rows
    normal = torch.zeros(N, NORMAL)
    assert torch.allclose(augmented(x, flip, normal, p, ("blit",)), x.flip(3), atol=1e-4)
    turned = augmented(x, turn, normal, p, ("blit",))
    assert any(torch.allclose(turned, x.rot90(k, (2, 3)), atol=1e-4) for k in (1, 3))
    moved = augmented(x, shift, normal, p, ("blit",))
    assert any(torch.allclose(moved[:, :, 2:10], x[:, :, 2 + k : 10 + k], atol=1e-4) for k in (-2, -1, 1, 2))


def test_gradients_pass_through() -> None:
    x = pictures()[:8].requires_grad_()
    uniform, normal = (d[:8] for d in draws())
    augmented(x, uniform, normal, torch.tensor(0.7)).square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.flatten(1).any(1).all())


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_numbers_of_channels(channels: int) -> None:
    x = pictures((channels, 8, 12))
    out = augmented(x, *draws(), torch.tensor(0.5))
    assert out.shape == x.shape
    assert bool(torch.isfinite(out).all())


def test_p_follows_the_verdict() -> None:
    p = torch.tensor(0.3)
    assert adapted(p, torch.tensor(0.9), 0.6, 100, 1000).item() == pytest.approx(0.4)
    assert adapted(p, torch.tensor(0.1), 0.6, 100, 1000).item() == pytest.approx(0.2)
    assert adapted(p, torch.tensor(0.9), 0.6, 1000, 1000).item() == pytest.approx(MOST)
    assert adapted(p, torch.tensor(0.1), 0.6, 1000, 1000).item() == 0


def test_stroked() -> None:
    """A line of one pixel: half leaves it, 1 makes it three wide, 0 wipes it out."""
    x = torch.full((1, 1, 9, 9), -1.0)
    x[..., 4, :] = 1.0
    u = torch.tensor([0.5])
    assert torch.equal(stroked(x, u, 1.0), x)
    assert (stroked(x, u + 0.5, 1.0) > 0)[0, 0, :, 0].nonzero().flatten().tolist() == [3, 4, 5]
    assert (stroked(x, u * 0, 1.0) == -1).all()
    assert stroked(x, u * 0, 0.5)[0, 0, 4, 4] == pytest.approx(0.0)


def test_jittered() -> None:
    """Half: nothing moves. A turn alone turns the middle row; gradients pass."""
    x = torch.zeros(1, 1, 9, 9)
    x[..., 4, :] = 1.0
    u = torch.full((1, 6), 0.5)
    assert torch.allclose(jittered(x, u, 0.3), x, atol=1e-5)
    u[0, 0] = 1.0
    turned = jittered(x.requires_grad_(), u, math.pi / 2)
    assert torch.allclose(turned, x.rot90(1, (2, 3)), atol=1e-4)
    turned.square().sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())
