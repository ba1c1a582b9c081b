"""Every backbone keeps shapes, starts at zero, listens to time and condition, and says when it does not fit."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.nets.backbones import Form, backbone, form_of
from genloom.nets.condition import Cond
from genloom.nets.unet import fold, unfold

CHOICES = {
    "widths": (16, 16),
    "blocks": (1, 1),
    "attention": (1,),
    "stem": 2,
    "width": 32,
    "depth": 2,
    "patch": 4,
    "embedding": 16,
}


def stirred(kind: str, shape: tuple[int, ...], **changes) -> torch.nn.Module:
    torch.manual_seed(0)
    net = backbone(kind, shape, **{**CHOICES, **changes})
    assert net(torch.randn(2, *shape), torch.rand(2), planes_of(2, shape, **changes)).abs().max() == 0
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape) * 0.05)
    return net


def planes_of(n: int, shape: tuple[int, ...], planes: int = 0, **_) -> Cond:
    return Cond(planes=torch.randn(n, planes, *shape[1:])) if planes else Cond()


KINDS = [
    ("auto", (1, 21)),
    ("auto", (3, 9, 14)),
    ("auto", (1, 5, 8, 6)),
    ("auto", (7,)),
    ("dit", (1, 21)),
    ("dit", (3, 9, 14)),
    ("dit", (1, 5, 8, 6)),
]


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_shapes_time_and_condition(kind: str, shape: tuple[int, ...]) -> None:
    net, x, t = stirred(kind, shape), torch.randn(2, *shape), torch.tensor([0.2, 0.7])
    vector = torch.randn(2, 16)
    y = net(x, t, Cond(vector))
    assert y.shape == x.shape
    assert (net(x, t + 0.2, Cond(vector)) - y).abs().max() > 1e-4
    assert (net(x, t, Cond(vector + 1)) - y).abs().max() > 1e-4
    y.square().mean().backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []


@pytest.mark.parametrize(("kind", "shape"), [k for k in KINDS if len(k[1]) > 1])
def test_planes_stand_beside_the_item(kind: str, shape: tuple[int, ...]) -> None:
    net, x, t = stirred(kind, shape, planes=2), torch.randn(2, *shape), torch.tensor([0.2, 0.7])
    one, other = planes_of(2, shape, planes=2), planes_of(2, shape, planes=2)
    assert net(x, t, one).shape == x.shape
    assert (net(x, t, one) - net(x, t, other)).abs().max() > 1e-4


@pytest.mark.parametrize("space", [(8,), (4, 6), (4, 6, 8)])
def test_unfold_undoes_fold(space: tuple[int, ...]) -> None:
    x = torch.randn(2, 3, *space)
    folded = fold(x, 2)
    assert folded.shape == (2, 3 * 2 ** len(space), *(s // 2 for s in space))
    assert torch.equal(unfold(folded, 2), x)
    corner = folded[(0, slice(0, 2 ** len(space)), *[0] * len(space))]  # the first channel's first window
    assert torch.equal(corner, x[(0, 0, *[slice(0, 2)] * len(space))].flatten())


@pytest.mark.parametrize(
    ("kind", "shape", "changes", "error", "said"),
    [
        ("unet", (1, 28, 28), {"blocks": (1,)}, BadValue, "one number for each"),
        ("unet", (1, 3, 28), {}, BadData, "at least 4x4, got 3x28"),
        ("unet", (5,), {}, BadData, "does not suit"),
        ("rows", (1, 28, 28), {}, BadData, "does not suit"),
        ("dit", (1, 3, 28), {}, BadData, "patches of 4 do not fit"),
    ],
)
def test_says_when_it_does_not_fit(kind: str, shape: tuple[int, ...], changes: dict, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        backbone(kind, shape, **{**CHOICES, **changes})


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        ((3, 64, 64), Form((32, 96), (1, 3), (), 2)),
        ((1, 64, 63), Form((32, 96), (1, 3), (), 2)),
        ((1, 8000), Form((32, 96, 96, 96), (1, 1, 1, 3), (3,), 16)),
        ((2, 64), Form((32, 96), (1, 3), (1,), 2)),
        ((1, 16, 32, 32), Form((32, 96), (1, 3), (1,), (2, 2, 2))),
        ((3, 16, 64, 64), Form((96, 96), (1, 3), (1,), (2, 4, 4))),
        ((1, 4, 12, 12), Form((32, 96), (1, 3), (1,), (1, 2, 2))),
    ],
)
def test_the_shape_chooses_the_levels(shape: tuple[int, ...], form: Form) -> None:
    assert form_of(shape, (32, 96), (1, 3), ()) == form


def test_sides_fold_by_factors_of_their_own() -> None:
    x = torch.arange(2 * 3 * 4 * 8 * 6.0).view(2, 3, 4, 8, 6)
    folded = fold(x, (1, 4, 2))
    assert folded.shape == (2, 24, 4, 2, 3)
    assert torch.equal(unfold(folded, (1, 4, 2)), x)
    assert torch.equal(fold(x[:, :, 0], (2, 2)), fold(x[:, :, 0], 2))
