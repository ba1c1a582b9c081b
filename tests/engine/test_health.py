"""The watch on real runs of tiny models: it changes nothing, keeps to its share, finds what is planted."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from shop import Shop
from torch import Tensor, nn

from genloom.core import Batch, Loss, Model, Optimizer, Phase, Player, Step
from genloom.data.dataset import Dataset
from genloom.data.parts import ImageSplit
from genloom.engine import checkpoint, health, probes
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game
from genloom.engine.health import Probe, Watch
from genloom.engine.journal import Reporter
from genloom.engine.train import settings_of, train
from genloom.engine.trainer import Trainer
from genloom.models.adversarial.gan_mlp import MLPGAN, MLPGANConfig
from genloom.models.autoencoding.vae_mlp import MLPVAEConfig
from genloom.objectives.adversarial import bce_discriminator
from genloom.runs import Run
from genloom.testing import fake_images

ADAM = Optimizer("adam", lr=1e-3, betas=(0.9, 0.999), clip=0.0, warmup=0.0, decay="constant", final=1.0)


@pytest.fixture
def attentive(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """The watch looks every so many steps, whatever it costs."""
    monkeypatch.setattr(health, "SHARE", 1e9)
    add = Trainer._add

    def every(steps: int) -> None:
        def look(self: Trainer, values: dict[str, float]) -> None:
            add(self, values)
            if self.health is not None and self.step % steps == 0:
                self.write_row()
                self.health._next = (0.0, 0.0)
                self.stop_asked |= self.health.look(self.step, self.clock.elapsed())

        monkeypatch.setattr(Trainer, "_add", look)

    return every


def weights(run: Run) -> dict[str, Tensor]:
    step = run.checkpoints()[-1]
    return {
        f"{n}/{k}": t for n in ("model", "ema", "optimizer") for k, t in checkpoint.read_tensors(run, step, n).items()
    }


def found(run: Run) -> set[str]:
    return {f["name"] for f in run.health()}


@pytest.mark.parametrize("model", ["vae-mlp", "gan-mlp", "vae", "r3gan", "flow"])
def test_a_run_that_is_watched_is_the_same_bit_for_bit(
    shop: Shop, silent: Reporter, attentive: Callable[[int], None], model: str
) -> None:
    small: dict[str, Any] = {
        "vae": {"width": 8, "latent": 4},
        "r3gan": {"width": 8},
        "flow": {"widths": (32,), "blocks": (1,)},
    }
    config = None
    if model in small:
        from genloom.models.registry import model_class

        config = model_class(model).Config(**small[model])
    budget = "20steps" if config is None else "7steps"
    attentive(1)
    runs = [shop.make(model, config=config, budget=budget, on_illness=o) for o in ("warn", "off")]
    for run in runs:
        torch.manual_seed(5)
        train(run, shop.dataset, reporter=silent)
    watched, alone = (weights(r) for r in runs)
    assert all(torch.equal(watched[k], alone[k]) for k in alone)
    read = {k for row in runs[0].metrics() for k in row if k.startswith("watch/")}
    assert any("moved" in k for k in read)
    assert len(read) >= 3
    assert not any(k.startswith("watch/") for row in runs[1].metrics() for k in row)


def test_looking_leaves_the_global_random_state_alone(shop: Shop, silent: Reporter, attentive: Callable[[int], None],
                                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    attentive(2)
    look = Watch.look
    changed = []

    def compared(self: Watch, step: int, now: float) -> bool:
        before = torch.random.get_rng_state()
        answer = look(self, step, now)
        changed.append(not torch.equal(before, torch.random.get_rng_state()))
        return answer

    monkeypatch.setattr(Watch, "look", compared)
    train(shop.make("gan-mlp"), shop.dataset, reporter=silent)
    assert len(changed) >= 10
    assert not any(changed)


# -- cost --------------------------------------------------------------------------------------------------------------


def test_checks_keep_to_their_share_and_take_turns(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock of our own: steps of 10 ms, two checks of 1 ms and 40 ms an item."""
    run = shop.make()
    settings = settings_of(run)
    from genloom.engine.budget import Clock
    from genloom.engine.distributed import World
    from genloom.engine.precision import Plan
    from genloom.engine.train import build

    model = build(settings.model, settings.config, shop.dataset, 0)
    trainer = Trainer(model, shop.dataset, settings.train, run, Plan(), Clock(total=9), torch.device("cpu"), World(),
                      Reporter(None))  # fmt: skip
    watch = trainer.health
    assert watch is not None
    now = [0.0]
    watch.purse = health.Purse(lambda: now[0])
    watch.begin(0, 0.0)

    def check(seconds: float) -> Callable[[int], dict[str, float]]:
        def measure(n: int) -> dict[str, float]:
            now[0] += seconds * n
            return {"x": 1.0}

        return measure

    watch.probes = [Probe("cheap", check(1e-5)), Probe("dear", check(4e-4)), Probe("mad", check(10.0))]
    watch.purse = health.Purse(lambda: now[0])
    step = 0
    while now[0] < 100:
        now[0] += 0.01
        step += 1
        watch.history.progress = now[0] / 100
        began = now[0]
        watch.look(step, now[0])
        spent = watch.purse.spent
        assert spent <= health.SHARE * now[0] + 11 * 16 or now[0] - began > 100
        if watch.probes[2].readings:
            break
    cheap, dear, mad = watch.probes
    assert mad.readings <= 1
    watch.purse.spent, now[0], start = 0.0, 0.0, step
    watch.probes, watch._next, watch._first = [cheap, dear], (0.0, 0.0), start
    while now[0] < 100:
        now[0] += 0.01
        step += 1
        watch.history.progress = now[0] / 100
        watch.look(step, now[0])
    assert watch.purse.spent <= 0.03 * now[0]
    assert dear.readings >= 10
    assert abs(cheap.readings - dear.readings) <= 3


