"""Tuning: searches under equal budgets, survives failures and interruptions, and says honestly what it found."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genloom.cli.main import main
from genloom.compare.trials import Search, Watch
from genloom.compare.tuned import Tuned, judge
from genloom.engine.journal import Reporter
from genloom.errors import BadValue, Busy, GenloomError, NotFound
from genloom.recipes import files, registry
from genloom.recipes.ranges import Choice, Log, Whole
from genloom.runs import Run

if os.environ.get("GENLOOM_REQUIRE_ALL") != "1":
    pytest.importorskip("optuna")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with 120 small pictures: bright squares at two places."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    draws = np.random.default_rng(0)
    images = draws.integers(0, 60, (120, 8, 8), np.uint8)
    images[::2, :4, :4] += 150
    images[1::2, 4:, 4:] += 150
    np.save("squares.npy", images)
    return tmp_path


FIXED = {"config.hidden": 8, "config.latent": 2, "train.precision": "fp32", "train.channels_last": "off",
         "train.compile": "off"}  # fmt: skip


def tune(**changes: Any) -> Tuned:
    from genloom.compare.tune import tune as verb

    asked = {"data": "squares.npy", "trials": 3, "budget": "10m", "trial_budget": "20steps", "confirm": 0,
             "overrides": FIXED, "reporter": Reporter(None)}  # fmt: skip
    return verb(changes.pop("recipe", "vae-mlp"), **{**asked, **changes})  # type: ignore[arg-type]


def what(found: Tuned) -> list[tuple[Any, ...]]:
    return [(t.number, dict(t.values), t.state, t.value) for t in found.trials]


def test_a_search_ends_with_a_recipe_file_that_trains(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = tune(trials=4, confirm=2)
    assert (found.state, found.counts["complete"]) == ("finished", 4)
    assert set(found.ranges) == {"config.optimizer.lr", "train.batch"}  # the other two were given a value
    assert found.trials[0].values == {"config.optimizer.lr": "0.001", "train.batch": "100"}
    assert len({str(t.values) for t in found.trials}) == 4
    values = [t.value for t in found.trials if t.value is not None]
    assert found.best == 1 + values.index(min(values))
    assert found.best > 1  # 20 steps at a thousandth get nowhere: a higher rate must win
    assert found.verdict is not None
    assert (len(found.verdict.default), len(found.verdict.tuned)) == (3, 2)
    assert values[found.best - 1] not in found.verdict.tuned  # the value it was chosen by is no evidence
    assert found.file == Path("tuned-vae-mlp.toml")
    name, _, overrides = files.read(found.file)
    best = found.trials[found.best - 1].values
    assert name == "vae-mlp"
    assert {k: overrides[k] for k in FIXED} == FIXED
    assert math.isclose(overrides["config.optimizer.lr"], float(best["config.optimizer.lr"]))
    assert "train.budget" not in overrides  # a trial's budget is no part of what was found
    text = found.file.read_text()
    assert "found for runs of 20steps" in text
    for said in ("tuned by genloom", "squares", "4 of 4 trials of 20steps", found.folder.name, "--data squares.npy"):
        assert said in text
    kept = {t.number: Run(found.folder / "runs" / t.run).checkpoints() for t in found.trials}
    assert {number for number, there in kept.items() if there} == {1, found.best}
    record = json.loads((found.folder / "tuning.json").read_text())
    assert record["best"] == found.best
    assert [t["value"] for t in record["trials"]] == values
    capsys.readouterr()
    assert main(["train", "tuned-vae-mlp.toml", "--data", "squares.npy", "--budget", "2steps", "--json"]) == 0
    run = Run(Path(json.loads(capsys.readouterr().out)["run"]))
    assert math.isclose(run.config["config"]["optimizer"]["lr"], float(best["config.optimizer.lr"]))


def test_the_same_command_does_nothing_twice_and_more_trials_go_on(here: Path) -> None:
    first = tune()
    before = sorted(p.name for p in (first.folder / "runs").iterdir())
    assert what(tune()) == what(first)
    assert sorted(p.name for p in (first.folder / "runs").iterdir()) == before
    more = tune(trials=4)
    assert more.folder == first.folder
    assert what(more)[:3] == what(first)
    assert len(more.trials) == 4
    other = tune(seed=1, out="other.toml")
    assert other.folder != first.folder
    with pytest.raises(BadValue, match=r"tuned-vae-mlp\.toml exists and is not of this search"):
        tune(seed=1)


def test_an_interrupted_search_finds_what_it_would_have_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tune(trials=4, runs="whole", out="whole.toml")
    from genloom.engine import trainer

    validate, calls = trainer.Trainer.validate, [0]

    def dies(self: Any, *args: Any, **keywords: Any) -> None:
        calls[0] += 1
        if calls[0] == 15:  # in the middle of the second trial
            raise KeyboardInterrupt
        if calls[0] == 30:  # as Ctrl-C does it: the run stops cleanly
            self.stop_asked = True
        validate(self, *args, **keywords)

    monkeypatch.setattr(trainer.Trainer, "validate", dies)
    with pytest.raises(KeyboardInterrupt):
        tune(trials=4, runs="parts", out="parts.toml")
    assert not Path("parts.toml").exists()
    stopped = tune(trials=4, runs="parts", out="parts.toml")
    assert stopped.state == "stopped"
    assert "the same command goes on" in str(stopped)
    parts = tune(trials=4, runs="parts", out="parts.toml")
    assert parts.state == "finished"
    assert what(parts) == what(whole)
    assert len(list((parts.folder / "runs").iterdir())) == 4


def test_a_trial_that_fails_is_recorded_and_does_no_harm(here: Path) -> None:
    found = tune(trials=4, ranges={"config.optimizer.lr": Choice(1e-3, 1e30)}, overrides={**FIXED, "train.batch": 32})
    failed = [t for t in found.trials if t.state == "failed"]
    assert failed
    assert "lower the learning rate" in failed[0].error
    assert found.trials[found.best - 1].values["config.optimizer.lr"] == "0.001"  # type: ignore[operator]
    assert found.state == "finished"
    assert "failed: " in str(found)


def test_a_recipe_that_cannot_be_trained_at_all_leaves_nothing(here: Path) -> None:
    with pytest.raises(GenloomError, match="lower the learning rate"):
        tune(overrides={**FIXED, "config.optimizer.lr": 1e30})
    assert not list(Path("runs").glob("tune-*"))


def test_the_time_for_everything_is_kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.compare import tuning as module

    now = [0.0]

    def tick() -> float:
        now[0] += 20.0
        return now[0]

    monkeypatch.setattr(module.time, "monotonic", tick)
    found = tune(trials=9, budget="100s")
    assert 1 <= len(found.trials) < 9
    assert found.state == "finished"
    assert "a longer --budget goes on" in str(found)


def search(folder: Path, **keywords: Any) -> Search:
    asked = {"ranges": {"lr": Log(1e-4, 1e-1), "depth": Whole(1, 8)}, "defaults": {"lr": 1e-3, "depth": 4}, "seed": 3}
    return Search(folder / "trials.log", **{**asked, **keywords})  # type: ignore[arg-type]


def finish(of: Search, curve: Callable[[int], float]) -> str:
    trial = of.ask()
    watch = Watch(trial)
    for tenth in range(1, 11):
        if watch({"progress": tenth / 10, "monitor": curve(tenth)}):
            of.tell(trial, "pruned", watch.best, 0.1 * tenth, "run")
            return f"pruned at {tenth}"
    of.tell(trial, "complete", watch.best, 1.0, "run")
    return "complete"


def test_the_hopeless_are_stopped_and_the_hopeful_are_not(tmp_path: Path) -> None:
    of = search(tmp_path)
    ended = [finish(of, lambda tenth: 10 - tenth) for _ in range(4)]
    ended += [finish(of, lambda tenth: 20 - tenth), finish(of, lambda tenth: 9 - tenth), finish(of, lambda _: math.nan)]
    assert ended == ["complete"] * 4 + ["pruned at 4", "complete", "pruned at 4"]
    assert [t.state for t in of.done()] == ["complete"] * 4 + ["pruned", "complete", "pruned"]


def test_a_journal_cut_short_is_read_up_to_there(tmp_path: Path) -> None:
    of = search(tmp_path)
    for _ in range(3):
        finish(of, lambda tenth: 10 - tenth)
    path = tmp_path / "trials.log"
    path.write_bytes(path.read_bytes() + b'{"op_code": 5, "worker')
    again = search(tmp_path)
    assert again.done() == of.done()
    finish(again, lambda tenth: 10 - tenth)
    assert len(search(tmp_path).done()) == 4
    path.write_text("nonsense\n" * 3)
    with pytest.raises(GenloomError, match="remove its folder"):
        search(tmp_path)


def test_importance_names_what_matters(tmp_path: Path) -> None:
    of = search(tmp_path)
    for _ in range(12):
        trial = of.ask()
        of.tell(trial, "complete", abs(math.log10(trial.params["lr"]) + 2), 1.0, "run")
    found = of.importance()
    assert found["lr"] > 0.8 > 0.2 > found["depth"]


@pytest.mark.parametrize(
    ("default", "tuned", "better", "said"),
    [
        ((1.0, 1.01, 0.99), (0.5, 0.51), True, "better than the recipe as it was, beyond noise"),
        ((1.0, 1.4, 0.6), (0.9, 0.8), False, "not better beyond noise"),
        ((0.5, 0.51, 0.49), (1.0, 1.01), False, "worse than the recipe as it was"),
        ((1.0,), (0.5,), None, "is not known"),
        ((1.0,), (), None, "is not known"),
    ],
)
def test_the_verdict_is_honest(default: Any, tuned: Any, better: bool | None, said: str) -> None:
    verdict = judge(default, tuned)
    assert verdict.beyond_noise is better
    assert said in str(verdict)


def test_the_interval_is_the_textbooks() -> None:
    from scipy.stats import ttest_ind

    default, tuned = (1.0, 1.3, 1.1), (0.8, 0.9)
    verdict = judge(default, tuned)
    low, high = ttest_ind(default, tuned).confidence_interval(0.95)
    assert verdict.low == pytest.approx(low)
    assert verdict.high == pytest.approx(high)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"trials": 0}, BadValue, "--trials: expected a whole number of at least 1"),
        ({"confirm": -1}, BadValue, "--confirm: expected a number of seeds"),
        ({"budget": "100steps"}, BadValue, "the whole search has a time"),
        ({"budget": "30s", "trials": 20, "trial_budget": "auto"}, BadValue, "give --budget 43s, or --trials 14"),
        ({"budget": "1m", "trials": 20, "trial_budget": "10s"}, BadValue, "give --budget 211s, --trials 6 or"),
        ({"trial_budget": "soon"}, BadValue, "budget 'soon'"),
        ({"ranges": "config.with=1:2"}, NotFound, "unknown field --range config.with"),
        ({"ranges": "data.limit=8:16"}, BadValue, "trials could not be compared"),
        ({"ranges": "train.budget=1s,2s"}, BadValue, "trials could not be compared"),
        ({"ranges": "config.hidden=8,16"}, BadValue, "is given a value and a --range"),
        ({"ranges": "clip=0.1:1:log"}, BadValue, "--range: a logarithmic range begins above 0"),
        ({"overrides": {"budget": "5s"}}, BadValue, "--train.budget: a search is given --trial-budget instead"),
        ({"overrides": {**FIXED, "lr": 1e-3, "batch": 8}}, BadValue, "has no ranges to search beside the fields given"),
        ({"out": "tuned.json"}, BadValue, "a recipe file ends in .toml"),
        ({"data": "triangles.npy"}, NotFound, "did you mean squares.npy"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(here: Path, changes: dict[str, Any], kind: type[GenloomError], said: str) -> None:
    with pytest.raises(kind) as caught:
        tune(**changes)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not Path("runs").exists()


def test_a_recipe_without_ranges(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    monkeypatch.setitem(registry._entries, "vae-mlp", dataclasses.replace(registry.entry("vae-mlp"), ranges={}))
    with pytest.raises(BadValue, match=r"recipe 'vae-mlp' has no ranges to search: name one"):
        tune()


def test_two_processes_do_not_search_the_same(here: Path) -> None:
    from filelock import FileLock

    folder = tune(trials=1).folder
    with FileLock(folder / "lock"), pytest.raises(Busy, match="another process"):
        tune()


def test_without_optuna_one_line_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", "vae-mlp", "--data", "squares.npy"]) == 2
    assert 'pip install "genloom[tune]"' in capsys.readouterr().err


def test_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fixed = [word for path, value in FIXED.items() for word in (f"--{path}", str(value))]
    words = ["tune", "vae-mlp", "--data", "squares.npy", "--trials", "2", "--trial-budget", "4steps", "--confirm=0",
             "--range", "lr=1e-3:1e-2:log", "--range", "optimizer.clip=0,1", "--batch", "16", *fixed]  # fmt: skip
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ranges"] == {"config.optimizer.lr": "0.001:0.01:log", "config.optimizer.clip": "0,1"}
    assert found["counts"] == {"complete": 2, "pruned": 0, "failed": 0}
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "the recipe as it is" in said
    assert f"genloom train {found['file']} --data squares.npy" in said


def test_a_model_that_only_counts_is_tuned_by_what_it_thinks_of_held_out_text(here: Path) -> None:
    draws = np.random.default_rng(0)
    words = ("abca", "bcab", "cabd", "dabc")
    (here / "book.txt").write_text("".join(words[i] for i in draws.integers(0, 4, 4000)))
    found = tune(recipe="ngram", data="book.txt", trials=4, ranges="config.order=1,2,6",
                 overrides={"data.context": 32, "config.smoothing": "kneser-ney"})  # fmt: skip
    assert (found.state, found.counts["complete"]) == ("finished", 4)
    assert all(t.value is not None and t.value > 0 for t in found.trials)
    by_order = {t.values["config.order"]: t.value for t in found.trials}
    best = found.trials[found.best - 1]
    assert best.value == min(by_order.values())  # type: ignore[type-var]
    run = Run(found.folder / "runs" / best.run)
    assert run.status["best"]["value"] == best.value
