"""The work of a comparison, run by run: every contestant with the first seed, then with the next, so that one that is
interrupted has something fair to say. What was trained or measured before is kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.compare import play
from genloom.compare.board import complete_seeds
from genloom.compare.measure import curve, figures, value_of
from genloom.core import CanSample, the_class
from genloom.engine.load import load
from genloom.engine.train import create_run
from genloom.errors import BadData, BadValue, GenloomError
from genloom.metrics.base import Result, comparable
from genloom.metrics.drawing import NotFinite
from genloom.models.registry import model_class
from genloom.runs import Run, write_json
from genloom.verbs.look import _family
from genloom.verbs.opened import listens
from genloom.verbs.results import finite

if TYPE_CHECKING:
    from genloom.compare.plan import Contestant, Plan
    from genloom.data import Dataset
    from genloom.engine.journal import Reporter

FILE = "comparison.json"


class Stopped(Exception):
    """Training was asked to stop."""


def rounds(
    plan: Plan, datasets: Mapping[str, Dataset], folder: Path, record: dict[str, Any], say: Reporter
) -> Iterator[dict[str, Any]]:
    """Trains and measures what is missing, seed by seed; yields the record whenever a seed is complete."""
    jobs = [(c, seed) for seed in plan.seeds for c in plan.contestants]
    there = {(e["contestant"], e["seed"]) for e in record["runs"]}
    left = [job for job in jobs if (job[0].word, job[1]) not in there]
    complete = complete_seeds(record)
    for c, seed, run, played in _trained(plan, datasets, folder, left, len(jobs), say):
        entry = _entry(plan, c, seed, run, played, say)
        runs = [*record["runs"], entry]
        order = {(job[0].word, job[1]): i for i, job in enumerate(jobs)}
        record = {**record, "runs": sorted(runs, key=lambda e: order[e["contestant"], e["seed"]])}
        _check_comparable(record)
        write_json(folder / FILE, finite(record))
        if (now := complete_seeds(record)) != complete:
            complete = now
            if len(now) < len(plan.seeds):
                yield record
    yield record


def _trained(
    plan: Plan, datasets: Mapping[str, Dataset], folder: Path, jobs: Sequence[tuple[Contestant, int]], total: int,
    say: Reporter,
) -> Iterator[tuple[Contestant, int, Run, play.Played]]:  # fmt: skip
    """Every job with its run, trained. Raises Stopped, or GenloomError where a run could not be trained."""
    if plan.engine == "ray":
        from genloom.compare.cluster import play_all

        made = {_made(c, seed, datasets[c.label], folder).path: (c, seed) for c, seed in jobs}
        for path, played in play_all(list(made), plan.workers) if made else ():
            c, seed = made[path]
            say.say(f"{path.name}: {played.state or played.error}")
            yield c, seed, Run(path), _checked(c, seed, played)
        return
    for i, (c, seed) in enumerate(jobs):
        run = _made(c, seed, datasets[c.label], folder)
        prefix = f"[{total - len(jobs) + i + 1}/{total}] "
        finished = run.status.get("state") == "finished"
        played = play.Played("finished") if finished else play.apart(run.path, prefix)
        yield c, seed, run, _checked(c, seed, played)


def _made(c: Contestant, seed: int, dataset: Dataset, folder: Path) -> Run:
    """The run directory of a contestant and seed, made where it is not there yet."""
    name = f"{c.label}-s{seed}"
    path = folder / "runs" / name
    if (path / "config.json").is_file():
        return Run(path)
    shutil.rmtree(path, ignore_errors=True)  # what an interruption left before its configuration was written
    settings = replace(c.settings, train=replace(c.settings.train, seed=seed))
    return create_run(folder / "runs", settings, dataset, name)


def _checked(c: Contestant, seed: int, played: play.Played) -> play.Played:
    """Passes on what can be ranked: a run that finished or diverged. Raises Stopped or GenloomError for the rest."""
    if played.state == "stopped":
        raise Stopped
    if played.error and played.kind != "Diverged":
        kind = BadValue if played.kind in ("TooShort", "BadValue") else GenloomError
        raise kind(f"{c.word}, seed {seed}: {played.error}")
    return played


def _entry(plan: Plan, c: Contestant, seed: int, run: Run, played: play.Played, say: Reporter) -> dict[str, Any]:
    """A run as the record keeps it."""
    status = run.status
    entry: dict[str, Any] = {
        "contestant": c.word,
        "seed": seed,
        "run": run.name,
        "family": _family(model_class(c.settings.model).__module__),
        "step": status.get("step"),
        "items": status.get("items"),
        "seconds": status.get("seconds"),
        "cost": status.get("cost") or {},
        "parameters": None,
        "by_class": False,
        "evaluation": {},
        "curve": [],
        "failed": played.error,
    }
    if played.error:
        return entry
    begun = time.monotonic()
    say.tick(f"{run.name}: measuring")
    try:
        entry |= {"evaluation": dict(figures(run, plan)), "curve": curve(run, plan), **_model(run)}
    except NotFinite as error:  # trained to the end, and draws nothing that could be measured
        say.say(f"{run.name}: {error}")
        return {**entry, "failed": str(error)}
    took = time.monotonic() - begun
    figure = value_of(entry["evaluation"], plan.key)
    shown = "" if figure is None or figure["value"] is None else f"{figure['name']} {figure['value']:.4g}, "
    say.say(f"{run.name}: {shown}measured in {took:.0f} s")
    return entry


def _model(run: Run) -> dict[str, Any]:
    """How many parameters the model has, and whether it draws by class."""
    loaded = load(run)
    label = the_class(loaded.spec)
    by_class = label is not None and isinstance(loaded.model, CanSample) and listens(loaded, label[0])
    return {"parameters": sum(p.numel() for p in loaded.model.parameters()), "by_class": by_class}


def _check_comparable(record: Mapping[str, Any]) -> None:
    """Raises BadData where the distances of two runs must not stand side by side, with the reason and the cure."""
    found = [r for e in record["runs"] for r in e["evaluation"].get("results", ()) if r["key"].split(":")[-1] == "fd"]
    first = {r["key"]: r for r in reversed(found)}  # of each collection by itself
    for other in found:
        try:
            comparable(Result.from_json(first[other["key"]]), Result.from_json(other))
        except BadValue as error:
            raise BadData(
                f"{error}. Here: delete evaluation.json and curve.json of the older runs and comparison.json, and "
                "give the same command again"
            ) from None