def test_looks_are_spaced_by_progress_and_come_again_after_a_rollback(
    shop: Shop, silent: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast or slow a machine is: a fortieth of the run apart, and never over ten seconds."""
    judged: list[tuple[int, float]] = []
    monkeypatch.setattr(Watch, "judge", lambda self, step, now: bool(judged.append((step, now))))
    trainers: list[Trainer] = []
    began = Watch.begin
    monkeypatch.setattr(Watch, "begin", lambda self, step, now: (trainers.append(self), began(self, step, now))[1])  # type: ignore[func-returns-value]
    train(shop.make(budget="8steps"), shop.dataset, reporter=silent)
    watch: Any = trainers[0]
    watch.begin(0, 0.0)
    judged.clear()
    for step in range(1, 401):
        watch.history.progress = step / 400
        watch.look(step, 1e-3 * step)
    assert 38 <= len(judged) <= 41
    watch.begin(100, 0.5)
    judged.clear()
    watch.history.progress = 0.25
    watch.look(101, 0.5)
    assert len(judged) == 1, "after a rollback it does not wait for where it was"
    watch.look(102, 0.6)
    assert len(judged) == 1
    watch.look(103, 0.5 + health.PAUSE)
    assert len(judged) == 2


def test_both_sides_are_measured_on_as_many_items_as_there_are(shop: Shop) -> None:
    """Sixteen training items are compared with all held-out ones; the error of a difference follows from both."""
    from genloom.engine.precision import Plan
    from genloom.engine.train import build

    settings = settings_of(shop.make("gan-mlp"))
    model = build(settings.model, settings.config, shop.dataset, 0)
    split = shop.dataset.train
    assert isinstance(split, ImageSplit)
    raw = split.raw(torch.arange(len(split)))
    few = replace(shop.dataset, train=ImageSplit(shop.dataset.spec, raw["image"], torch.arange(16), raw["label"]))
    held = min(256, few.validation.items)
    said = probes.losses(model, model.phases()[0], few, 256, 0, Plan(), torch.device("cpu"))
    assert said["n/discriminator"] == pytest.approx(2 / (1 / 16 + 1 / held))


# -- faults in real runs -----------------------------------------------------------------------------------------------


class Minimax(MLPGAN):
    """The textbook's generator loss, log(1 - D(G(z))), which saturates where the discriminator is sure."""

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        if phase.name == "discriminator":
            return super().loss(phase, batch, step)
        fake, seen = self.generator(step.randn(len(batch[self.item]), self.config.latent), step)
        logits = self.discriminator(fake).float()
        return Loss(-bce_discriminator(logits.new_full((1,), 100.0), logits), memo=seen)


def small_gan(**changes: Any) -> MLPGANConfig:
    config = MLPGANConfig(
        latent=8, generator_widths=(16,), discriminator_widths=(32,), generator=ADAM, discriminator=ADAM
    )
    return replace(config, **changes)


def test_vanishing_gradient(shop: Shop, silent: Reporter, attentive: Callable[[int], None], register: Any) -> None:
    register("minimax", Minimax)
    attentive(6)
    run = shop.make("minimax", config=small_gan(discriminator=replace(ADAM, lr=0.01)), budget="180steps")
    train(run, shop.dataset, reporter=silent)
    assert "vanishing gradient" in found(run)


def test_frozen_generator(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    attentive(3)
    run = shop.make("gan-mlp", config=small_gan(generator=replace(ADAM, lr=0.0)), budget="60steps")
    train(run, shop.dataset, reporter=silent)
    (finding,) = run.health()
    assert (finding["name"], finding["level"], finding["until"]) == ("frozen weights", "serious", None)
    assert "generator" in finding["seen"]
    assert "--config.generator.lr" in finding["advice"]
    from genloom.verbs.catalogue import run as show

    facts = show(run)
    assert "frozen weights (serious, since step" in str(facts)
    assert finding["advice"] in str(facts)
    assert facts.to_json()["health"] == [finding]


def vae(**changes: Any) -> MLPVAEConfig:
    return MLPVAEConfig(**{"latent": 4, "hidden": 64, "optimizer": replace(ADAM, lr=3e-3), **changes})


def test_posterior_collapse(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    attentive(4)
    ill, well = (shop.make(config=vae(beta=b), budget="100steps") for b in (1000.0, 0.01))
    for run in (ill, well):
        train(run, shop.dataset, reporter=silent)
    assert "posterior collapse" in found(ill)
    assert "--config.beta 1" in next(f for f in ill.health() if f["name"] == "posterior collapse")["advice"]
    assert "posterior collapse" not in found(well)


def test_overfitting(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    """Noise can only be learnt by heart."""
    attentive(6)
    noise = torch.randint(0, 256, (96, 1, 6, 6), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    parts = [ImageSplit(fake_images(shape=(1, 6, 6)).spec, noise, rows, torch.arange(96) % 2) for rows in
             torch.arange(96).split(32)]  # fmt: skip
    dataset = replace(fake_images(shape=(1, 6, 6)), train=parts[0], validation=parts[1], test=parts[2])
    run = Shop(shop.root, dataset).make(
        config=vae(latent=16, hidden=128, beta=0.01, optimizer=replace(ADAM, lr=5e-3)), budget="150steps"
    )
    train(run, dataset, reporter=silent)
    assert found(run) == {"overfitting"}
    assert "32 training items" in run.health()[0]["likely"]


def test_a_rate_far_too_high_and_far_too_low(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    attentive(2)
    high = shop.make(config=vae(optimizer=replace(ADAM, lr=1.0)), budget="80steps")
    low = shop.make(config=vae(optimizer=replace(ADAM, lr=1e-8)), budget="80steps")
    for run in (high, low):
        train(run, shop.dataset, reporter=silent)
    assert found(high) & {"divergence", "not finite", "dead units", "posterior collapse"}
    assert found(low) == {"rate too low"}


def test_an_average_that_stands_still(
    shop: Shop, silent: Reporter, attentive: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    attentive(2)
    monkeypatch.setattr(PowerEMA, "update", lambda self, model, steps: None)
    run = shop.make(budget="40steps")
    train(run, shop.dataset, reporter=silent)
    assert "average not updated" in found(run)


def blank(dataset: Dataset, share: float) -> Dataset:
    """The data set with some of its training images blank."""
    split = dataset.train
    assert isinstance(split, ImageSplit)
    images = dataset.train.raw(torch.arange(len(split)))["image"].clone()
    images[: int(share * len(images))] = 7
    return replace(dataset, train=ImageSplit(dataset.spec, images, torch.arange(len(images)), split.labels))


def test_blank_images(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    attentive(2)
    ill = Shop(shop.root, blank(shop.dataset, 0.25))
    run = ill.make()
    train(run, ill.dataset, reporter=silent)
    assert "constant items" in found(run)
    assert "25%" in run.health()[0]["seen"]


def test_healthy_runs_are_left_in_peace(shop: Shop, silent: Reporter, attentive: Callable[[int], None]) -> None:
    attentive(5)
    for model, config in (("vae-mlp", vae(hidden=32, beta=0.1)), ("gan-mlp", small_gan())):
        run = shop.make(model, config=config, budget="80steps")
        train(run, shop.dataset, reporter=silent)
        assert not run.health(), model
        assert not (run.path / "health.jsonl").exists()


# -- life --------------------------------------------------------------------------------------------------------------


def test_a_finding_is_said_once_written_and_gone(
    shop: Shop, heard: tuple[Reporter, io.StringIO], attentive: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    attentive(2)
    reporter, said = heard
    from genloom.engine.advice import Finding

    def diagnose(h: Any, s: Any) -> list[Finding]:
        there = 10 <= h.step < 20
        return (
            [Finding("gloom", "it rains", "a low", "an umbrella", "serious" if h.step >= 16 else "note")]
            if there
            else []
        )

    monkeypatch.setattr(health, "diagnose", diagnose)
    run = shop.make(budget="40steps")
    train(run, shop.dataset, reporter=reporter)
    (finding,) = run.health()
    assert finding["step"] == 10
    assert finding["level"] == "serious"
    assert 20 <= finding["until"] <= 30
    assert finding["seconds"] > 0
    assert said.getvalue().count("gloom: it rains; a low. What to do: an umbrella") == 2  # once more when it grew worse
    assert said.getvalue().count("gloom: gone") == 1
    lines = [json.loads(line) for line in (run.path / "health.jsonl").read_text().splitlines()]
    assert [line.get("gone", False) for line in lines] == [False, False, True]


@pytest.mark.parametrize("on_illness", ["warn", "stop"])
def test_stop_ends_a_run_cleanly_and_once(
    shop: Shop, heard: tuple[Reporter, io.StringIO], attentive: Callable[[int], None], on_illness: str
) -> None:
    attentive(3)
    reporter, said = heard
    run = shop.make(
        "gan-mlp", config=small_gan(generator=replace(ADAM, lr=0.0)), budget="60steps", on_illness=on_illness
    )
    outcome = train(run, shop.dataset, reporter=reporter)
    assert said.getvalue().count("frozen weights: ") == 1
    if on_illness == "warn":
        assert outcome.state == "finished"
        return
    assert outcome.state == "stopped"
    assert outcome.steps < 40
    assert "on_illness stop" in said.getvalue()
    assert train(run, shop.dataset, reporter=reporter).state == "finished", "what is known does not stop it again"
    assert len(run.health()) == 1


def test_resuming_forgets_what_came_after_the_checkpoint(
    shop: Shop, silent: Reporter, attentive: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    attentive(3)
    config = small_gan(generator=replace(ADAM, lr=0.0))
    whole, broken = (
        shop.make("gan-mlp", config=config, budget="60steps", checkpoint_every="30steps") for _ in range(2)
    )
    train(whole, shop.dataset, reporter=silent)
    add = Trainer._add

    def interrupt(self: Trainer, values: dict[str, float]) -> None:
        add(self, values)
        if self.step == 50:
            raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Trainer, "_add", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(broken, shop.dataset, reporter=silent)
    broken.append_health({"name": "late", "seen": "after the checkpoint", "level": "note", "step": 49, "seconds": 1.0})
    train(broken, shop.dataset, reporter=silent)

    def content(run: Run) -> list[dict[str, Any]]:
        return [{k: v for k, v in f.items() if k not in ("seconds", "step")} for f in run.health()]

    assert content(whole) == content(broken)
    assert os.path.getsize(whole.path / "health.jsonl")


def test_health_is_read_from_a_file_that_was_cut_short(shop: Shop) -> None:
    run = shop.make()
    assert run.health() == []
    run.append_health({"name": "a", "seen": "s", "level": "note", "step": 3, "seconds": 1.0})
    run.append_health({"name": "a", "gone": True, "step": 5, "seconds": 2.0})
    run.append_health({"name": "a", "seen": "again", "level": "note", "step": 8, "seconds": 3.0})
    with open(run.path / "health.jsonl", "a") as f:
        f.write('{"name": "b", "se')
    assert [(f["step"], f["until"]) for f in run.health()] == [(3, 5), (8, None)]
    run.cut_metrics(6)
    assert [(f["step"], f["until"]) for f in run.health()] == [(3, 5)]
    run.cut_metrics(4)
    assert [(f["step"], f["until"]) for f in run.health()] == [(3, None)]


# -- checks ------------------------------------------------------------------------------------------------------------


def test_variety_sees_repeats_twins_and_missing_groups() -> None:
    dataset = fake_images(1200, shape=(1, 16, 16))
    variety = probes.Variety(dataset, seed=0)
    assert variety.usable
    real = probes.thumbnails(dataset.validation.batch(torch.arange(200))["image"])
    honest = variety.compare(real)
    assert 0.85 < honest["diversity"] < 1.15
    assert honest["twins"] < 0.2
    assert honest["lost"] == 0.0
    same = variety.compare(real[:1].repeat(200, 1) + 1e-3 * torch.randn(200, real.shape[1]))
    assert same["diversity"] < 0.05
    assert same["twins"] == 1.0
    assert same["lost"] > 0.7
    labels = dataset.validation.raw(torch.arange(len(dataset.validation)))["label"]
    one_class = probes.thumbnails(dataset.validation.batch(torch.where(labels == 0)[0][:200])["image"])
    assert 0.3 < variety.compare(one_class)["lost"] < 0.7


def test_blank_data_is_no_measure_of_variety() -> None:
    assert not probes.Variety(blank(fake_images(120), 1.0), seed=0).usable


class Rectified(nn.Module):
    def __init__(self, dead: int) -> None:
        super().__init__()
        self.layer = nn.Linear(256, 32)
        with torch.no_grad():
            self.layer.bias.fill_(100.0)[:dead] = -1e4

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))


class OneLayer(Model):
    """Counts what a rectifier lets through."""

    Config = MLPVAEConfig
    citation = ""

    def __init__(self, config: Any, spec: Any, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.net = Rectified(config)

    def players(self) -> tuple[Player, ...]:
        return (Player("one", ("net.*",), ADAM),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("one", "one"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        return Loss(self.net(batch["image"].flatten(1)).square().mean())


@pytest.mark.parametrize("dead", [0, 16, 32])
def test_dead_units_are_counted(dead: int) -> None:
    from genloom.engine.precision import Plan

    dataset = fake_images()
    model = OneLayer(dead, dataset.spec)
    said = probes.units(model, list(model.phases()), dataset, 32, 0, Plan(), torch.device("cpu"))
    assert said["dead_units"] == pytest.approx(dead / 32, abs=0.1)
    assert said["largest_activation"] >= (1e4 - 100 if dead else 0.1)
    assert all(p.grad is None for p in model.parameters())


def test_movement_is_relative_and_per_step(shop: Shop) -> None:
    run = shop.make()
    settings = settings_of(run)
    from genloom.engine.distributed import World
    from genloom.engine.precision import Plan
    from genloom.engine.train import build

    model = build(settings.model, settings.config, shop.dataset, 0)
    game = Game(model, shop.dataset.train, shop.dataset.options, settings.train, Plan(), torch.device("cpu"), World())
    movement = probes.Movement(game.players, {})
    assert movement.measure(0) == {}
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.1)
    assert movement.measure(10) == pytest.approx({"moved/vae": 0.01}, rel=1e-3)
    assert movement.measure(20) == {"moved/vae": 0.0}
