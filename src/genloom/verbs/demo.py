"""`genloom demo`: the main job once, on real data that the installation carries, and a report of it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.verbs.places import check_writable
from genloom.verbs.report import check_page
from genloom.verbs.train import Trained, train

if TYPE_CHECKING:
    from genloom.engine.journal import Reporter
    from genloom.runs import Run

SHOW = (("vae", "mnist"), ("r3gan", "mnist"), ("flow", "mnist"), ("gpt", "python-stdlib"))


@dataclass(frozen=True)
class Shown:
    """What the demo leaves: the report (None where it was stopped before) and the runs behind it."""

    report: Path | None
    runs: tuple[Run, ...]
    seconds: float
    again: str

    def to_json(self) -> dict[str, Any]:
        """Where everything is."""
        report = None if self.report is None else str(self.report)
        return {"report": report, "runs": [str(r.path) for r in self.runs], "seconds": self.seconds}

    def __str__(self) -> str:
        if self.report is None:
            return f"stopped, everything is saved\ngo on:  {self.again}"
        return f"{self.report}\nopen it in a browser; it needs no network"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return str(self) if self.report is None else f'<a href="{self.report}">{self.report}</a>'


def demo(budget: str = "60s", seed: int = 0, runs: str | Path = "demo", out: str | Path = "report.html") -> Shown:
    """Trains a VAE, a GAN and a flow on handwritten digits and a GPT on Python's standard library, each for `budget`,
    samples and evaluates them, and writes the report `out`. Finished runs in `runs` are kept, stopped ones go on.

    Raises BadValue where `runs` holds runs of another budget or seed, Storage where nothing can be written.
    """
    from genloom.engine.budget import parse_budget
    from genloom.engine.journal import Reporter, duration

    started = time.monotonic()
    parse_budget(budget)
    out = check_page(out)
    check_writable(Path(runs), "--runs")
    again = f"genloom demo --budget {budget} --seed {seed} --runs {runs} --out {out}"
    say = Reporter(sys.stderr)
    finished: list[Run] = []
    for recipe, _ in SHOW:
        _check(_run_at(runs, recipe), budget, seed)
    for i, (recipe, data) in enumerate(SHOW):
        reporter = Reporter(sys.stderr, f"[{i + 1}/{len(SHOW)}] ")
        trained = _train(recipe, data, budget, seed, runs, reporter)
        finished.append(trained.run)
        if trained.state != "finished":
            return Shown(None, tuple(finished), round(time.monotonic() - started, 1), again)
    path = _write(out, finished, seed, again, say)
    say.say(f"done in {duration(time.monotonic() - started)}")
    return Shown(path, tuple(finished), round(time.monotonic() - started, 1), again)


def _run_at(runs: str | Path, recipe: str) -> Run:
    from genloom.runs import Run

    return Run(Path(runs) / recipe)


def _check(run: Run, budget: str, seed: int) -> None:
    """Raises BadValue where the run is there, but of another budget or seed."""
    from genloom.engine.train import settings_of

    if (run.path / "config.json").is_file():
        train = settings_of(run).train
        if (train.budget, train.seed) != (budget, seed):
            raise BadValue(
                f"{run.path} was made with budget {train.budget} and seed {train.seed}, not {budget} and {seed}: "
                "choose another --runs"
            )


def _train(recipe: str, data: str, budget: str, seed: int, runs: str | Path, reporter: Reporter) -> Trained:
    run = _run_at(runs, recipe)
    if (run.path / "config.json").is_file():
        done = train(resume=run, reporter=reporter)
        if isinstance(done, Trained) and done.before:
            reporter.say(f"{run.path} is finished already")
    else:
        done = train(recipe, data=data, budget=budget, seed=seed, runs=runs, name=recipe, reporter=reporter)
    assert isinstance(done, Trained)  # a dry run was not asked for
    return done


def _write(out: Path, runs: list[Run], seed: int, again: str, reporter: Reporter) -> Path:
    from genloom.report.write import write_report
    from genloom.verbs.report import gather

    return write_report(gather(runs, "genloom demo", again, seed=seed, say=reporter), out)
