"""`genloom train`: from a recipe and data to a run directory."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue, GenloomError
from genloom.modalities.registry import modality
from genloom.verbs.opened import AnyRun, find_run, own_tokenizer
from genloom.verbs.places import check_writable
from genloom.verbs.results import Facts

if TYPE_CHECKING:
    from genloom.engine.journal import Reporter
    from genloom.engine.train import Settings
    from genloom.runs import Run

FLAGS = ("data", "budget", "seed", "runs", "name", "resume", "from", "replay", "dry_run", "size", "given")


@dataclass(frozen=True)
class Trained:
    """How a training ended. state: "finished" or "stopped"; before: the run was finished already and left as it was."""

    run: Run
    state: str
    steps: int
    items: int
    seconds: float
    before: bool = False

    def to_json(self) -> dict[str, Any]:
        """The run's path, how it ended, its best monitor and its cost."""
        status = self.run.status
        return {
            "run": str(self.run.path),
            "state": self.state,
            "steps": self.steps,
            "items": self.items,
            "seconds": self.seconds,
            "finished_before": self.before,
            "best": status.get("best"),
            "cost": status.get("cost"),
        }

    def __str__(self) -> str:
        path = self.run.path
        if self.state == "stopped":
            return f"{path}\ngo on:  genloom train --resume {path}"
        said = f"{path} is finished already: {self.steps:,} steps" if self.before else str(path)
        return f"{said}\nnext:   genloom {self._use} {path}\n        genloom evaluate {path}"

    @property
    def _use(self) -> str:
        """The verb that shows what the run can do."""
        from genloom.core import CanSample
        from genloom.models.registry import model_class

        if issubclass(model_class(self.run.config["model"]), CanSample):
            return "sample"
        items = [f["modality"] for f in self.run.config["spec"].values() if f["role"] == "item"]
        return "reconstruct" if modality(items[0]).tiled else "anomaly"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from genloom.verbs.catalogue import run

        return run(self.run)._repr_html_()


def train(
    recipe: str | None = None,
    data: Any = None,
    budget: str | None = None,
    seed: int | None = None,
    runs: str | Path = "runs",
    name: str | None = None,
    resume: AnyRun = None,
    start_from: AnyRun = None,
    replay: AnyRun = None,
    dry_run: bool = False,
    size: str | None = None,
    given: Mapping[str, AnyRun] | None = None,
    on_illness: str | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    **fields: Any,
) -> Trained | Facts:
    """Trains `recipe` on `data` for `budget` and returns the run; with `dry_run` only says what would happen.

    recipe: a recipe's name, or a recipe file ("tuned.toml").
    data: a built-in set's name, a path, or a data set of torchvision, PyTorch or Hugging Face `datasets`; budget:
    "5m", "2000steps", "1Mitems", "10epochs"; seed: 0 where the recipe does not say otherwise; size: the recipe's size
    dial. None keeps the recipe's own. overrides, fields: any field, by dotted name or its unambiguous end:
    overrides={"config.width": 64}, batch=32.
    resume: a stopped run that goes on exactly where it was; all else is taken from it, save that `data` may say where
    its data has moved. start_from: a run whose weights this one starts with; replay: a finished run that is repeated
    step for step; both lend their configuration where there is no `recipe`.
    given: finished runs that the model stands on, by role: {"autoencoder": 1}. They are copied into the run.
    on_illness: what follows what the watch finds: "warn", "stop", "repair" or "off".
    Raises GenloomError in one line; a run that fails before its first checkpoint leaves no directory.
    """
    values = {**(overrides or {}), **fields}
    if on_illness is not None:
        values["on_illness"] = on_illness
    if resume is not None:
        more = {"budget": budget, "seed": seed, "name": name, "from": start_from, "replay": replay, "size": size}
        more |= {"given": given}
        return _resume(find_run(resume, runs), recipe, data, {**more, **values}, dry_run, reporter)
    from genloom import data as sets
    from genloom.engine.train import check, create_run, plan

    source = find_run(start_from, runs) if start_from is not None else None
    repeated = find_run(replay, runs) if replay is not None else None
    partners = {role: find_run(run, runs) for role, run in (given or {}).items()}
    like = source or repeated
    settings = settled(recipe, data, budget, seed, size, values, source or repeated)
    settings = _spoken(settings, source, partners, values)
    check(settings.train)
    if not dry_run:
        check_writable(Path(runs), "--runs")
    dataset = sets.load(settings.data)
    if dry_run:
        return _planned(plan(settings, dataset, partners, like), dataset.notes)
    reporter = reporter or _reporter()
    for note in (*dataset.notes, *_other_data(partners, dataset)):
        reporter.say(f"{dataset.name}: {note}")
    run = create_run(runs, settings, dataset, name, partners, like)
    return _play(run, dataset, reporter, source, repeated)


