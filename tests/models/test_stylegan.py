"""The `stylegan` model: its turns written out, what adapts, styles mixed and truncated, bad input."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import genloom
from genloom.cli.main import main
from genloom.core import Batch, DataSpec, Field, Phase, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.metrics.path_length import path_lengths as perceptual
from genloom.models.adversarial.stylegan import StyleGAN, StyleGANConfig

N = 4
SMALL = StyleGANConfig(latent=6, style=5, depth=2, width=4, augment="off")


def spec(classes: int = 0, shape: tuple[int, int, int] = (1, 16, 16)) -> DataSpec:
    label = {"label": Field("class", (), classes=tuple("abc"[:classes]), role="condition")} if classes else {}
    return {"image": Field("image", shape), **label}


def batch(classes: int = 0) -> Batch:
    x = torch.rand(N, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return {"image": x, **({"label": torch.arange(N) % classes} if classes else {})}


def step(index: int = 0) -> Step:
    return Step(seed=1, rows=(0, N, N), index=index)


def made(classes: int = 0, **changes: Any) -> StyleGAN:
    torch.manual_seed(0)
    return StyleGAN(replace(SMALL, conditional=classes > 0, **changes), spec(classes))


def phase(model: StyleGAN, name: str) -> Phase:
    return next(p for p in model.phases() if p.name == name)


def gen(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_lazy_turns_weigh_what_they_skip() -> None:
    once, seldom = made(r1=1.0, r1_every=1), made(r1=1.0, r1_every=16)
    assert [(p.name, p.every) for p in seldom.phases()][2:] == [("r1", 16), ("path", 8)]
    a, b = (m.loss(phase(m, "r1"), batch(), step()) for m in (once, seldom))
    assert b.total.item() == pytest.approx(16 * a.total.item())
    x = batch()["image"].requires_grad_()
    (gradient,) = torch.autograd.grad(once.discriminator(x, None).sum(), x)
    assert a.total.item() == pytest.approx(gradient.square().sum((1, 2, 3)).mean().item() / 2, rel=1e-4)
    assert [p.name for p in made(r1=0.0, path=0.0).phases()] == ["discriminator", "generator"]


def test_path_lengths_are_pulled_towards_their_running_mean() -> None:
    model = made(path=1.0, path_every=1, path_memory=0.5)
    first = model.loss(phase(model, "path"), batch(), step())
    lengths = first.memo["lengths"]
    assert first.total.item() == pytest.approx(lengths.var(unbiased=False).item(), rel=1e-3)  # no mean yet: its own
    model.after_phase(phase(model, "path"), first.memo, step())
    assert model.path_mean.item() == pytest.approx(lengths.mean().item())
    model.after_phase(phase(model, "path"), {"lengths": 3 * lengths}, step())
    assert model.path_mean.item() == pytest.approx(2 * lengths.mean().item())
    second = model.loss(phase(model, "path"), batch(), step())
    assert second.total.item() == pytest.approx((lengths - model.path_mean).square().mean().item(), rel=1e-3)


def test_p_adapts_every_fourth_step_by_how_sure_the_discriminator_is() -> None:
    model = made(augment="ada", ada_speed=160.0)
    d, memo = phase(model, "discriminator"), {"sign": torch.ones(N)}
    for index in range(4):
        assert model.p.item() == 0
        model.after_phase(d, memo, step(index))
    assert model.p.item() == pytest.approx(4 * N / 160)
    for index in range(4, 8):
        model.after_phase(d, {"sign": -memo["sign"]}, step(index))
    assert model.p.item() == 0
    fixed = made(augment="fixed", p=0.3)
    fixed.after_phase(phase(fixed, "discriminator"), memo, step(3))
    assert fixed.p.item() == pytest.approx(0.3)
    plain = made().loss(phase(made(), "discriminator"), batch(), step()).total
    assert fixed.loss(phase(fixed, "discriminator"), batch(), step()).total != plain


def test_the_game_is_non_saturating() -> None:
    model = made(mixing=0.0)
    w = model.mixed_styles(N, None, s := step())
    noise = [s.randn(N, 1, *size) for size in model.synthesis.noises]
    fake = model.discriminator(model.synthesis(w, noise), None)
    real = model.discriminator(batch()["image"], None)
    losses = [model.loss(phase(model, p), batch(), step()).total.item() for p in ("discriminator", "generator")]
    assert losses == pytest.approx([(F.softplus(-real).mean() + F.softplus(fake).mean()).item(),
                                    F.softplus(-fake).mean().item()], rel=1e-4)  # fmt: skip


def test_mixing_changes_styles_from_a_level_on() -> None:
    model = made()
    alone, both = made(mixing=0.0).mixed_styles(N, None, step()), made(mixing=1.0).mixed_styles(N, None, step())
    assert model.levels == 3
    assert torch.equal(alone, alone[:, :1].expand_as(alone))
    assert torch.equal(both[:, 0], alone[:, 0])
    assert bool((both[:, -1] != alone[:, -1]).any(1).all())


def test_truncation_draws_styles_to_their_centre() -> None:
    model = made()
    far, near, at = (model.prior(200, options=Sampling(truncation=psi), generator=gen()) for psi in (None, 0.5, 0.0))
    centre = at[:1]
    assert torch.allclose(at, centre.expand_as(at), atol=1e-6)
    assert torch.allclose(near - centre, (far - centre) / 2, atol=1e-5)
    spread = [
        model.sample(50, options=Sampling(truncation=psi), generator=gen())["image"].std(0).mean() for psi in (1.0, 0.3)
    ]
    assert spread[1] < spread[0]


def test_a_class_is_changed_while_the_style_is_kept() -> None:
    model = made(classes=3)
    w = model.prior(2, generator=gen())
    assert w.shape == (2, model.levels, 5 + SMALL.embedding)
    one, two = (model.decode(w, condition={"label": torch.tensor([k, k])})["image"] for k in (0, 1))
    assert not torch.equal(one, two)
    told = model.sample(2, condition={"label": torch.tensor([0, 0])}, generator=gen())["image"]
    assert torch.allclose(told, model.decode(model.latents(2, {"label": torch.tensor([0, 0])}, Sampling(), gen()))
                          ["image"], atol=1e-6)  # fmt: skip


def test_lengths_in_w_and_in_z_can_be_compared() -> None:
    model = made()
    z = torch.randn(2, 8, SMALL.latent, generator=gen())
    flat = lambda x, y: (x - y).square().flatten(1).sum(1)  # noqa: E731
    with torch.no_grad():
        decode = lambda w, rows: model.decode(w[:, None].expand(-1, model.levels, -1))["image"]  # noqa: E731
        in_w = perceptual(decode, (model.styles(z[0]), model.styles(z[1])), flat, gen())
        in_z = perceptual(lambda p, rows: decode(model.styles(p), rows), (z[0], z[1]), flat, gen())
    assert in_w.shape == in_z.shape == (8,)
    assert bool((in_w > 0).all())


def test_mistakes() -> None:
    with pytest.raises(BadValue, match=r"p 0\.9: expected 0 to 0\.8"):
        replace(SMALL, p=0.9)
    with pytest.raises(BadValue, match="augmentations 'cutout'"):
        replace(SMALL, augmentations=("blit", "cutout"))
    with pytest.raises(BadValue, match="mixing is a share"):
        replace(SMALL, mixing=2.0)
    with pytest.raises(BadData, match="at least 4x4"):
        StyleGAN(SMALL, spec(shape=(1, 3, 3)))


@pytest.fixture(scope="module")
def styled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("styled")
    settings = ["--config.width", "4", "--train.batch", "16", "--train.precision", "fp32", "--data.size", "16"]
    common = ["--data", "digits", "--budget", "3steps", "--runs", str(root)]
    assert main(["train", "stylegan", *common, *settings, "--name", "styled"]) == 0
    assert main(["train", "vae-mlp", *common, "--config.hidden", "16", "--name", "plain"]) == 0
    return root


def test_a_table_of_mixed_styles(styled: Path, tmp_path: Path) -> None:
    drawn = genloom.interpolate("styled", 3, mix="coarse", raw=True, out=tmp_path / "mix.npy", runs=styled)
    table = drawn.images.reshape(4, 4, 16, 16)
    assert (table[0, 0] == 255).all()
    same = genloom.interpolate("styled", 3, mix="coarse", raw=True, out=tmp_path / "mix.png", runs=styled)
    assert Image.open(same.path).size[0] > 4 * 16
    if len({part.tobytes() for part in table[1, 1:]}) == 1:  # all of a row took their column's coarse styles
        raise AssertionError("the columns change nothing")


BAD = {
    "no styles": (["sample", "plain", "--truncation", "0.5"], "has no styles to draw towards their centre"),
    "no styles to measure": (["evaluate", "plain", "--truncation", "0.5"], "has no styles to draw"),
    "no styles to mix": (["interpolate", "plain", "--mix", "coarse"], "has no styles to mix"),
    "psi": (["sample", "styled", "--truncation", "-1"], "--truncation: expected psi from 0"),
    "part": (["interpolate", "styled", "--mix", "large"], "part of styles 'large'"),
    "mix and walk": (["interpolate", "styled", "--mix", "coarse", "--points", "3"], "--mix is one still table"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_take_one_line(name: str, styled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = BAD[name]
    capsys.readouterr()
    assert main([*words, "-n", "2", "--raw", "--runs", str(styled)]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1
