"""What the GANs add to the contract: the course's network exactly, its batch norm, R3GAN's loss and classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Field, Phase, Step
from genloom.errors import BadData
from genloom.models.adversarial.gan_mlp import MLPGAN, MLPGANConfig
from genloom.models.adversarial.r3gan import R3GAN, R3GANConfig
from genloom.nets.mlp import BatchNorm
from genloom.recipes.adversarial import gan_mlp, gan_mlp_bn, r3gan

D, G = Phase("discriminator", "discriminator"), Phase("generator", "generator", batch="same")
TINY = R3GANConfig(width=8, latent=8, embedding=4)


def _spec(channels: int = 1, height: int = 28, width: int = 28, classes: int = 0) -> DataSpec:
    label = {"label": Field("class", (), classes=tuple("abcdef"[:classes]), role="condition")} if classes else {}
    return {"image": Field("image", (channels, height, width)), **label}


def _batch(n: int, *shape: int, classes: int = 0) -> Batch:
    g = torch.Generator().manual_seed(0)
    image = torch.rand(n, *(shape or (1, 28, 28)), generator=g) * 2 - 1
    return {"image": image, **({"label": torch.randint(classes, (n,), generator=g)} if classes else {})}


def _step(n: int, seed: int = 1, progress: float = 0.0) -> Step:
    return Step(seed=seed, rows=(0, n, n), progress=progress)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_the_courses_layers() -> None:
    model = MLPGAN(gan_mlp().config, _spec())
    sizes = {k: tuple(p.shape) for k, p in model.named_parameters() if k.endswith("weight")}
    assert list(sizes.values()) == [(256, 100), (784, 256), (256, 784), (1, 256)]
    recipe = gan_mlp()
    for optimizer in (recipe.config.generator, recipe.config.discriminator):
        assert (optimizer.name, optimizer.lr, optimizer.betas) == ("adam", 2e-4, (0.9, 0.999))
        assert (optimizer.clip, optimizer.warmup, optimizer.decay, optimizer.weight_decay) == (0, 0, "constant", 0)
    assert (recipe.train.batch, recipe.train.budget, recipe.train.last_batch) == (64, "10epochs", "keep")
    assert recipe.train.ema == 0


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_the_courses_losses_written_out(noise: str) -> None:
    model = MLPGAN(MLPGANConfig(noise=noise), _spec())  # type: ignore[arg-type]
    first, last = model.generator.linear
    judge = nn.Sequential(*model.discriminator, nn.Sigmoid())
    batch, bce = _batch(16), nn.BCELoss()
    step = _step(16)
    z = step.randn(16, 100) if noise == "normal" else step.rand(16, 100) * 2 - 1
    fake = torch.tanh(last(F.relu(first(z))))
    d_loss = bce(judge(batch["image"].flatten(1)), torch.ones(16, 1)) + bce(judge(fake.detach()), torch.zeros(16, 1))
    ours = model.loss(D, batch, _step(16)).total
    assert ours.item() == pytest.approx(d_loss.item(), rel=1e-5)
    ours.backward()
    assert first.weight.grad is None  # the fake is detached
    g_loss = bce(judge(fake), torch.ones(16, 1))
    assert model.loss(G, batch, _step(16)).total.item() == pytest.approx(g_loss.item(), rel=1e-5)


def test_the_generators_turn_reuses_the_batch() -> None:
    assert [(p.name, p.batch) for p in MLPGAN(MLPGANConfig(), _spec()).phases()] == [
        ("discriminator", "fresh"),
        ("generator", "same"),
    ]
    assert [(p.batch, p.second_order) for p in R3GAN(TINY, _spec()).phases()] == [("fresh", True), ("fresh", False)]


def test_batch_norm_equals_torchs() -> None:
    ours, theirs = BatchNorm(5, eps=0.8), nn.BatchNorm1d(5, 0.8)
    nn.init.normal_(theirs.weight)
    nn.init.normal_(theirs.bias)
    ours.weight, ours.bias = theirs.weight, theirs.bias
    for seed in range(3):
        x = torch.randn(7, 5, generator=torch.Generator().manual_seed(seed)) * 3 + 1
        before = ours.running_mean.clone()
        assert torch.allclose(ours(x, lambda t: t), theirs(x), atol=1e-5)
        assert torch.equal(ours.running_mean, before)  # a loss changes nothing
        ours.update(x)
    theirs.eval()
    assert torch.allclose(ours(x), theirs(x), atol=1e-5)


def test_batch_norm_statistics_move_after_a_turn_only() -> None:
    model = MLPGAN(MLPGANConfig(latent=4, generator_widths=(6, 8), batch_norm=True), _spec())
    before = {k: v.clone() for k, v in model.named_buffers()}
    loss = model.loss(D, _batch(9), _step(9))
    assert all(torch.equal(v, before[k]) for k, v in model.named_buffers())
    model.after_phase(D, loss.memo, _step(9))
    assert not any(torch.equal(v, before[k]) for k, v in model.named_buffers())


def test_the_batch_normed_recipe() -> None:
    model = MLPGAN(gan_mlp_bn().config, _spec())
    assert [n.weight.numel() for n in model.generator.norm] == [256, 512, 1024]  # type: ignore[union-attr, operator]
    assert {n.eps for n in model.generator.norm} == {0.8}
    assert [m.weight.shape[0] for m in model.discriminator if isinstance(m, nn.Linear)] == [512, 256, 1]


def test_relativistic_loss_and_penalties_written_out() -> None:
    torch.manual_seed(0)
    model = R3GAN(TINY, _spec(classes=3))
    for block in model.discriminator.modules():  # away from the initial identity
        if isinstance(block, nn.Conv2d):
            nn.init.normal_(block.weight, std=0.2)
    batch = _batch(6, classes=3)
    real, label = batch["image"].clone().requires_grad_(), batch["label"]
    with torch.no_grad():
        fake = model.generator(model.latent(_step(6).randn(6, 8), label))
    fake.requires_grad_()
    d_real, d_fake = model.discriminator(real, label), model.discriminator(fake, label)
    (r1,) = torch.autograd.grad(d_real.sum(), real, retain_graph=True)
    (r2,) = torch.autograd.grad(d_fake.sum(), fake, retain_graph=True)
    penalty = (r1.square().flatten(1).sum(1).mean() + r2.square().flatten(1).sum(1).mean()) / 2
    play = torch.log1p(torch.exp(d_fake - d_real)).mean()
    for progress, gamma in ((0.0, TINY.gamma), (1.0, TINY.gamma_end)):
        loss = model.loss(model.phases()[0], batch, _step(6, progress=progress))
        assert loss.total.item() == pytest.approx((play + gamma * penalty).item(), rel=1e-4)
    generator = model.loss(model.phases()[1], batch, _step(6)).total
    assert generator.item() == pytest.approx(torch.log1p(torch.exp(d_real - d_fake)).mean().item(), rel=1e-4)


def test_the_penalty_reaches_the_discriminators_weights() -> None:
    grads = []
    for gamma in (0.0, 10.0):
        torch.manual_seed(0)
        model = R3GAN(R3GANConfig(width=8, latent=8, gamma=gamma), _spec())
        model.loss(model.phases()[0], _batch(6), _step(6)).total.backward()
        assert all(p.grad is None for p in model.generator.parameters())
        grads.append(torch.cat([p.grad.flatten() for p in model.discriminator.parameters() if p.grad is not None]))
    assert not torch.allclose(grads[0], grads[1], rtol=1e-2)


def test_classes_are_drawn_by_their_shares_and_obeyed_on_request() -> None:
    model = R3GAN(TINY, _spec(classes=3)).eval()
    draws = model.draw_labels(300, None, _generator())
    assert draws is not None
    assert draws.bincount(minlength=3).min() > 60  # nothing seen yet: evenly
    model.after_phase(D, {"label": torch.tensor([0, 0, 0, 2])}, _step(4))
    draws = model.draw_labels(400, None, _generator())
    assert draws is not None
    assert draws.bincount(minlength=3)[1] == 0
    assert draws.bincount(minlength=3)[0] == pytest.approx(300, abs=40)
    asked = torch.tensor([1, 1])
    one = model.sample(2, condition={"label": asked}, generator=_generator())["image"]
    other = model.sample(2, condition={"label": asked - 1}, generator=_generator())["image"]
    assert not torch.allclose(one, other)
    latent = model.prior(2, generator=_generator())
    assert torch.equal(model.decode(latent)["image"], model.decode(latent)["image"])


@pytest.mark.parametrize("shape", [(3, 17, 23), (1, 4, 9), (3, 40, 33)])
def test_any_size_plays(shape: tuple[int, int, int]) -> None:
    model = R3GAN(TINY, _spec(*shape))
    for phase in model.phases():
        assert torch.isfinite(model.loss(phase, _batch(2, *shape), _step(2)).total)
    assert model.sample(0, generator=_generator())["image"].shape == (0, *shape)
    assert model.sample(3, generator=_generator())["image"].shape == (3, *shape)
    assert MLPGAN(MLPGANConfig(), _spec(*shape)).sample(2, generator=_generator())["image"].shape == (2, *shape)


def test_images_smaller_than_the_stride_are_refused() -> None:
    with pytest.raises(BadData, match="at least 4x4"):
        R3GAN(TINY, _spec(1, 3, 28))


def test_a_toy_distribution_is_learnt() -> None:
    """Two kinds of flat pictures: after some steps the GAN makes both, and hardly anything between."""
    torch.manual_seed(0)
    model = R3GAN(R3GANConfig(width=8, latent=8, gamma=0.3), _spec(1, 8, 8))
    players = {p.name: p for p in model.players()}
    optimizers = {
        name: torch.optim.Adam([v for k, v in model.named_parameters() if k.startswith(name)], 2e-3, (0.0, 0.9))
        for name in players
    }
    for i in range(250):
        for phase in model.phases():
            kind = torch.randint(2, (32, 1, 1, 1), generator=torch.Generator().manual_seed(i))
            batch = {"image": (1.2 * kind - 0.6).expand(32, 1, 8, 8)}
            optimizers[phase.player].zero_grad()
            model.loss(phase, batch, _step(32, seed=i, progress=i / 250)).total.backward()
            optimizers[phase.player].step()
    means = model.sample(200, generator=_generator())["image"].mean((1, 2, 3))
    assert (means > 0.3).float().mean() > 0.2
    assert (means < -0.3).float().mean() > 0.2


def test_sizes_of_the_recipe() -> None:
    nano, small = R3GAN(r3gan().config, _spec()), R3GAN(r3gan(size="small").config, _spec())
    assert sum(p.numel() for p in nano.parameters()) < sum(p.numel() for p in small.parameters())
