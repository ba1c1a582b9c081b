"""A run from its first step to its last, and all that may happen to it on the way."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from shop import Shop
from torch import Tensor, nn

from genloom.core import Batch, CanSample, Loss, Model, Optimizer, Phase, Player, Step
from genloom.engine import checkpoint
from genloom.engine.journal import Reporter
from genloom.engine.load import load
from genloom.engine.train import plan, settings_of, train
from genloom.engine.trainer import Diverged, Trainer
from genloom.errors import BadData, BadValue, Busy, Damaged, Storage
from genloom.runs import Run
from genloom.testing import fake_images


def weights(run: Run, name: str = "model") -> dict[str, Tensor]:
    return checkpoint.read_tensors(run, run.checkpoints()[-1], name)


def same(a: Run, b: Run) -> bool:
    return all(
        torch.equal(x, y)
        for n in ("model", "ema", "optimizer")
        for x, y in zip(weights(a, n).values(), weights(b, n).values(), strict=True)
    )


def test_a_run_directory_says_everything(shop: Shop, silent: Reporter) -> None:
    run = shop.make()
    outcome = train(run, shop.dataset, reporter=silent)
    assert (outcome.state, outcome.steps, outcome.items) == ("finished", 20, 320)
    assert run.status["state"] == "finished"
    assert run.status["best"]["step"] in run.checkpoints()
    assert run.environment["plan"]["dtype"] == "fp32"
    assert len(run.checkpoints()) <= 3
    assert {p.suffix for p in run.samples.iterdir()} == {".png"}
    assert list((run.path / "events").iterdir())
    rows = run.metrics()
    assert any("loss/vae" in r or "loss/" in " ".join(r) for r in rows)
    assert rows[-1]["step"] == 20
    cost = run.status["cost"]
    assert cost["cpu_seconds"] > 0
    assert cost["energy_kwh_estimated"][0] < cost["energy_kwh_estimated"][1]
    model = load(run).model
    assert not model.training


def test_training_again_leaves_a_finished_run_alone(shop: Shop, silent: Reporter) -> None:
    run = shop.make()
    train(run, shop.dataset, reporter=silent)
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    assert train(run, shop.dataset, reporter=silent).before
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before


def test_the_same_seed_gives_the_same_run_and_another_does_not(shop: Shop, silent: Reporter) -> None:
    runs = [shop.make(seed=s) for s in (0, 0, 1)]
    for run in runs:
        train(run, shop.dataset, reporter=silent)
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@pytest.mark.parametrize("model", ["vae-mlp", "gan-mlp"])
def test_ctrl_c_saves_everything_and_says_how_to_go_on(
    shop: Shop, heard: tuple[Reporter, io.StringIO], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    whole, broken = shop.make(model), shop.make(model)
    train(whole, shop.dataset, reporter=Reporter(None))
    add = Trainer._add

    def interrupt(self: Trainer, values: dict[str, float]) -> None:
        add(self, values)
        if self.step == 11:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_add", interrupt)
    reporter, said = heard
    outcome = train(broken, shop.dataset, reporter=reporter)
    monkeypatch.undo()
    assert (outcome.state, outcome.steps) == ("stopped", 12)
    assert f"genloom train --resume {broken.path}" in said.getvalue()
    assert broken.status["state"] == "stopped"
    assert train(broken, shop.dataset, reporter=Reporter(None)).state == "finished"
    assert same(whole, broken)
    steps = [r["step"] for r in broken.metrics()]
    assert steps == sorted(steps)


def test_a_timed_run_can_be_replayed_step_for_step(shop: Shop, silent: Reporter) -> None:
    run = shop.make(budget="1.5s")
    first = train(run, shop.dataset, reporter=silent)
    again = shop.make(budget="1.5s")
    outcome = train(again, shop.dataset, reporter=silent, replay=run)
    assert first.steps > 20
    assert outcome.steps == first.steps
    assert same(run, again)


def test_only_finished_runs_are_replayed(shop: Shop, silent: Reporter) -> None:
    with pytest.raises(BadValue, match="not finished"):
        train(shop.make(), shop.dataset, reporter=silent, replay=shop.make())


def test_a_run_starts_from_another_runs_weights(shop: Shop, heard: tuple[Reporter, io.StringIO]) -> None:
    source = shop.make()
    train(source, shop.dataset, reporter=Reporter(None))
    reporter, said = heard
    run = shop.make(budget="1steps")
    train(run, shop.dataset, start_from=source, reporter=reporter)
    first = checkpoint.read_tensors(run, 0, "model")
    assert all(torch.equal(first[k], t) for k, t in weights(source, "ema").items())
    assert f"taken from {source.path}" in said.getvalue()
    with pytest.raises(BadData, match="no weight of"):
        train(shop.make("gan-mlp", budget="1steps"), shop.dataset, start_from=source, reporter=Reporter(None))


def test_other_data_is_refused(shop: Shop, silent: Reporter) -> None:
    run = shop.make()
    with pytest.raises(BadData, match="the data changed since"):
        train(run, fake_images(seed=9), reporter=silent)


def test_a_second_process_is_refused(shop: Shop, silent: Reporter) -> None:
    run = shop.make()
    with run.lock(), pytest.raises(Busy, match="trained by another process"):
        train(run, shop.dataset, reporter=silent)


def test_dry_run_says_what_would_happen_and_does_nothing(shop: Shop) -> None:
    settings = settings_of(shop.make(budget="2epochs"))
    before = sorted(shop.root.rglob("*"))
    said = plan(settings, shop.dataset)
    assert sorted(shop.root.rglob("*")) == before
    assert said["steps"] == 4
    assert said["parameters"]["vae"] > 1000
    assert said["items"]["train"] == 32
    json.dumps(said)


@pytest.mark.parametrize(
    "change", [{"budget": "5x"}, {"batch": 0}, {"ema": 0.5}, {"checkpoint_every": "often"}, {"ema": -1.0}]
)
def test_bad_options_leave_no_directory(shop: Shop, change: dict[str, Any]) -> None:
    with pytest.raises(BadValue):
        shop.make(**change)
    assert not shop.root.exists()


def test_post_hoc_averages_of_any_width(shop: Shop, silent: Reporter) -> None:
    run = shop.make(ema_post_hoc=True, budget="40steps", checkpoint_every="4steps")
    train(run, shop.dataset, reporter=silent)
    narrow, wide = (dict(load(run, ema=s).model.named_parameters()) for s in (0.05, 0.10))
    kept = weights(run, "ema")
    for name, value in wide.items():
        assert torch.allclose(value, kept[name], atol=2e-2)
    assert any(not torch.equal(narrow[n], wide[n]) for n in wide)
    other = shop.make()
    train(other, shop.dataset, reporter=silent)
    with pytest.raises(BadValue, match="ema_post_hoc"):
        load(other, ema=0.07)


# -- what damages a run ------------------------------------------------------------------------------------------------


def test_a_truncated_or_edited_checkpoint_is_refused(shop: Shop, silent: Reporter) -> None:
    run = shop.make()
    train(run, shop.dataset, reporter=silent)
    path = run.checkpoint(20) / "ema.safetensors"
    whole = path.read_bytes()
    for damage in (whole[:-10], whole[:-1] + bytes([whole[-1] ^ 1]), b""):
        path.write_bytes(damage)
        with pytest.raises(Damaged, match="changed or cut short"):
            load(run)
    path.unlink()
    with pytest.raises(Damaged, match="is missing"):
        load(run)


def test_a_checkpoint_of_another_model_or_version_is_refused(shop: Shop, silent: Reporter) -> None:
    run = shop.make(budget="2steps")
    train(run, shop.dataset, reporter=silent)
    config = run.config
    run.write("config.json", {**config, "config": {**config["config"], "hidden": 17}})
    with pytest.raises(Damaged, match="another model's"):
        load(run)
    run.write("config.json", {**config, "config": {**config["config"], "depth": 3}})
    with pytest.raises(Damaged, match="no field 'depth'"):
        load(run)
    run.write("config.json", {**config, "format": 99})
    with pytest.raises(Damaged, match="expected 1"):
        load(run)
    (run.path / "config.json").write_text("{")
    with pytest.raises(Damaged, match="cut short or edited"):
        load(run)


def test_a_run_without_a_checkpoint_says_so(shop: Shop) -> None:
    with pytest.raises(Damaged, match="no complete checkpoint"):
        load(shop.make())


def test_a_full_disk_leaves_the_earlier_checkpoint(
    shop: Shop, silent: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = shop.make(), shop.make()
    train(whole, shop.dataset, reporter=silent)
    write, written = checkpoint.save_file, []

    def full(tensors: dict[str, Tensor], path: Any) -> None:
        written.append(path)
        if len(written) > 7:
            with open(path, "wb") as f:
                f.write(b"half a file")
            raise OSError(28, "No space left on device")
        write(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(Storage, match="the disk is full"):
        train(run, shop.dataset, reporter=silent)
    monkeypatch.undo()
    assert run.status["state"] == "failed"
    assert run.checkpoints() == [0, 5]
    assert not list((run.path / "checkpoints").glob(".*"))
    assert train(run, shop.dataset, reporter=silent).state == "finished"
    assert same(whole, run)


# -- numbers that are not finite ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FragileConfig:
    """fails: attempts in which step 7 gives NaN; where: "loss" or "gradient"."""

    fails: int = 1
    where: str = "loss"


class Fragile(Model, CanSample):
    """One weight vector, pulled to zero, that breaks on purpose."""

    Config = FragileConfig
    citation = "@misc{none,}"
    broken: ClassVar[list[int]] = []

    def __init__(self, config: FragileConfig, spec: Any, given: Any = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.weight = nn.Parameter(torch.ones(4))

    def players(self) -> tuple[Player, ...]:
        return (Player("only", ("*",), Optimizer(lr=0.1, warmup=0.0)),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("only", "only"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        total = self.weight.square().sum()
        if step.index == 7 and self.training and len(Fragile.broken) < self.config.fails:
            Fragile.broken.append(step.index)
            # the square root's gradient at zero is infinite, times zero: NaN, while the loss itself is finite
            nothing = (0.0 * self.weight).square().sum().sqrt()
            total = total * float("nan") if self.config.where == "loss" else total + nothing
        return Loss(total)

    def sample(self, n: int, **_: Any) -> Batch:
        return {"image": torch.zeros(n, 1, 16, 16)}


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_nan_rolls_back_lowers_the_rate_and_says_so(
    shop: Shop, register: Callable[..., None], heard: tuple[Reporter, io.StringIO], where: str
) -> None:
    register("fragile", Fragile)
    Fragile.broken.clear()
    reporter, said = heard
    run = shop.make("fragile", config=FragileConfig(1, where), validate_every="100steps")
    outcome = train(run, shop.dataset, reporter=reporter)
    assert outcome.state == "finished"
    assert f"the {where} of phase 'only' was not finite at step 7: back to step 5, rate x 0.5" in said.getvalue()
    assert run.status["attempts"] == 1
    assert any("not finite" in str(r.get("event")) for r in run.metrics())
    rates = [r["rate/only"] for r in run.metrics() if "rate/only" in r]
    assert rates[-1] < 0.051


def test_a_run_that_never_recovers_ends_with_one_line(
    shop: Shop, register: Callable[..., None], silent: Reporter
) -> None:
    register("fragile", Fragile)
    Fragile.broken.clear()
    run = shop.make("fragile", config=FragileConfig(99))
    with pytest.raises(Diverged, match="lower the learning rate"):
        train(run, shop.dataset, reporter=silent)
    assert run.status["state"] == "failed"
    assert torch.isfinite(weights(run)["weight"]).all()


def test_without_the_guard_nan_ends_the_run_at_once(
    shop: Shop, register: Callable[..., None], silent: Reporter
) -> None:
    register("fragile", Fragile)
    Fragile.broken.clear()
    with pytest.raises(Diverged, match="step 7"):
        train(shop.make("fragile", config=FragileConfig(1), guard=False), shop.dataset, reporter=silent)
    assert len(Fragile.broken) == 1


def test_settings_survive_the_run_directory(shop: Shop) -> None:
    run = shop.make(seed=7)
    assert settings_of(run).train == replace(settings_of(run).train, seed=7)
