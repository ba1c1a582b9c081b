"""Repairs: what is tried in which order, what it changes, and that a resumed run repeats it bit for bit."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from shop import Shop
from torch import Tensor

import genloom.engine as engine
from genloom.core import Optimizer
from genloom.engine import checkpoint, health
from genloom.engine.advice import Finding, Setting
from genloom.engine.distributed import World
from genloom.engine.game import Game
from genloom.engine.history import History
from genloom.engine.journal import Reporter
from genloom.engine.load import load
from genloom.engine.precision import Plan
from genloom.engine.repair import (
    LAST,
    PATIENCE,
    TREATMENTS,
    Physician,
    Repair,
    beginnings,
    changed,
    drop_stale,
    onset,
    repairs_of,
)
from genloom.engine.train import build, settings_of, train
from genloom.engine.trainer import Trainer
from genloom.errors import BadValue
from genloom.models.adversarial.gan import GANConfig
from genloom.models.adversarial.gan_mlp import MLPGANConfig
from genloom.models.adversarial.r3gan import R3GANConfig
from genloom.models.autoencoding.vae import VAEConfig
from genloom.models.autoencoding.vae_mlp import MLPVAEConfig
from genloom.runs import Run
from genloom.verbs import catalogue

ADAM = Optimizer("adam", lr=1e-3, betas=(0.5, 0.9), clip=0.0, warmup=0.0, decay="constant", final=1.0)
SMALL = GANConfig(loss="minimax", network="mlp", latent=4, hidden=(8,), conditional=False, generator=ADAM,
                  discriminator=ADAM)  # fmt: skip
Ailing = Callable[..., None]


@pytest.fixture
def ailing(monkeypatch: pytest.MonkeyPatch) -> Ailing:
    """ailing(name, first, last): the watch looks every 2 steps and finds `name` from step `first` to `last`."""

    def plant(name: str, first: int, last: int = 10**9, patience: float = 0.1) -> None:
        def diagnose(h: History, s: Setting) -> list[Finding]:
            there = first <= h.step <= last
            return [Finding(name, "it rains", "a low", "an umbrella", "serious")] if there else []

        keep = Trainer.keep_moments

        def look(self: Trainer) -> None:
            keep(self)
            if self.health is not None and self.step % 2 == 0:
                self.write_row()
                self.health.judge(self.step, self.clock.elapsed())
                self._consult()

        monkeypatch.setattr(health, "diagnose", diagnose)
        monkeypatch.setattr("genloom.engine.trainer.onset", lambda history, finding: None)
        monkeypatch.setattr(health.Watch, "look", lambda *_: False)
        monkeypatch.setattr(Trainer, "keep_moments", look)
        monkeypatch.setattr(engine.repair, "PATIENCE", patience)

    return plant


def weights(run: Run) -> dict[str, Tensor]:
    step = run.checkpoints()[-1]
    return {
        f"{n}/{k}": t for n in ("model", "ema", "optimizer") for k, t in checkpoint.read_tensors(run, step, n).items()
    }


def same(a: Run, b: Run) -> bool:
    ours, theirs = weights(a), weights(b)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def killed(shop: Shop, run: Run, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trains a run that dies without a word when `at` steps are played."""
    step = Game.step

    def dies(self: Game, moment: Any) -> dict[str, float]:
        if moment.index == at:
            raise MemoryError("killed")
        return step(self, moment)

    with monkeypatch.context() as patch:
        patch.setattr(Game, "step", dies)
        with pytest.raises(MemoryError):
            train(run, shop.dataset, reporter=Reporter(None))


# -- what is chosen ----------------------------------------------------------------------------------------------------


def physician(shop: Shop, config: Any, model: str = "gan", compiled: bool = False) -> Physician:
    return Physician(build(model, config, shop.dataset, 0), shop.dataset.spec, compiled)


def course(doctor: Physician, name: str, rounds: int = 8, before: tuple[int, ...] = ()) -> list[Repair]:
    """All that would be tried for a finding that never goes away."""
    made: list[Repair] = []
    finding = Finding(name, "it rains", level="serious")
    for i in range(rounds):
        found = doctor.decide([finding], made, 100 * i + 50, 0.1 + 0.1 * i, {name: before})
        if isinstance(found, Repair):
            made.append(found)
            doctor.model.config = changed(doctor.model.config, {k: new for k, (_, new) in found.changes.items()})
    return made


