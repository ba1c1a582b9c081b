"""DCGAN: the paper's layers, its losses, batch norm that a loss does not move, statistics of averaged weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Field, Step
from genloom.errors import BadData
from genloom.models.adversarial.dcgan import DCGAN, DCGANConfig
from genloom.nets.dcgan import MapNorm, moments
from genloom.recipes.registry import get

TINY = DCGANConfig(latent=6, width=4)
N = 8


def spec(*shape: int) -> DataSpec:
    return {"image": Field("image", shape or (1, 16, 16))}


def batch(n: int = N) -> Batch:
    return {"image": torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1}


def step(n: int = N, seed: int = 1) -> Step:
    return Step(seed=seed, rows=(0, n, n))


def made() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(TINY, spec())


def test_the_papers_layers_at_64_pixels() -> None:
    model = DCGAN(get("dcgan", "paper").config, spec(3, 64, 64))
    up = [m for m in model.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    down = [m for m in model.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels) for m in up] == [(1024, 512), (512, 256), (256, 128), (128, 3)]
    assert [(m.in_channels, m.out_channels) for m in down] == [(3, 128), (128, 256), (256, 512), (512, 1024)]
    assert all(m.stride == (2, 2) for m in (*up, *down))
    assert (len(model.generator.norms), len(model.discriminator.norms)) == (4, 3)
    assert model.generator.start == (4, 4)
    assert up[0].weight.std().item() == pytest.approx(0.02, rel=0.02)
    for optimizer in (model.config.generator, model.config.discriminator):
        assert (optimizer.lr, optimizer.betas, optimizer.decay) == (2e-4, (0.5, 0.999), "constant")


def test_real_and_generated_images_are_judged_as_batches_of_their_own() -> None:
    model = made()
    x, z = batch()["image"], 2 * step().rand(N, 6) - 1
    fake = model.generator(z, step()).detach()
    on_real, on_fake = model.discriminator(x, step()), model.discriminator(fake, step())
    bce = F.binary_cross_entropy_with_logits
    expected = bce(on_real, torch.ones(N)) + bce(on_fake, torch.zeros(N))
    first, second = model.phases()
    assert model.loss(first, batch(), step()).total.item() == pytest.approx(expected.item(), rel=1e-5)
    together = model.discriminator(torch.cat([x, fake]), step(2 * N))
    assert not torch.allclose(together[:N], on_real, atol=1e-3)
    found = model.loss(second, batch(), step()).total.item()
    assert found == pytest.approx(bce(on_fake, torch.ones(N)).item(), rel=1e-5)


def test_the_norm_is_torchs_for_one_process_and_from_moments() -> None:
    torch.manual_seed(0)
    norm, theirs = MapNorm(3), nn.BatchNorm2d(3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    theirs.weight, theirs.bias = norm.weight, norm.bias
    x = torch.randn(5, 3, 4, 6) * 3 + 1
    assert torch.allclose(norm(x, step(5)), theirs(x), atol=1e-5)
    assert torch.allclose(norm.by(x, moments(x).mean(0)), theirs(x), atol=1e-4)


def test_statistics_move_after_the_generators_turn_only() -> None:
    model = made()
    before = {k: v.clone() for k, v in model.named_buffers()}
    assert len(before) == 2
    for phase in model.phases():
        found = model.loss(phase, batch(), step())
        assert all(torch.equal(v, before[k]) for k, v in model.named_buffers())
        model.after_phase(phase, found.memo, step())
        moved = not any(torch.equal(v, before[k]) for k, v in model.named_buffers())
        assert moved == (phase.name == "generator")


def test_finish_takes_the_statistics_of_the_weights_as_they_are() -> None:
    model = made().eval()
    with torch.no_grad():
        model.finish([], Step(seed=3))
        rows = 2 * torch.rand(2000, 6, generator=torch.Generator().manual_seed(1)) - 1
        seen: dict[str, torch.Tensor] = {}
        model.generator(rows, step(2000), seen)
    for name, buffer in model.generator.named_buffers():
        assert torch.allclose(buffer, seen[name].mean(0), rtol=0.2, atol=0.02), name
    drawn = model.sample(40, generator=torch.Generator().manual_seed(0))["image"]
    whole = model.sample(3, generator=torch.Generator().manual_seed(0))["image"]
    assert torch.allclose(drawn[:3], whole, atol=1e-5)  # an item does not depend on those drawn beside it


@pytest.mark.parametrize("shape", [(3, 20, 14), (1, 9, 33)])
def test_any_size_plays(shape: tuple[int, int, int]) -> None:
    model = DCGAN(TINY, spec(*shape))
    items = {"image": torch.rand(3, *shape) * 2 - 1}
    for phase in model.phases():
        assert torch.isfinite(model.loss(phase, items, step(3)).total)
    assert model.sample(2, generator=torch.Generator())["image"].shape == (2, *shape)


def test_tiny_pictures_are_refused() -> None:
    with pytest.raises(BadData, match="at least 4x4"):
        DCGAN(TINY, spec(1, 3, 28))
