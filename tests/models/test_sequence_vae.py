"""The VAE of sequences: that its code carries the item, and that nothing behind an end counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from genloom.core import Optimizer, Sampling, Step
from genloom.data import Dataset
from genloom.errors import BadData, GenloomError
from genloom.models.autoencoding.sequence_vae import SequenceVAE, SequenceVAEConfig
from genloom.models.registry import model_class
from genloom.testing import fake_images, fake_molecules, fake_text, make_case

SMALL: dict[str, Any] = {"latent": 8, "embedding": 16, "encoder": 32, "width": 64, "components": 2}


def trained(dataset: Dataset, steps: int, **config: Any) -> SequenceVAE:
    case = make_case(SequenceVAE, SequenceVAEConfig(**{**SMALL, **config}), dataset, steps)
    model = case.build()
    case.play(case.game(model), 0, steps)
    assert isinstance(model, SequenceVAE)
    return model.eval()


def test_the_code_carries_the_item() -> None:
    """What a decoder without a latent could never do: most held-out chains come back token by token."""
    dataset = fake_molecules(1200)
    quick = Optimizer(lr=1e-2, warmup=0.05)
    model = trained(dataset, 450, beta=0.001, withheld=0.3, latent=16, optimizer=quick)
    ids = dataset.test.batch(torch.arange(100))["molecule"]
    with torch.no_grad():
        copies = model.decode(model.encode({"molecule": ids}))["molecule"]
        others = model.decode(model.encode({"molecule": ids.roll(1, 0)}))["molecule"]
    assert float((copies == ids).float().mean()) > 0.75
    assert float((others == ids).float().mean()) < 0.6
    assert copies.shape == ids.shape
    over = (copies == 0).cumsum(1) > 0
    assert (copies[over] == 0).all()


def test_new_codes_are_drawn_where_the_codes_of_items_are() -> None:
    dataset = fake_molecules(600)
    model = trained(dataset, 100, beta=0.001)
    generator = torch.Generator().manual_seed(0)
    assert not model.mixture.fitted
    batches = [dataset.train.batch(torch.arange(len(dataset.train)))]
    model.finish(iter(batches), Step(seed=1, rows=(0, 200, 200)))
    codes = model.encode(batches[0])
    drawn = model.prior(2000, generator=generator)
    plain = model.prior(2000, options=Sampling(prior="standard"), generator=generator)
    assert (drawn.std(0) - codes.std(0)).abs().mean() < (plain.std(0) - codes.std(0)).abs().mean()
    assert model.sample(5, generator=generator)["molecule"].shape == (5, 8)
    assert model.sample(5, options=Sampling(length=3), generator=generator)["molecule"].shape == (5, 3)


def test_withheld_inputs_and_warm_up_are_for_training_alone() -> None:
    dataset = fake_molecules()
    model = trained(dataset, 2, withheld=0.9, kl_warmup=(0.0, 1.0))
    batch = dataset.train.batch(torch.arange(8))
    phase = model.phases()[0]

    def total(progress: float) -> float:
        return float(model.loss(phase, batch, Step(seed=3, progress=progress, rows=(0, 8, 8))).total.detach())

    assert total(0.0) == total(0.5)
    model.train()
    assert total(0.0) != total(0.5)


@pytest.mark.parametrize("name", ["recurrent", "ngram", "sequence-vae"])
def test_nothing_behind_an_end_counts(name: str) -> None:
    """Rows that are filled up further are neither likelier nor learnt otherwise."""
    short, long = fake_molecules(), fake_molecules()
    field = short.spec["molecule"]
    wide = replace(field, shape=(24,))
    for part in (long.train, long.validation, long.test):
        part.ids = np.pad(part.ids, ((0, 0), (0, 16)))  # type: ignore[attr-defined]
        part.spec = {"molecule": wide}  # type: ignore[attr-defined]
    long = replace(long, spec={"molecule": wide})
    cls = model_class(name)
    config = cls.Config(**SMALL) if name == "sequence-vae" else cls.Config()
    if name == "sequence-vae":
        config = replace(config, withheld=0.0)  # its draw has the shape of the rows
    found = []
    for dataset in (short, long):
        case = make_case(cls, config, dataset, 5)
        model = case.build()
        case.train(model)
        batch = dataset.test.batch(torch.arange(8))
        found.append(model.eval().nll(batch, generator=torch.Generator().manual_seed(0)).detach())  # type: ignore[operator]
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)


def test_texts_are_written_as_long_as_windows() -> None:
    dataset = fake_text()
    model = trained(dataset, 2)
    batch = dataset.train.batch(torch.arange(3))
    assert model.decode(model.encode(batch))["text"].shape == batch["text"].shape


@pytest.mark.parametrize(
    ("config", "said"),
    [({"latent": 0}, "latent"), ({"beta": -1.0}, "beta"), ({"withheld": 1.0}, "withheld"), ({"cell": "tree"}, "cell")],
)
def test_choices_that_mean_nothing(config: dict[str, Any], said: str) -> None:
    with pytest.raises(GenloomError, match=said) as caught:
        SequenceVAE(SequenceVAEConfig(**config), fake_molecules().spec)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadData, match="sequence-vae generates"):
        SequenceVAE(SequenceVAEConfig(), fake_images().spec)