def test_mode_collapse_of_the_minimax_game_is_treated_in_the_order_of_the_literature(shop: Shop) -> None:
    falling = {
        f"config.{who}.{name}": change
        for who in ("discriminator", "generator")
        for name, change in (("decay", ["constant", "cosine"]), ("final", [1.0, 0.1]))
    }
    doctor = physician(shop, SMALL)
    made = course(doctor, "mode collapse")
    area = float(f"{shop.dataset.spec['image'].shape[1] * shop.dataset.spec['image'].shape[2] / 784:.2g}")
    assert [dict(r.changes) for r in made] == [
        {"config.loss": ["minimax", "non-saturating"]},
        {
            "config.loss": ["non-saturating", "relativistic"],
            "config.r1": [0.0, area],
            "config.r2": [0.0, area],
            **falling,
        },
        {"config.discriminator.lr": [1e-3, 5e-4]},
        {"config.instance_noise": [0.0, 0.3]},
    ]
    assert doctor.model.phases()[0].second_order


def test_a_treatment_is_given_time_and_none_begins_too_late(shop: Shop) -> None:
    doctor = physician(shop, SMALL)
    finding = [Finding("mode collapse", "it rains", level="serious")]
    first = doctor.decide(finding, [], 100, 0.2, {})
    assert isinstance(first, Repair)
    assert doctor.decide(finding, [first], 110, 0.2 + 0.9 * PATIENCE, {}) is None
    assert isinstance(doctor.decide(finding, [first], 120, 0.2 + 1.1 * PATIENCE, {}), Repair)
    assert doctor.decide(finding, [first], 190, LAST + 0.01, {}) is None


def test_it_says_once_that_nothing_is_left(shop: Shop) -> None:
    doctor = physician(shop, SMALL)
    made = course(doctor, "discriminator at chance", rounds=1)
    finding = [Finding("discriminator at chance", "it rains", advice="an umbrella")]
    said = [doctor.decide(finding, made, 500, 0.5, {}) for _ in range(2)]
    assert isinstance(said[0], str)
    assert "no repair is left" in said[0]
    assert "an umbrella" in said[0]
    assert said[1] is None
    assert doctor.decide([Finding("overfitting", "it rains")], [], 500, 0.5, {}) is None  # not ours to treat


def test_rates_are_lowered_and_the_run_goes_back_to_before_the_illness(shop: Shop) -> None:
    made = course(physician(shop, MLPVAEConfig(latent=4, hidden=16), "vae-mlp"), "divergence", before=(0, 40))
    assert [r.treatment for r in made][:3] == ["a third of the learning rate, from before the illness"] * 3
    assert made[0].changes == {"config.optimizer.lr": [1e-3, 1e-3 / 3]}
    assert (made[0].back, made[0].step, made[0].seen) == (True, 40, 50)
    assert made[3].changes == {"config.optimizer.clip": [0.0, 1.0]}


def test_a_collapse_began_where_readings_have_shown_it_ever_since(shop: Shop) -> None:
    rows = [{"step": s, "watch/diversity": d, "watch/twins": t} for s, d, t in (
        (10, 0.2, 0.9), (20, 0.8, 0.1), (30, 0.7, 0.8), (40, 0.3, 0.1), (50, 0.2, 0.9))]  # fmt: skip
    assert onset(History(rows), "mode collapse") == 30
    assert onset(History(rows[:1]), "mode collapse") == 10
    assert onset(History(rows), "divergence") is None
    assert onset(History(), "mode collapse") is None
    made = course(physician(shop, replace(SMALL, loss="non-saturating")), "mode collapse", rounds=1, before=(0, 25))
    assert (made[0].back, made[0].step, made[0].evidence) == (True, 25, "it rains")


def test_models_are_given_what_they_have(shop: Shop) -> None:
    assert [dict(r.changes) for r in course(physician(shop, R3GANConfig(width=8), "r3gan"), "mode collapse")] == [
        {"config.gamma": [1.0, 10.0], "config.gamma_end": [0.1, 1.0]},
        {"config.discriminator.lr": [1.5e-3, 7.5e-4]},
    ]
    course_gan = course(physician(shop, MLPGANConfig(latent=4, generator_widths=(8,)), "gan-mlp"), "missing modes")
    assert [next(iter(r.changes)) for r in course_gan] == ["config.r1", "config.loss", "config.instance_noise"]
    beta = course(physician(shop, MLPVAEConfig(latent=4, hidden=16, beta=9.0), "vae-mlp"), "posterior collapse")
    assert [next(iter(r.changes)) for r in beta] == ["config.beta", "config.kl_warmup", "config.free_bits"]
    larger = course(physician(shop, VAEConfig(beta=9.0), "vae"), "posterior collapse")
    before, after = next(r.changes["config.kl_warmup"] for r in larger if "config.kl_warmup" in r.changes)
    assert (before, len(after)) == ((0.0, 0.0), 2)


def test_a_compiled_discriminator_is_not_penalised(shop: Shop) -> None:
    made = course(physician(shop, SMALL, compiled=True), "mode collapse")
    assert [next(iter(r.changes)) for r in made] == [
        "config.loss", "config.discriminator.lr", "config.instance_noise"
    ]  # fmt: skip


