"""Pictures written in words: the cache changes nothing, classes are told, partners must fit."""

from __future__ import annotations

import pytest
import torch

from genloom.core import Sampling
from genloom.errors import BadData, BadValue
from genloom.models.autoencoding.vq_vae import VQVAE, VQVAEConfig
from genloom.models.autoregressive.vq_gpt import VQGPT, VQGPTConfig
from genloom.testing import fake_images, make_case

WORDS = VQVAEConfig(width=8, codes=16)
TINY = VQGPTConfig(width=32, depth=2, heads=2, pairs=0)


@pytest.fixture(scope="module")
def trained() -> VQGPT:
    case = make_case(VQGPT, TINY, steps=60, given={"autoencoder": (VQVAE, WORDS)})
    model = case.build()
    case.play(case.game(model), 0, case.steps)
    assert isinstance(model, VQGPT)
    return model.eval()


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_likeliest_words_are_those_of_the_whole_sequence(trained: VQGPT) -> None:
    label = torch.tensor([0, 1])
    seen: list[torch.Tensor] = []
    drawn = trained.sample(2, condition={"label": label}, options=Sampling(temperature=0.0), generator=_generator(),
                           callback=lambda at: seen.append(at["x"]))  # type: ignore[arg-type]  # fmt: skip
    codes = torch.zeros(2, trained.length, dtype=torch.int64)
    with torch.no_grad():
        for t in range(trained.length):
            told = torch.cat([trained.start(2, label), codes[:, : trained.length - 1]], 1)
            codes[:, t] = trained.network(told)[:, t].argmax(-1)
        expected = trained.codec.decode_codes(codes.view(2, 4, 4))["image"]
    assert torch.equal(drawn["image"], expected)
    assert len(seen) == trained.length
    assert torch.equal(seen[-1], expected)


def test_classes_change_what_is_written_and_are_drawn_where_nobody_says(trained: VQGPT) -> None:
    same = [
        trained.sample(4, condition={"label": torch.full((4,), i)}, generator=_generator())["image"] for i in (0, 1)
    ]
    assert not torch.equal(*same)
    assert set(trained.sample(64, generator=_generator())["label"].tolist()) == {0, 1}
    with pytest.raises(BadValue, match="from 0 to 1"):
        trained.sample(1, condition={"label": torch.tensor([2])}, generator=_generator())
    with pytest.raises(BadValue, match="temperature"):
        trained.sample(1, options=Sampling(temperature=-1.0), generator=_generator())


def test_an_autoencoder_of_other_pictures_is_refused() -> None:
    words = VQVAE(WORDS, fake_images(shape=(1, 16, 16)).spec)
    with pytest.raises(BadData, match="was made for image of shape"):
        VQGPT(TINY, fake_images(shape=(1, 20, 20)).spec, {"autoencoder": words})
    with pytest.raises(BadValue, match="multiple of 2"):
        VQGPT(VQGPTConfig(width=30, heads=4), fake_images(shape=(1, 16, 16)).spec, {"autoencoder": words})
