"""The `gan` model: losses and penalties written out, what D sees, what follows its turn, classes, bad input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Field, Phase, Step
from genloom.errors import BadData, BadValue
from genloom.models.adversarial.gan import GAN, GANConfig
from genloom.models.adversarial.gan_mlp import MLPGAN, MLPGANConfig
from genloom.models.autoencoding.vae_mlp import MLPVAE, MLPVAEConfig
from genloom.nets.scale import inward
from genloom.recipes.registry import get, override

N = 6
DENSE = GANConfig(network="mlp", latent=5, hidden=(16,), conditional=False)


def spec(classes: int = 0, shape: tuple[int, int, int] = (1, 8, 8)) -> DataSpec:
    label = {"label": Field("class", (), classes=tuple("abc"[:classes]), role="condition")} if classes else {}
    return {"image": Field("image", shape), **label}


def batch(classes: int = 0, n: int = N, shape: tuple[int, int, int] = (1, 8, 8)) -> Batch:
    g = torch.Generator().manual_seed(0)
    x = torch.rand(n, *shape, generator=g) * 2 - 1
    return {"image": x, **({"label": torch.arange(n) % classes} if classes else {})}


def step(progress: float = 0.0, n: int = N) -> Step:
    return Step(seed=1, rows=(0, n, n), progress=progress)


def made(**changes: Any) -> GAN:
    torch.manual_seed(0)
    return GAN(replace(DENSE, **changes), spec())


def phase(model: GAN | MLPGAN, name: str) -> Phase:
    return next(p for p in model.phases() if p.name == name)


def logits(model: GAN, x: Tensor) -> Tensor:
    return model.discriminator(x, None)


def pair(model: GAN) -> tuple[Tensor, Tensor]:
    """The images that D sees in the first turn of a step."""
    return batch()["image"], model.forge(step().randn(N, 5)).detach()


def test_the_minimax_game_written_out() -> None:
    model = made(loss="minimax")
    x, fake = pair(model)
    d = F.binary_cross_entropy_with_logits
    expected = d(logits(model, x), torch.ones(N)) + d(logits(model, fake), torch.zeros(N))
    assert model.loss(phase(model, "discriminator"), batch(), step()).total.item() == pytest.approx(expected.item())
    saturating = torch.log(1 - torch.sigmoid(logits(model, fake))).mean()
    generator = model.loss(phase(model, "generator"), batch(), step()).total
    assert generator.item() == pytest.approx(saturating.item(), rel=1e-5)
    generator.backward()
    assert all(p.grad is not None and p.grad.any() for p in model.generator.parameters())


def test_relativistic_pairs_compare_fresh_real_items() -> None:
    model = made(loss="relativistic")
    assert [p.batch for p in model.phases()] == ["fresh", "fresh"]
    assert [p.batch for p in made().phases()] == ["fresh", "same"]
    x, fake = pair(model)
    gap = logits(model, x) - logits(model, fake)
    found = [model.loss(p, batch(), step()).total.item() for p in model.phases()]
    assert found == pytest.approx([F.softplus(-gap).mean().item(), F.softplus(gap).mean().item()], rel=1e-5)


@pytest.mark.parametrize("option", ["r1", "r2", "gradient_penalty"])
def test_penalties_are_added_with_their_weights(option: str) -> None:
    torch.manual_seed(0)
    plain, penalised = made(), made(**{option: 3.0})
    x, fake = (t.requires_grad_() for t in pair(plain))
    base = plain.loss(phase(plain, "discriminator"), batch(), step()).total
    full = penalised.loss(phase(penalised, "discriminator"), batch(), step())
    assert phase(penalised, "discriminator").second_order
    assert not phase(plain, "discriminator").second_order
    side = {"r1": x, "r2": fake}.get(option)
    if side is not None:
        (gradient,) = torch.autograd.grad(logits(plain, side).sum(), side)
        extra = 3.0 / 2 * gradient.square().flatten(1).sum(1).mean()
        assert (full.total - base).item() == pytest.approx(extra.item(), rel=1e-4)
    else:
        assert (full.total - base).item() == pytest.approx(3.0 * full.parts["gradient_penalty"].item(), rel=1e-4)


def test_wgan_gp_brings_its_penalty_along() -> None:
    assert GANConfig(loss="wgan-gp").pull == 10.0
    assert GANConfig(loss="wgan-gp", gradient_penalty=2.0).pull == 2.0
    assert GANConfig(loss="wgan").pull == 0.0
    model = made(loss="wgan-gp")
    found = model.loss(phase(model, "discriminator"), batch(), step())
    x, fake = pair(model)
    distance = (logits(model, x).mean() - logits(model, fake).mean()).item()
    assert found.parts["distance"].item() == pytest.approx(distance, rel=1e-4)


def test_weights_are_clipped_after_the_critics_turn_alone() -> None:
    model = made(loss="wgan", weight_clip=0.02)
    before = [p.clone() for p in model.parameters()]
    model.after_phase(phase(model, "generator"), {}, step())
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    model.after_phase(phase(model, "discriminator"), {}, step())
    assert max(p.abs().max().item() for p in model.discriminator.parameters()) == pytest.approx(0.02)
    assert max(p.abs().max().item() for p in model.generator.parameters()) > 0.02
    other = made(loss="hinge")
    other.after_phase(phase(other, "discriminator"), {}, step())
    assert max(p.abs().max().item() for p in other.discriminator.parameters()) > 0.02


def test_noise_fades_with_progress_and_falls_on_all_that_d_sees() -> None:
    noisy, x = made(instance_noise=0.5, instance_noise_until=0.8), torch.zeros(N, 1, 8, 8)
    spread = [noisy.shown(x, step(p)).std().item() for p in (0.0, 0.4, 0.8)]
    assert spread == pytest.approx([0.5, 0.25, 0.0], abs=0.03)
    assert made().shown(x, step()) is x
    model = MLPGAN(MLPGANConfig(latent=4, generator_widths=(8,), instance_noise=0.5), spec())
    rows = torch.zeros(2 * N, 64)
    seen = model.shown(rows, step())
    assert seen.std().item() == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(seen[:N], seen[N:])


def test_packs_are_judged_together() -> None:
    model = made(packing=2)
    found = model.loss(phase(model, "discriminator"), batch(), step())
    assert torch.isfinite(found.total)
    assert logits(model, model.shown(batch()["image"], step())).shape == (N // 2,)
    lonely = batch(n=1)
    assert torch.isfinite(model.loss(phase(model, "discriminator"), lonely, step(n=1)).total)


def test_spectral_norms_hold_for_every_layer_of_the_judge() -> None:
    torch.manual_seed(0)
    model = GAN(GANConfig(width=4, features=8, latent=4, embedding=2, spectral_norm=True), spec(3))
    for _ in range(30):
        model.after_phase(phase(model, "discriminator"), {}, step())
    layers = [m for m in model.discriminator.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.Embedding)]
    judged = [m.weight.detach() for m in layers]
    assert len(judged) == 5  # two halvings, two linear layers, the table of classes
    for weight in judged:
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.02)


def test_classes_steer_both_players_and_are_drawn_as_often_as_seen() -> None:
    torch.manual_seed(0)
    model = GAN(GANConfig(width=4, features=8, latent=4, embedding=2), spec(3)).eval()
    one = {"image": batch(3)["image"], "label": torch.zeros(N, dtype=torch.int64)}
    turns = [model.loss(p, b, step()).total.item() for p in model.phases() for b in (one, batch(3))]
    assert turns[0] != turns[1]
    assert turns[2] != turns[3]
    model.after_phase(phase(model, "discriminator"), {"label": torch.tensor([0, 0, 0, 2])}, step())
    draw = model.classes.draw(4000, None, torch.Generator().manual_seed(0))
    assert draw is not None
    assert (torch.bincount(draw, minlength=3) / 4000).tolist() == pytest.approx([0.75, 0.0, 0.25], abs=0.03)
    asked = {"label": torch.tensor([2, 1])}
    z = torch.Generator().manual_seed(3)
    first = model.sample(2, condition=asked, generator=z)["image"]
    alone = torch.randn(2, 4, generator=torch.Generator().manual_seed(3))
    latent = model.classes.beside(alone, torch.tensor([0, 0]))
    assert torch.allclose(model.decode(latent, condition=asked)["image"], first)
    assert not torch.allclose(model.decode(latent)["image"], first)
    with pytest.raises(BadValue, match="from 0 to 2"):
        model.sample(2, condition={"label": torch.tensor([0, 3])}, generator=z)


def test_an_auxiliary_classifier_pays_both_players() -> None:
    torch.manual_seed(0)
    small = GANConfig(width=4, features=8, latent=4, embedding=2, supervision="auxiliary")
    plain = GAN(replace(small, auxiliary=0.0), spec(3))
    model = GAN(small, spec(3))
    model.load_state_dict(plain.state_dict())
    label, x = batch(3)["label"], batch(3)["image"]
    fake = model.forge(model.classes.beside(step().randn(N, 4), label)).detach()
    named = [F.cross_entropy(model.discriminator.judge(s, label)[1], label) for s in (x, fake)]  # type: ignore[arg-type]
    gaps = [model.loss(p, batch(3), step()).total - plain.loss(p, batch(3), step()).total for p in model.phases()]
    assert gaps[0].item() == pytest.approx(sum(named).item(), rel=1e-4)  # type: ignore[union-attr]
    assert gaps[1].item() == pytest.approx(named[1].item(), rel=1e-4)
    other = (label + 1) % 3
    assert torch.equal(model.discriminator(x, label), model.discriminator(x, other))  # it is not told


def test_a_class_beside_the_picture_is_a_further_channel() -> None:
    torch.manual_seed(0)
    model = GAN(GANConfig(width=4, features=8, latent=4, embedding=2, supervision="input"), spec(3))
    x, label = batch(3)["image"], batch(3)["label"]
    assert not torch.allclose(model.discriminator(x, label), model.discriminator(x, (label + 1) % 3))
    assert model.discriminator.channel is not None
    assert model.discriminator.channel(label).shape == (N, 64)
    assert model.discriminator.direction.table is None


@pytest.mark.parametrize(("classes", "message"), [(0, "no labels"), (1, "one class only")])
@pytest.mark.parametrize("recipe", ["conditional-gan", "acgan"])
def test_learning_from_labels_needs_some(recipe: str, classes: int, message: str) -> None:
    config = get(recipe).config
    with pytest.raises(BadData, match=message) as error:
        GAN(config, spec(classes))
    assert "\n" not in str(error.value)
    GAN(replace(config, conditional=False), spec(classes))  # the unconditional twin


def test_points_are_played_for_by_dense_networks() -> None:
    plane = {"vector": Field("vector", (2,), range=(-2.0, 2.0))}
    model = GAN(GANConfig(latent=3, hidden=(8,), packing=2, instance_noise=0.1), plane)
    points = {"vector": torch.rand(N, 2) * 4 - 2}
    for p in model.phases():
        assert torch.isfinite(model.loss(p, points, step()).total)
    drawn = model.sample(5, generator=torch.Generator().manual_seed(0))["vector"]
    assert drawn.shape == (5, 2)
    assert drawn.abs().max() <= 2
    with pytest.raises(BadValue, match="conv is for images"):
        GAN(GANConfig(network="conv"), plane)


def test_players_may_take_turns_of_any_length() -> None:
    model = made(n_critic=7, n_generator=5)
    assert [(p.repeat, p.batch) for p in model.phases()] == [(7, "fresh"), (5, "fresh")]


def test_images_of_any_range_come_back_in_it() -> None:
    wide = {"image": Field("image", (3, 12, 20), range=(0.0, 255.0))}
    model = GAN(GANConfig(width=4, features=8, latent=4), wide).eval()
    drawn = model.sample(5, generator=torch.Generator().manual_seed(0))["image"]
    assert drawn.shape == (5, 3, 12, 20)
    assert drawn.min() >= 0
    assert drawn.max() <= 255
    assert drawn.max() > 100
    assert inward(torch.tensor([0.0, 255.0]), model.range).tolist() == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config.label_smoothing": 0.1, "config.loss": "wgan"}, "no labels"),
        ({"config.label_smoothing": 0.7}, "0 to 0.5"),
        ({"config.n_critic": 0}, "1 or more"),
        ({"config.n_generator": 0}, "1 or more"),
        ({"config.auxiliary": -1.0}, "0 or more"),
        ({"config.r1": -1.0}, "0 or more"),
        ({"config.loss": "wasserstein"}, "one of minimax, non-saturating"),
    ],
)
def test_bad_options_are_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadValue, match=message) as error:
        override(get("gan"), changes)
    assert "\n" not in str(error.value)


def test_packing_with_classes_says_what_to_do() -> None:
    with pytest.raises(BadValue, match=r"--config\.conditional false"):
        GAN(GANConfig(width=4, packing=2), spec(3))
    GAN(GANConfig(width=4, packing=2), spec())


def test_the_textbooks_game_is_the_courses_with_another_loss() -> None:
    textbook, course = get("gan-minimax").config, get("gan-mlp").config
    assert (textbook.loss, textbook.hidden, textbook.latent) == ("minimax", course.generator_widths, course.latent)
    assert textbook.generator == course.generator
    assert (textbook.r1, textbook.r2, textbook.instance_noise, textbook.spectral_norm) == (0, 0, 0, False)
    sizes = [sorted(tuple(p.shape) for p in m.parameters() if p.ndim > 1) for m in (
        GAN(textbook, spec(3)), MLPGAN(course, spec(3)))]  # fmt: skip
    assert sizes[0] == sizes[1]


def test_the_courses_gan_with_penalties_written_out() -> None:
    torch.manual_seed(0)
    plain = MLPGAN(MLPGANConfig(latent=4, generator_widths=(8,), discriminator_widths=(8,)), spec())
    torch.manual_seed(0)
    model = MLPGAN(MLPGANConfig(latent=4, generator_widths=(8,), discriminator_widths=(8,), r1=2.0, r2=4.0), spec())
    found = model.loss(phase(model, "discriminator"), batch(), step())
    base = plain.loss(phase(plain, "discriminator"), batch(), step()).total
    extra = 2.0 / 2 * found.parts["r1"] + 4.0 / 2 * found.parts["r2"]
    assert (found.total - base).item() == pytest.approx(extra.item(), rel=1e-4)
    x = batch()["image"].flatten(1).requires_grad_()
    (gradient,) = torch.autograd.grad(plain.discriminator(x).sum(), x)
    assert found.parts["r1"].item() == pytest.approx(gradient.square().sum(1).mean().item(), rel=1e-4)


def test_warm_up_and_free_bits_are_for_training_alone() -> None:
    torch.manual_seed(0)
    model = MLPVAE(MLPVAEConfig(latent=3, hidden=8), spec())

    def total(progress: float, **changes: Any) -> float:
        model.config = MLPVAEConfig(latent=3, hidden=8, **changes)
        return model.loss(model.phases()[0], batch(), step(progress)).total.item()

    model.train()
    parts = {k: v.item() / 64 for k, v in model.loss(model.phases()[0], batch(), step()).parts.items()}
    assert total(0.0) == pytest.approx(parts["distortion"] + parts["kl"], rel=1e-5)
    warm = {"kl_warmup": (0.2, 0.6)}
    assert [total(p, **warm) for p in (0.1, 0.4, 0.7)] == pytest.approx(
        [parts["distortion"] + share * parts["kl"] for share in (0.0, 0.5, 1.0)], rel=1e-5
    )
    assert total(0.5, free_bits=2.0) == pytest.approx(parts["distortion"] + 3 * 2.0 / 64, rel=1e-5)
    model.eval()
    assert total(0.1, free_bits=2.0, **warm) == pytest.approx(parts["distortion"] + parts["kl"], rel=1e-5)