def test_a_change_that_the_configuration_refuses_is_not_made(shop: Shop) -> None:
    with pytest.raises(BadValue, match="label_smoothing"):
        changed(replace(SMALL, label_smoothing=0.1), {"config.loss": "relativistic"})
    smoothed = course(physician(shop, replace(SMALL, label_smoothing=0.1)), "mode collapse")
    assert smoothed[1].changes["config.label_smoothing"] == [0.1, 0.0]  # it goes with the loss


def test_every_treated_finding_is_one_that_the_watch_can_make() -> None:
    folder = Path(engine.__file__).parent
    text = "".join(p.read_text() for p in folder.glob("symptoms*.py"))
    for name in TREATMENTS:
        assert f'"{name}"' in text, f"no symptom is called {name!r}"


# -- what is changed ---------------------------------------------------------------------------------------------------


def test_a_repair_changes_what_it_says_and_says_what_it_changes(
    shop: Shop, heard: tuple[Reporter, io.StringIO], ailing: Ailing
) -> None:
    ailing("mode collapse", 10)
    reporter, said = heard
    run = shop.make("gan", config=SMALL, budget="60steps", on_illness="repair")
    train(run, shop.dataset, reporter=reporter)
    made = repairs_of(run)
    assert [r.step for r in made][:2] == [10, 7]  # the second goes back
    assert [len(r.changes) for r in made] == [1, 7, 1, 1]
    rows = run.metrics()
    for part, since in (("r1", 7), ("pair_accuracy", 7)):  # pairs are the relativistic loss's
        there = {r["step"] for r in rows if f"discriminator/{part}" in r}
        assert there == {r["step"] for r in rows if "loss/discriminator" in r and r["step"] > since}
    assert max(r["loss/generator"] for r in rows if "loss/generator" in r and r["step"] <= 7) < 0  # minimax
    assert min(r["loss/generator"] for r in rows if "loss/generator" in r and r["step"] > 7) > 0
    assert [r["event"] for r in rows if "repair" in r] == [r.line for r in made]
    assert all(r.line in said.getvalue() for r in made)
    assert said.getvalue().count("no repair is left for mode collapse") == 1
    assert load(run).settings.config == changed(SMALL, {k: new for r in made for k, (_, new) in r.changes.items()})
    assert settings_of(run).config == SMALL  # what was asked for stays
    shown = catalogue.run(run.path)
    assert all(r.line in str(shown) for r in made)
    assert [r["treatment"] for r in shown.to_json()["repairs"]] == [r.treatment for r in made]
    assert made[0].evidence == "it rains"
    assert checkpoint.read_state(run, 60)["repairs"] == 4


def test_lower_rates_take_effect_and_weights_go_back(shop: Shop, silent: Reporter, ailing: Ailing) -> None:
    ailing("divergence", 12, 12)
    run = shop.make("vae-mlp", budget="30steps", on_illness="repair")
    train(run, shop.dataset, reporter=silent)
    (repair,) = repairs_of(run)
    assert (repair.seen, repair.step, repair.back) == (12, 10, True)
    rates = {r["step"]: r["rate/vae"] for r in run.metrics() if "rate/vae" in r}
    assert rates[10] == pytest.approx(1e-3)
    assert rates[12] == rates[14] == pytest.approx(1e-3 / 3)
    assert [(f["step"], f["until"]) for f in run.health()] == [(12, 20)]  # seen again on the way, and gone
    assert checkpoint.read_state(run, 30)["attempt"] == 1


def test_without_a_finding_nothing_differs(shop: Shop, silent: Reporter, ailing: Ailing) -> None:
    ailing("mode collapse", 10**6)
    runs = [shop.make("gan", config=SMALL, budget="14steps", on_illness=o) for o in ("warn", "repair")]
    for run in runs:
        train(run, shop.dataset, reporter=silent)
    assert same(*runs)
    assert not (runs[1].path / "repairs.jsonl").exists()


def test_turns_of_a_discriminator_change_without_losing_an_item(shop: Shop) -> None:
    model = build("gan", replace(SMALL, n_critic=3), shop.dataset, 0)
    run = shop.make()
    options = settings_of(run).train
    game = Game(model, shop.dataset.train, shop.dataset.options, options, Plan(), torch.device("cpu"), World())
    dealt: list[int] = []
    deal = game.deal
    game.deal = lambda phase, draw: (dealt.append(draw), deal(phase, draw))[1]  # type: ignore[method-assign, func-returns-value]
    from genloom.engine.game import Moment

    for i in range(5):
        if i == 2:
            model.config = replace(SMALL, n_critic=1)
            game.change(2)
        game.step(Moment(i, 0.1))
    assert dealt == [0, 1, 2, 3, 4, 5, 6, 7, 8]
    assert game.items_before(5) == 9 * options.batch


