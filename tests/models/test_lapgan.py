"""The `lapgan` model: the pyramid and its inverse, independence of levels, what each sees, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Field, Phase, Step
from genloom.errors import BadValue
from genloom.models.adversarial.lapgan import LAPGAN, LAPGANConfig
from genloom.nets.pyramid import collapse, larger, pyramid, smaller

N = 4
SMALL = LAPGANConfig(latent=6, width=4, features=8, conditional=False, blur_noise=0.0, r1=0.0)


def spec(shape: tuple[int, int, int] = (1, 16, 16)) -> DataSpec:
    return {"image": Field("image", shape)}


def made(**changes: Any) -> LAPGAN:
    torch.manual_seed(0)
    return LAPGAN(replace(SMALL, **changes), spec())


def batch() -> Batch:
    return {"image": torch.rand(N, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1}


def step() -> Step:
    return Step(seed=1, rows=(0, N, N))


def phase(model: LAPGAN, name: str) -> Phase:
    return next(p for p in model.phases() if p.name == name)


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 24, 40), (2, 8, 16)])
def test_the_pyramid_goes_there_and_back(shape: tuple[int, int, int]) -> None:
    x = torch.randn(2, *shape, dtype=torch.float64)
    parts = pyramid(x, 3)
    assert [p.shape[2] for p in parts] == [shape[1] >> k for k in (0, 1, 2, 3)]
    assert torch.allclose(collapse(parts), x, atol=1e-14)
    assert torch.equal(parts[0], x - larger(smaller(x)))
    assert torch.allclose(parts[3], F.avg_pool2d(x, 8))
    flat = pyramid(torch.full((1, 1, 16, 16), 0.3), 2)
    assert max(float(h.abs().max()) for h in flat[:2]) < 1e-6  # an even picture lacks nothing


def test_no_gradient_crosses_levels() -> None:
    model = made()
    assert [p.name for p in model.phases()] == [f"{w}{k}" for k in (2, 1, 0) for w in ("discriminator", "generator")]
    for p in model.phases():
        model.zero_grad()
        model.loss(p, batch(), step()).total.backward()
        k = int(p.name[-1])
        mine = (f"judges.{k}.", f"sharpeners.{k}." if k < 2 else "base.")
        touched = {n for n, q in model.named_parameters() if q.grad is not None and bool(q.grad.any())}
        assert touched
        assert all(n.startswith(mine) for n in touched), p.name


def test_a_level_plays_the_same_whatever_the_others_are() -> None:
    model = made()
    before = [model.loss(p, batch(), step()).total for p in model.phases() if p.name.endswith("0")]
    for n, q in model.named_parameters():
        if not n.startswith(("judges.0", "sharpeners.0")):
            q.data.mul_(3.0)
    after = [model.loss(p, batch(), step()).total for p in model.phases() if p.name.endswith("0")]
    assert before == after


def test_a_level_is_told_the_enlarged_picture() -> None:
    model = made()
    x = batch()["image"]
    real, blurred = model.at(x, 1)
    assert blurred is not None
    assert torch.allclose(real, smaller(x), atol=1e-6)
    assert torch.allclose(blurred, larger(smaller(smaller(x))), atol=1e-6)
    s = step()
    s.rand(N), s.randn(*blurred.shape)
    noise = s.randn(N, 1, 8, 8)
    fake = torch.cat([blurred + model.sharpeners[1](blurred, noise, None), blurred], 1)
    expected = F.softplus(-model.judges[1](fake, None)).mean()
    found = model.loss(phase(model, "generator1"), batch(), step()).total
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_samples_are_collapsed_pyramids() -> None:
    model = made(levels=1)
    seen: list[torch.Tensor] = []
    out = model.sample(3, generator=torch.Generator().manual_seed(0), callback=lambda told: seen.append(told["x"]))
    assert len(seen) == 2
    assert torch.allclose(seen[-1], out["image"], atol=1e-6)
    rough = smaller(seen[0])
    assert not torch.equal(seen[0], seen[1])
    assert rough.shape == (3, 1, 8, 8)


def test_mistakes() -> None:
    with pytest.raises(BadValue, match="3 levels make pictures of 16x16 smaller than 4 pixels"):
        made(levels=3)
    with pytest.raises(BadValue, match="levels is 1 or more"):
        replace(SMALL, levels=0)
