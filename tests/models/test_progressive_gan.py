"""The `progressive-gan` model: when it grows, how sizes fade in, its losses, resuming across a growth, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import Batch, Field, Phase, Step
from genloom.errors import BadData, BadValue, Damaged
from genloom.models.adversarial.progressive_gan import ProgressiveGAN, ProgressiveGANConfig
from genloom.nets.progressive import GrowingGenerator, GrowingJudge, at_level, enlarged, growth, reduced
from genloom.testing import Case, fake_images, make_case

N = 4
SMALL = ProgressiveGANConfig(latent=6, width=2)


def made(**changes: Any) -> ProgressiveGAN:
    torch.manual_seed(0)
    return ProgressiveGAN(replace(SMALL, **changes), {"image": Field("image", (1, 16, 16))})


def batch() -> Batch:
    return {"image": torch.rand(N, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1}


def step(progress: float) -> Step:
    return Step(seed=1, rows=(0, N, N), progress=progress)


def phase(model: ProgressiveGAN, name: str) -> Phase:
    return next(p for p in model.phases() if p.name == name)


def test_growth_by_progress() -> None:
    assert growth(0.0, 2, 0.6) == (0, 1.0)
    assert growth(0.14, 2, 0.6) == (0, 1.0)
    assert growth(0.225, 2, 0.6) == (1, pytest.approx(0.5))
    assert growth(0.3, 2, 0.6) == (1, 1.0)
    assert growth(0.44, 2, 0.6) == (1, 1.0)
    assert growth(0.525, 2, 0.6) == (2, pytest.approx(0.5))
    assert growth(0.6, 2, 0.6) == growth(1.0, 2, 0.6) == (2, 1.0)
    seen = [growth(i / 999, 3, 0.7) for i in range(1000)]
    assert seen == sorted(seen)


def test_a_size_fades_in_from_what_was_there() -> None:
    torch.manual_seed(0)
    g, d = GrowingGenerator(6, (3, 16, 16), 2, 2), GrowingJudge((3, 16, 16), 2, 2)
    z = torch.randn(N, 6)
    small, faint, large = g(z, 1, 1.0), g(z, 2, 1e-6), g(z, 2, 1.0)
    assert small.shape == (N, 3, 8, 8)
    assert torch.allclose(faint, enlarged(small), atol=1e-4)
    assert torch.allclose(g(z, 2, 0.25), 0.75 * enlarged(small) + 0.25 * large, atol=1e-5)
    assert torch.allclose(d(enlarged(small), 2, 1e-6), d(small, 1, 1.0), atol=1e-4)


def test_real_pictures_are_as_sharp_as_generated_ones() -> None:
    x = torch.randn(N, 1, 13, 16)
    assert at_level(x, 2, 2, 1.0).shape == (N, 1, 16, 16)
    assert torch.equal(at_level(x, 2, 2, 1.0)[:, :, :13], x)
    y = at_level(x, 2, 1, 1.0)
    assert y.shape == (N, 1, 8, 8)
    assert torch.allclose(at_level(x, 2, 1, 0.25), 0.75 * enlarged(reduced(y)) + 0.25 * y, atol=1e-6)


def test_the_losses_written_out() -> None:

    def logits(model: ProgressiveGAN, x: Tensor) -> Tensor:
        return model.discriminator(x, None, 2, 1.0)

    for loss in ("wgan-gp", "non-saturating"):
        model = made(loss=loss, gradient_penalty=0.0, drift=0.5, r1=0.0)
        fake = logits(model, model.generator(step(1.0).randn(N, 6), 2, 1.0).detach())
        real = logits(model, batch()["image"])
        if loss == "wgan-gp":
            expected = fake.mean() - real.mean() + 0.5 * real.square().mean(), -fake.mean()
        else:
            expected = F.softplus(-real).mean() + F.softplus(fake).mean(), F.softplus(-fake).mean()
        found = [model.loss(phase(model, p), batch(), step(1.0)).total.item() for p in ("discriminator", "generator")]
        assert found == pytest.approx([e.item() for e in expected], rel=1e-4)
    plain, pulled = made(gradient_penalty=0.0), made(gradient_penalty=3.0)
    a, b = (m.loss(phase(m, "discriminator"), batch(), step(1.0)) for m in (plain, pulled))
    assert (b.total - a.total).item() == pytest.approx(3 * b.parts["gradient_penalty"].item(), rel=1e-3)
    steep = made(loss="non-saturating", r1=4.0)
    found = steep.loss(phase(steep, "discriminator"), batch(), step(1.0))
    assert (found.total - found.parts["play"]).item() == pytest.approx(2 * found.parts["r1"].item(), rel=1e-3)


def test_only_sizes_in_play_learn_and_samples_have_the_full_size() -> None:
    case = case_of(steps=8)
    model = case.build()
    game = case.game(model)
    case.play(game, 0, 1)
    asleep = [n for n, p in model.named_parameters() if p.grad is None and n.startswith("generator")]
    assert any(n.startswith("generator.convs.2") for n in asleep)
    assert not any(n.startswith(("generator.first", "generator.pictures.0")) for n in asleep)
    drawn = model.sample(2, generator=torch.Generator().manual_seed(0))["image"]
    assert drawn.shape[2:] == (16, 16)
    assert torch.allclose(drawn, enlarged(reduced(drawn, 2), 2), atol=1e-6)  # 4 pixels, enlarged
    case.play(game, 1, 8)
    assert model.progress.item() == pytest.approx(7 / 8)


def case_of(steps: int) -> Case:
    return make_case(ProgressiveGAN, replace(SMALL, grown=0.8), fake_images(shape=(1, 16, 16)), steps=steps)


def test_a_run_that_stops_anywhere_goes_on_exactly() -> None:
    steps = 6  # sizes fade in at steps 2 and 4
    case = case_of(steps)
    assert {growth(i / steps, 2, 0.8)[0] for i in range(steps)} == {0, 1, 2}
    whole = case.build()
    case.play(case.game(whole), 0, steps)
    for stop in range(1, steps):
        first = case.build()
        game = case.game(first)
        case.play(game, 0, stop)
        again = case.build(seed=5)
        again.load_state_dict(first.state_dict())
        other = case.game(again)
        other.load_optimizer_state(game.optimizer_state())
        case.play(other, stop, steps)
        for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values(), strict=True):
            assert torch.equal(a, b), f"{name} differs after a stop at step {stop}"


def test_optimizers_of_other_players_are_refused() -> None:
    case = case_of(2)
    game = case.game(case.build())
    with pytest.raises(Damaged, match=r"optimizer of 'makers'.*--from"):
        game.load_optimizer_state({"makers/generator.weight/exp_avg": torch.zeros(1)})


def test_mistakes() -> None:
    with pytest.raises(BadValue, match="grown 0: expected a share"):
        replace(SMALL, grown=0.0)
    with pytest.raises(BadValue, match="0 or more"):
        replace(SMALL, drift=-1.0)
    with pytest.raises(BadData, match="at least 4x4"):
        ProgressiveGAN(SMALL, {"image": Field("image", (1, 2, 9))})