# -- what is repeated --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "first", "last", "at"),
    [
        ("mode collapse", 10, 10**9, 19),  # two repairs, at 10 and 16; the checkpoint is of 15, a repair ahead of it
        ("mode collapse", 12, 13, 14),  # one, after the checkpoint of 10
        ("divergence", 12, 13, 11),  # back to 10 with a lower rate, killed on the way again
        ("divergence", 13, 15, 20),
    ],
)
def test_resuming_after_a_repair_equals_never_stopped(
    shop: Shop, silent: Reporter, ailing: Ailing, monkeypatch: pytest.MonkeyPatch, name: str, first: int, last: int,
    at: int,
) -> None:  # fmt: skip
    ailing(name, first, last, patience=0.19)
    runs = [shop.make("gan", config=SMALL, budget="30steps", on_illness="repair") for _ in range(2)]
    train(runs[0], shop.dataset, reporter=silent)
    made = repairs_of(runs[0])
    assert made
    step, visits = Game.step, []

    def dies(self: Game, moment: Any) -> dict[str, float]:
        visits.append(moment.index)
        if moment.index == at and repairs_of(runs[1]):
            raise MemoryError("killed")
        return step(self, moment)

    with monkeypatch.context() as patch:
        patch.setattr(Game, "step", dies)
        with pytest.raises(MemoryError):
            train(runs[1], shop.dataset, reporter=silent)
    before = len(repairs_of(runs[1]))
    assert before
    train(runs[1], shop.dataset, reporter=silent)
    assert [asdict(r) for r in repairs_of(runs[1])] == [asdict(r) for r in made]
    assert same(*runs)
    events = [[(r["step"], r["repair"]) for r in run.metrics() if "repair" in r] for run in runs]
    assert events[0] == events[1]


def test_a_repaired_run_can_be_replayed(shop: Shop, silent: Reporter, ailing: Ailing) -> None:
    ailing("divergence", 12, 30, patience=0.3)
    source = shop.make("gan", config=SMALL, budget="30steps", on_illness="repair")
    train(source, shop.dataset, reporter=silent)
    assert any(r.back for r in repairs_of(source))
    again = shop.make("gan", config=SMALL, budget="30steps", on_illness="repair")
    train(again, shop.dataset, replay=source, reporter=silent)
    assert same(source, again)
    assert repairs_of(again) == repairs_of(source)


def test_going_back_before_an_earlier_repair_keeps_it(
    shop: Shop, silent: Reporter, ailing: Ailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    ailing("mode collapse", 10, patience=0.15)
    monkeypatch.setattr("genloom.engine.trainer.onset", lambda history, finding: 3)
    runs = [shop.make("gan", config=SMALL, budget="30steps", on_illness="repair") for _ in range(2)]
    train(runs[0], shop.dataset, reporter=silent)
    made = repairs_of(runs[0])
    assert [(r.step, r.back) for r in made][:2] == [(10, False), (0, True)]
    assert beginnings(made[:2]) == [0, 0]
    assert min(r["loss/generator"] for r in runs[0].metrics() if "loss/generator" in r) > 0  # never minimax again
    killed(shop, runs[1], 12, monkeypatch) if len(made) == 2 else killed(shop, runs[1], 18, monkeypatch)
    train(runs[1], shop.dataset, reporter=silent)
    assert [asdict(r) for r in repairs_of(runs[1])] == [asdict(r) for r in made]
    assert same(*runs)


def test_checkpoints_of_a_course_given_up_are_dropped(shop: Shop, silent: Reporter) -> None:
    run = shop.make("gan", config=SMALL, budget="20steps", keep=9)
    train(run, shop.dataset, reporter=silent)
    steps = run.checkpoints()
    assert {5, 10, 15, 20} <= set(steps)
    run.append_repair(asdict(Repair(10, 17, 0.5, "divergence", "x", "y", {"config.generator.lr": [1e-3, 1e-4]}, True)))
    copied = shutil.copytree(run.path, run.path.with_name("killed"))
    drop_stale(Run(copied))
    assert max(Run(copied).checkpoints()) == 10


# -- on the command line -----------------------------------------------------------------------------------------------


def test_the_flag_takes_four_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genloom.cli.main import main

    small = ["--data", "digits", "--budget", "3steps", "--runs", str(tmp_path)]
    assert main(["train", "gan-minimax", *small, "--on-illness", "mend"]) == 2
    error = capsys.readouterr().err
    assert "one of warn, stop, repair, off" in error
    assert "mend" in error
    assert not list(tmp_path.iterdir())
    assert main(["train", "gan-minimax", *small, "--on-illness", "repair", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["train"]["on_illness"] == "repair"
    assert main(["train", "gan-minimax", *small, "--on-illness", "stop", "--train.on_illness", "warn"]) == 2
