"""Which arithmetic trains, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from shop import Shop

from genloom.core import Loss
from genloom.engine import precision
from genloom.engine.distributed import World
from genloom.engine.game import Game, Moment
from genloom.engine.journal import Reporter
from genloom.engine.memory import keep_freed_memory
from genloom.engine.optim import PlayerOptimizer
from genloom.engine.precision import Plan, arithmetic, arrange, arrange_batch
from genloom.engine.train import build, plan, settings_of, train


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "_busy", lambda: False)
    return tmp_path / "cache"


def test_a_complete_race_is_remembered_and_used_again(shop: Shop, own_cache: Path) -> None:
    settings = settings_of(shop.make(precision="auto", budget="100s"))
    first = plan(settings, shop.dataset)
    assert "measured" in first["precision_reason"]
    assert len(list((own_cache / "precision").iterdir())) == 1
    again = plan(settings, shop.dataset)
    assert again["precision_reason"] == first["precision_reason"]
    assert again["probe_seconds"] < 1.0


def test_what_is_fp32_on_the_way_there_is_so_on_the_way_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that a model takes out of autocast has a gradient that bf16 could not hold."""
    settings = settings_of(shop.make())
    model = build(settings.model, settings.config, shop.dataset, 0)
    weight = next(p for p in model.parameters() if p.ndim == 2)
    x = torch.full((weight.shape[1], 1), 1 + 2.0**-12)

    def loss(*_: object) -> Loss:
        with torch.autocast("cpu", enabled=False):
            return Loss((weight @ x).sum())

    monkeypatch.setattr(model, "loss", loss)
    train_options = replace(settings.train, precision="bf16")
    cpu = torch.device("cpu")
    game = Game(model, shop.dataset.train, shop.dataset.options, train_options, Plan("bf16"), cpu, World())
    monkeypatch.setattr(PlayerOptimizer, "clip", lambda _: 0.0)
    game.step(Moment(0, 0.0))
    assert weight.grad is not None
    assert (weight.grad == 1 + 2.0**-12).all()


def test_a_race_cut_short_is_not_remembered(shop: Shop, own_cache: Path) -> None:
    plan(settings_of(shop.make(precision="auto", budget="0.001s")), shop.dataset)
    assert not own_cache.exists()


def test_a_race_on_a_busy_machine_is_not_remembered(
    shop: Shop, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_busy", lambda: True)
    plan(settings_of(shop.make(precision="auto", budget="100s")), shop.dataset)
    assert not own_cache.exists()


def test_a_format_that_learns_something_else_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = precision._gradients

    def broken(model: torch.nn.Module) -> torch.Tensor:
        grads = honest(model)
        return grads if model.told == "fp32" else torch.randn(grads.shape, generator=torch.Generator().manual_seed(0))

    def remember(model: torch.nn.Module, chosen: Plan) -> None:
        model.told = chosen.dtype

    monkeypatch.setattr(precision, "arrange", remember)
    monkeypatch.setattr(precision, "_gradients", broken)
    assert plan(settings_of(shop.make(precision="auto")), shop.dataset)["precision"] == "fp32"


def test_what_was_asked_for_is_taken(shop: Shop) -> None:
    said = plan(settings_of(shop.make(precision="bf16")), shop.dataset)
    assert (said["precision"], said["precision_reason"]) == ("bf16", "asked for")


@pytest.mark.parametrize("dtype", ["bf32", "bf16"])
def test_formats_change_products_inside_and_nothing_outside(dtype: str) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(64, 64), torch.randn(64, 64)
    exact = a @ b
    with arithmetic(Plan(dtype), torch.device("cpu")):
        inside = (a @ b).float()
    assert torch.equal(a @ b, exact)
    assert torch.allclose(inside, exact, atol=0.5)
    if dtype == "bf16":
        assert not torch.equal(inside, exact)


def test_memory_formats() -> None:
    net, x = torch.nn.Conv2d(4, 4, 3), {"image": torch.randn(2, 4, 8, 8), "label": torch.arange(2)}
    for on in (True, False):
        chosen = Plan(channels_last=on)
        arrange(net, chosen)
        batch = arrange_batch(x, chosen, torch.device("cpu"))
        assert batch["image"].is_contiguous(memory_format=torch.channels_last) == on
        assert net.weight.is_contiguous(memory_format=torch.channels_last) == on
        assert torch.equal(batch["image"], x["image"])


def test_a_resumed_run_keeps_its_plan(shop: Shop) -> None:
    run = shop.make(budget="1steps", precision="bf16")
    train(run, shop.dataset, reporter=Reporter(None))
    assert run.environment["plan"]["dtype"] == "bf16"


def test_keeping_memory_is_harmless_to_ask_for_twice() -> None:
    assert keep_freed_memory() == keep_freed_memory()
