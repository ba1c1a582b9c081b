"""A model that stands on a finished one: copied into the run, frozen, hashed, and there again when loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from shop import Shop
from torch import nn

from genloom.core import Batch, CanEncode, Loss, Model, Optimizer, Phase, Player, Step
from genloom.engine.journal import Reporter
from genloom.engine.load import load
from genloom.engine.train import Settings, create_run, settings_of, train
from genloom.errors import BadData, BadValue, Damaged, NotFound
from genloom.models.registry import model_class


@dataclass(frozen=True)
class ProbeConfig:
    """width: of nothing."""

    width: int = 1


class Probe(Model):
    """A linear map of a finished model's codes to the mean brightness of the image."""

    Config = ProbeConfig
    citation = "@misc{probe,}"
    uses = {"encoder": CanEncode}

    def __init__(self, config: ProbeConfig, spec: Any, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.encoder = given["encoder"]
        self.linear = nn.Linear(4, 1)

    def players(self) -> tuple[Player, ...]:
        return (Player("probe", ("linear.*",), Optimizer(lr=0.01)),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("probe", "probe"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        assert isinstance(self.encoder, CanEncode)
        guess = self.linear(self.encoder.encode(batch)).flatten()
        return Loss((guess - batch["image"].flatten(1).mean(1)).square().mean())


def make(shop: Shop, **given: Any) -> Any:
    base = settings_of(shop.make(name=f"settings{len(list(shop.root.glob('*')))}"))
    settings = Settings("probe", "probe", ProbeConfig(), base.data, base.train)
    return create_run(shop.root, settings, shop.dataset, given=given)


def test_the_partner_travels_with_the_run_and_stays_as_it_was(
    shop: Shop, register: Callable[..., None], silent: Reporter
) -> None:
    register("probe", Probe)
    source = shop.make(name="source")
    train(source, shop.dataset, reporter=silent)
    run = make(shop, encoder=source)
    expected = {k: v.clone() for k, v in load(source).model.state_dict().items()}
    source.remove()
    assert train(run, shop.dataset, reporter=silent).state == "finished"
    model = load(run).model
    assert isinstance(model, Probe)
    assert not model.train().encoder.training
    for name, value in expected.items():
        assert torch.equal(model.encoder.state_dict()[name], value)
    path = run.path / "given" / "encoder" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Damaged, match="changed or cut short"):
        load(run)


def test_partners_that_are_missing_unknown_or_of_another_kind_are_refused(
    shop: Shop, register: Callable[..., None], silent: Reporter
) -> None:
    register("probe", Probe)
    source = shop.make(name="source", budget="1steps")
    with pytest.raises(BadValue, match="stands on a finished encoder"):
        make(shop)
    with pytest.raises(Damaged, match="no checkpoint"):
        make(shop, encoder=source)
    train(source, shop.dataset, reporter=silent)
    with pytest.raises(NotFound, match="unknown partner 'encodr'"):
        make(shop, encoder=source, encodr=source)
    gan = shop.make("gan-mlp", name="gan", budget="1steps")
    train(gan, shop.dataset, reporter=silent)
    with pytest.raises(BadData, match="encoder must be a vae or"):
        make(shop, encoder=gan)
    assert not list(shop.root.glob("*probe*"))
    assert model_class("vae-mlp").uses == {}