def _spoken(settings: Settings, source: Run | None, partners: Mapping[str, Run], values: Mapping[str, Any]) -> Settings:
    """The settings with the tokenizer of the run whose weights, or of the first partner whose texts, are gone on with:
    with another one its tokens would mean something else."""
    if any(name.endswith("tokenizer") for name in values):
        return settings
    for run in (source, *partners.values()):
        if run is not None and run.makes_texts:
            return replace(settings, data=replace(settings.data, tokenizer=str(run.path.absolute())))
    return settings


def _other_data(partners: Mapping[str, Run], dataset: Any) -> list[str]:
    """What to say of partners that were trained on other data."""
    notes = []
    for role, run in partners.items():
        theirs = run.config["dataset"]
        if theirs["digest"] != dataset.digest:
            notes.append(
                f"the {role} {run.path} was trained on other data ({theirs['name']} {theirs['digest'][:8]}, here "
                f"{dataset.digest[:8]}): what it does not know cannot be drawn, and it may have seen what is held out"
            )
    return notes


def settled(
    recipe: str | None,
    data: Any = None,
    budget: str | None = None,
    seed: int | None = None,
    size: str | None = None,
    overrides: Mapping[str, Any] = {},
    other: Run | None = None,
) -> Settings:
    """What `train` would train with: the recipe (or another run's settings) and what is to be different. Raises
    NotFound, BadValue."""
    base = _settings(recipe, size, other)
    if data is None or isinstance(data, str | os.PathLike):
        return _override(base, overrides, {"data.source": data, "train.budget": budget, "train.seed": seed})
    from genloom.data.foreign import source_of

    made = _override(base, overrides, {"train.budget": budget, "train.seed": seed})
    return replace(made, data=replace(made.data, source=source_of(data, made.data)))


def _resume(
    run: Run,
    recipe: str | None,
    data: Any,
    given: Mapping[str, Any],
    dry_run: bool,
    reporter: Reporter | None,
) -> Trained | Facts:
    from genloom import data as sets
    from genloom.data.foreign import source_of
    from genloom.engine.train import plan, settings_of
    from genloom.recipes import files

    settings = settings_of(run)
    surplus = [k for k, v in given.items() if v is not None]
    if recipe is not None and files.resolve(recipe)[0] != settings.recipe:
        raise BadValue(f"{run.path} was made with recipe {settings.recipe!r}, not {recipe!r}: leave the recipe out")
    if surplus:
        raise BadValue(
            f"--{surplus[0]} cannot be given with --resume, which takes everything from {run.path}; "
            f"for a new run from its weights: genloom train --from {run.path}"
        )
    status = run.status
    if status.get("state") == "finished" and not dry_run:
        return Trained(run, "finished", status["step"], status["items"], status["seconds"], before=True)
    if data is not None:
        settings = replace(settings, data=replace(settings.data, source=_place(source_of(data, settings.data))))
    dataset = sets.load(own_tokenizer(run, settings.data))
    if dry_run:
        return _planned(plan(settings, dataset, like=run), dataset.notes)
    return _play(run, dataset, reporter or _reporter(), None, None)


