"""Text to image by a GAN: the contract, the three kinds of pairs written out, pictures that follow words, bad input."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from genloom.core import Batch, DataSpec, Field, Step
from genloom.errors import BadData, BadValue
from genloom.models.adversarial.text_gan import TextGAN, TextGANConfig, wrong

SPEC: DataSpec = {"image": Field("image", (1, 8, 8)), "caption": Field("text", (3,), vocabulary=8, role="condition")}
TINY = TextGANConfig(latent=4, embedding=32, width=8, features=16)
N = 6


def batch() -> Batch:
    g = torch.Generator().manual_seed(0)
    return {"image": torch.rand(N, 1, 8, 8, generator=g) * 2 - 1, "caption": torch.randint(1, 8, (N, 3), generator=g)}


def step(n: int = N, seed: int = 1) -> Step:
    return Step(seed=seed, rows=(0, n, n))


def test_three_kinds_of_pairs_written_out() -> None:
    torch.manual_seed(0)
    model = TextGAN(TextGANConfig(latent=4, embedding=32, width=8, features=16, r1=0.0), SPEC)
    d, told = model.discriminator, {"caption": batch()["caption"]}
    other = {"caption": told["caption"].roll(-1, 0)}
    fake = model.forge(model.beside(step().randn(N, 4), told)).detach()
    s_r, s_w, s_f = (
        d.judge(d.look(x), d.told(t)) for x, t in ((batch()["image"], told), (batch()["image"], other), (fake, told))
    )
    bce, zeros, ones = F.binary_cross_entropy_with_logits, torch.zeros(N), torch.ones(N)
    expected = bce(s_r, ones) + (bce(s_w, zeros) + bce(s_f, zeros)) / 2
    first, second = model.phases()
    assert model.loss(first, batch(), step()).total.item() == pytest.approx(expected.item(), rel=1e-4)
    assert model.loss(second, batch(), step()).total.item() == pytest.approx(bce(s_f, ones).item(), rel=1e-4)


def test_a_caption_that_is_the_same_is_no_wrong_one() -> None:
    told = {"caption": torch.tensor([[1, 2], [1, 2], [3, 0]])}
    other, differs = wrong(told, step(3))
    assert other["caption"].tolist() == [[1, 2], [3, 0], [1, 2]]
    assert differs.tolist() == [0.0, 1.0, 1.0]


def test_pictures_follow_the_words() -> None:
    """Word 3 is dark, word 4 is light; other words say nothing."""
    torch.manual_seed(0)
    model = TextGAN(TINY, SPEC)
    names = {"discriminator": ("discriminator",), "generator": ("generator", "reader")}
    optimizers = {
        k: torch.optim.Adam([p for n, p in model.named_parameters() if n.startswith(v)], 2e-3, (0.0, 0.9))
        for k, v in names.items()
    }
    g = torch.Generator().manual_seed(0)
    for i in range(120):
        light = torch.randint(2, (32,), generator=g)
        image = (light * 1.2 - 0.6)[:, None, None, None].expand(32, 1, 8, 8)
        caption = torch.stack([torch.randint(5, 8, (32,), generator=g), 3 + light, torch.zeros(32).long()], 1)
        for phase in model.phases():
            loss = model.loss(phase, {"image": image, "caption": caption}, step(32, i))
            optimizers[phase.player].zero_grad()
            loss.total.backward()
            optimizers[phase.player].step()
            model.after_phase(phase, loss.memo, step(32))
    asked = torch.tensor([[5, 3, 0], [7, 4, 0]] * 8)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        made = model.eval().sample(16, condition={"caption": asked}, generator=generator)["image"].mean((1, 2, 3))
        latent = model.prior(16, generator=generator)
        turned = model.decode(latent, condition={"caption": asked})["image"].mean((1, 2, 3))
    for means in (made, turned):
        assert means[0::2].mean() < -0.25
        assert means[1::2].mean() > 0.25


def test_data_without_captions_are_refused() -> None:
    with pytest.raises(BadData, match=r"--data\.captions true"):
        TextGAN(TINY, {"image": SPEC["image"]})
    with pytest.raises(BadValue, match="0 or more"):
        TextGANConfig(mismatch=-1.0)
    model = TextGAN(TINY, SPEC)
    with pytest.raises(BadValue, match="word ids from 0 to 7"):
        model.sample(1, condition={"caption": torch.tensor([[9, 0, 0]])}, generator=torch.Generator())