def _settings(recipe: str | None, size: str | None, other: Run | None) -> Settings:
    from genloom.engine.train import Settings, settings_of
    from genloom.recipes import files, registry

    if recipe is not None:
        name, made = files.resolve(recipe, None if size is None else str(size))
        origin = "" if name == recipe else str(Path(recipe).expanduser().absolute())
        return Settings(name, made.model, made.config, made.data, made.train, recipe_file=origin)
    if other is None:
        names = ", ".join(e.name for e in registry.entries())
        raise BadValue(f"`genloom train` needs a recipe: one of {names} (see `genloom recipes`)")
    if size is not None:
        raise BadValue("--size goes with a recipe; without one the configuration is the other run's")
    return settings_of(other)


def _override(settings: Settings, values: Mapping[str, Any], named: Mapping[str, Any]) -> Settings:
    from genloom.recipes import registry

    recipe = registry.Recipe(settings.model, settings.config, settings.data, settings.train)
    chosen = dict(values)
    for path, value in named.items():
        if value is None:
            continue
        if chosen.get(path, value) != value:
            flag = {"data.source": "data"}.get(path, path.rpartition(".")[2])
            raise BadValue(f"--{flag} and --{path} say different things: keep one")
        chosen[path] = os.fspath(value) if isinstance(value, os.PathLike) else value
    recipe = registry.override(recipe, chosen, flags=FLAGS, see=f"genloom train {settings.recipe} --help")
    data = replace(recipe.data, source=_place(recipe.data.source))
    return replace(settings, config=recipe.config, data=data, train=recipe.train)


def _place(source: str) -> str:
    """A path as an absolute one, so that the run can be resumed from anywhere; a built-in set's name as it is."""
    from genloom import data as sets
    from genloom.data.foreign import is_foreign, placed

    if is_foreign(source):
        return placed(source)
    if source in sets.catalogue() or not Path(source).expanduser().exists():
        return source
    return str(Path(source).expanduser().absolute())


def _reporter() -> Reporter:
    from genloom.engine.journal import Reporter

    return Reporter(sys.stderr if os.environ.get("RANK", "0") == "0" else None)


def _play(run: Run, dataset: Any, reporter: Reporter, source: Run | None, repeated: Run | None) -> Trained:
    from genloom.engine.distributed import World
    from genloom.engine.train import device_of, settings_of
    from genloom.engine.train import train as play
    from genloom.engine.trainer import TooShort

    try:
        outcome = play(run, dataset, start_from=source, replay=repeated, reporter=reporter)
    except (GenloomError, KeyboardInterrupt) as error:
        if (not run.checkpoints() or isinstance(error, TooShort)) and os.environ.get("RANK", "0") == "0":
            run.remove()  # nothing was learnt yet: leave nothing half-made behind
        raise
    World.join(device_of(settings_of(run).train)).leave()
    return Trained(run, outcome.state, outcome.steps, outcome.items, outcome.seconds, outcome.before)


def _planned(plan: Mapping[str, Any], notes: tuple[str, ...]) -> Facts:
    """A dry run's answer: every field with its value, then what was decided and why."""
    from genloom.recipes.fields import shown

    facts = [(path, shown(value)) for path, value in _flat({k: plan[k] for k in ("config", "data", "train")})]
    parameters = ", ".join(f"{name} {count:,}" for name, count in plan["parameters"].items())
    facts += [
        ("model", plan["model"]),
        ("device", f"{plan['device']} ({plan['device_reason']})"),
        ("precision", f"{plan['precision']} ({plan['precision_reason']})"),
        ("parameters", parameters),
        ("items", ", ".join(f"{count:,} {name}" for name, count in plan["items"].items())),
        ("expected steps", plan["expected_steps"]),
    ]
    return Facts(
        f"dry run of {plan['recipe']}: nothing is trained", tuple(facts), {**plan, "notes": list(notes)}, notes
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(prefix + key, value)]
    return pairs
