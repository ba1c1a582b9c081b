"""The doors of the engine: make a run, train it (from the start or from where it stopped), say what would happen."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from genloom import __version__
from genloom.core import Model, config_from_json, config_to_json, derive_seed, spec_to_json
from genloom.data import Dataset
from genloom.data.options import DataOptions
from genloom.engine import checkpoint, moments
from genloom.engine import given as standing_on
from genloom.engine.budget import Budget, Clock, Interval, parse_budget
from genloom.engine.condensed import condensed
from genloom.engine.distributed import World
from genloom.engine.game import Game, Moment, seeded
from genloom.engine.journal import Reporter, duration
from genloom.engine.memory import keep_freed_memory
from genloom.engine.optim import PlayerOptimizer
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan, arrange, choose, compile_networks, processor
from genloom.engine.repair import drop_stale
from genloom.engine.trainer import Trainer
from genloom.errors import BadData, BadValue, Damaged, GenloomError, Storage
from genloom.models.registry import model_class
from genloom.runs import Run


@dataclass(frozen=True)
class Settings:
    """What config.json says, as objects. recipe, model: names; config: the model's Config; recipe_file: the
    file that a new run's recipe was read from, if any."""

    recipe: str
    model: str
    config: Any
    data: DataOptions
    train: TrainOptions
    recipe_file: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a training call ended. state: "finished" or "stopped"; before: it was finished already."""

    run: Run
    state: str
    steps: int
    items: int
    seconds: float
    before: bool = False


def settings_of(run: Run) -> Settings:
    """The settings a run was made with. Raises Damaged, NotFound for models that are not installed."""
    c = run.config
    try:
        cls = model_class(c["model"])
        return Settings(
            recipe=c["recipe"],
            model=c["model"],
            config=config_from_json(cls.Config, c["config"], f"{run.path}/config.json"),
            data=config_from_json(DataOptions, c["data"], f"{run.path}/config.json"),
            train=config_from_json(TrainOptions, c["train"], f"{run.path}/config.json"),
        )
    except (KeyError, TypeError, ValueError) as e:
        raise Damaged(f"{run.path}/config.json was edited or cut short ({e}): restore it or train again") from e


def check(options: TrainOptions) -> Budget:
    """The budget of some options, all of which are checked. Raises BadValue."""
    budget = parse_budget(options.budget)
    for every in (options.checkpoint_every, options.validate_every, options.preview_every):
        Interval.parse(every)
    moments.check(options.moments)
    if options.batch < 1:
        raise BadValue(f"train.batch {options.batch}: expected 1 or more items a step")
    if not 0.0 <= options.ema < 0.28:
        raise BadValue(f"train.ema {options.ema}: expected 0 (none) or a width between 0 and 0.28, such as 0.10")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise BadValue("train.device cuda: this machine or this build of torch has no CUDA device; use cpu or auto")
    return budget


def device_of(options: TrainOptions) -> torch.device:
    """Where to train."""
    if options.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def build(name: str, config: Any, dataset: Dataset, seed: int, given: Mapping[str, Model] = {}) -> Model:
    """A model with its first weights, which depend on the seed alone. Raises BadData where the data does not fit."""
    standing_on.require(model_class(name), name, given)
    with seeded(derive_seed(seed, "init"), torch.device("cpu")):
        return model_class(name)(config, dataset.spec, given)


def create_run(
    root: Path | str,
    settings: Settings,
    dataset: Dataset,
    name: str | None = None,
    given: Mapping[str, Run] = {},
    like: Run | None = None,
) -> Run:
    """A new run directory that holds everything training needs to know. Raises BadValue, Storage, BadData.

    given: finished runs this one's model stands on, by role; like: a run of the same model whose partners it takes
    where none are given.
    """
    check(settings.train)
    world = World.join(device_of(settings.train))
    path = ""
    if world.leads:
        taken = _partners(settings, given, like)
        build(settings.model, settings.config, dataset, settings.train.seed, taken)  # a misfit leaves no directory
        run = Run.create(root, settings.recipe, name=name, config={
            "genloom": __version__,
            "recipe": settings.recipe,
            **({"recipe_file": settings.recipe_file} if settings.recipe_file else {}),
            "model": settings.model,
            "config": config_to_json(settings.config),
            "data": config_to_json(settings.data),
            "train": config_to_json(settings.train),
            "spec": spec_to_json(dataset.spec),
            "dataset": {"name": dataset.name, "digest": dataset.digest, "items": dataset.train.items,
                        "card": asdict(dataset.card), "notes": list(dataset.notes)},
        })  # fmt: skip
        try:
            standing_on.attach(run, given)
            if like is not None and _lends(like, settings, given):
                standing_on.attach_same(run, like)
        except GenloomError:
            run.remove()
            raise
        if dataset.tokenizer is not None:
            run.write("tokenizer.json", dataset.tokenizer.to_json())
        path = str(run.path)
    return Run(Path(world.agree_text(path)))


def _lends(like: Run, settings: Settings, given: Mapping[str, Run]) -> bool:
    """Whether a new run takes the partners of the run `like`: where it names none, and is of the same model."""
    return not given and like.config["model"] == settings.model


def _partners(settings: Settings, given: Mapping[str, Run], like: Run | None = None) -> dict[str, Model]:
    """The frozen models that a new run will stand on. Raises BadValue, NotFound, BadData where they do not suit."""
    if like is not None and _lends(like, settings, given):
        return standing_on.partners(like)
    standing_on.check(model_class(settings.model), settings.model, given)
    return standing_on.borrowed(given)


def environment(plan: Plan, device: torch.device, world: World) -> dict[str, Any]:
    """What the run ran on."""
    return {
        "genloom": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": processor(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "processes": world.size,
        "plan": asdict(plan),
    }


def _plan(model: Model, dataset: Dataset, settings: Settings, device: torch.device, budget: Budget) -> Plan:
    if not model.phases():
        return Plan(reason="nothing to measure", threads=torch.get_num_threads())
    games: dict[int, Game] = {}

    def play(trial: Model, plan: Plan) -> float:
        game = games.get(id(trial))
        if game is None:
            games.clear()
            trial.train()
            game = games[id(trial)] = Game(trial, dataset.train, settings.data, settings.train, plan, device, World())
        values = game.step(Moment(0, 0.0, rate_scale=0.0))
        return next(iter(values.values()))

    seconds = budget.amount if budget.kind == "seconds" else None
    key = [settings.model, config_to_json(settings.config), spec_to_json(dataset.spec), settings.train.batch]
    steps = _steps(budget, dataset, settings.train)
    options = settings.train
    if options.on_illness == "repair" and options.compile == "auto" and len(model.players()) > 1:
        options = replace(options, compile="off")  # a compiled discriminator's gradient cannot be penalised later
    return choose(model, play, options, device, seconds, steps, key)


def _steps(budget: Budget, dataset: Dataset, options: TrainOptions) -> int | None:
    """The steps a budget holds on this data, or None where it counts seconds."""
    items = dataset.train.items
    return budget.steps(min(options.batch, items), items, options.last_batch == "keep")


def plan(
    settings: Settings, dataset: Dataset, given: Mapping[str, Run] = {}, like: Run | None = None
) -> dict[str, Any]:
    """What `train` would do, for --dry-run: resolved settings, device and precision with reasons, sizes, steps."""
    budget, device = check(settings.train), device_of(settings.train)
    taken = _partners(settings, given, like)
    model = build(settings.model, settings.config, dataset, settings.train.seed, taken).to(device)
    started = time.perf_counter()
    chosen = _plan(model, dataset, settings, device, budget)
    steps = _steps(budget, dataset, settings.train)
    expected = f"{steps:,}" if steps is not None else f"as many as {duration(budget.amount)} hold"
    return {
        "recipe": settings.recipe,
        "model": settings.model,
        "config": config_to_json(settings.config),
        "data": config_to_json(settings.data),
        "train": config_to_json(settings.train),
        "device": str(device),
        "device_reason": "a CUDA device is present" if device.type == "cuda" else "asked for"
        if settings.train.device == "cpu" else "no CUDA device here",
        "precision": str(chosen),
        "precision_reason": chosen.reason,
        "probe_seconds": round(time.perf_counter() - started, 2),
        "parameters": {p.name: sum(q.numel() for q in PlayerOptimizer(model, p).parameters) for p in model.players()},
        "items": {"train": dataset.train.items, "validation": dataset.validation.items, "test": dataset.test.items},
        "steps": steps,
        "expected_steps": expected,
    }  # fmt: skip


def train(
    run: Run,
    dataset: Dataset,
    *,
    start_from: Run | None = None,
    replay: Run | None = None,
    reporter: Reporter | None = None,
    watch: Callable[[Mapping[str, float]], bool] | None = None,
) -> Outcome:
    """Trains a run until its budget is spent; goes on from its newest checkpoint where it has one.

    A finished run is left as it is. start_from: another run whose averaged weights this one starts with.
    replay: a finished run whose clock this one follows step for step. watch: is told "progress" and "monitor" whenever
    the monitor was measured, and returns True to stop the run.
    Raises Busy, Damaged, BadData (other data than the run began with), Storage, Diverged.
    """
    started = time.monotonic()
    settings, reporter = settings_of(run), reporter or Reporter()
    budget, device = check(settings.train), device_of(settings.train)
    world = World.join(device)
    if not world.leads:
        reporter = Reporter(None)
    status = run.status
    if status.get("state") == "finished":
        return Outcome(run, "finished", status["step"], status["items"], status["seconds"], before=True)
    known = run.config["dataset"]["digest"]
    if known != dataset.digest:
        raise BadData(
            f"the data changed since {run.path} began ({known[:8]} then, {dataset.digest[:8]} now): "
            "bring the old data back, or train a new run"
        )
    with run.lock() if world.leads else contextlib.nullcontext():
        try:
            return _train(run, dataset, settings, budget, device, world, reporter, started, start_from, replay, watch)
        except GenloomError as e:
            if world.leads:
                _mark_failed(run, e)
            raise
        except BaseException as e:
            if world.leads:
                _mark_failed(run, e if isinstance(e, Exception) else "interrupted")
            raise


def _mark_failed(run: Run, why: object) -> None:
    with contextlib.suppress(Storage):  # a disk that refused the checkpoint refuses this too
        run.set_status(state="failed", error=str(why))


def _train(
    run: Run,
    dataset: Dataset,
    settings: Settings,
    budget: Budget,
    device: torch.device,
    world: World,
    reporter: Reporter,
    started: float,
    start_from: Run | None,
    replay: Run | None,
    watch: Callable[[Mapping[str, float]], bool] | None,
) -> Outcome:
    options = settings.train
    if device.type == "cpu":
        keep_freed_memory()
    if world.leads:
        drop_stale(run)
        for line in replay.repairs() if replay is not None and not run.repairs() else []:
            run.append_repair(line)
    world.barrier()
    found = run.checkpoints()
    given = standing_on.partners(run)
    model = build(settings.model, settings.config, dataset, options.seed, given).to(device)
    if start_from is not None and not found:
        reporter.say(_start_from(model, start_from, standing_on.theirs(model, given)))
    begun = time.monotonic()
    split = condensed(model, dataset.train, dataset.options, device)
    if split is not dataset.train:
        reporter.say(f"what {settings.model} needs of {split.items:,} items was computed once, in "
                     f"{duration(time.monotonic() - begun)}")  # fmt: skip
    short = replace(dataset, train=split)
    plan = _agreed_plan(run, model, short, settings, budget, device, world, replay, bool(found))
    torch.set_num_threads(plan.threads)
    arrange(model, plan)
    if plan.compile:
        compile_networks(model)
    clock = _clock(run, model, dataset, options, budget, started, replay)
    trainer = Trainer(model, dataset, options, run, plan, clock, device, world, reporter, split)
    if trainer.health is not None:
        trainer.health.fresh = start_from is None
    trainer.watch = watch
    if found:
        trainer.restore(found[-1])
        if world.leads:
            run.cut_metrics(found[-1])
        reporter.say(f"resumed {run.path} at step {found[-1]:,} ({clock.progress(found[-1]):.0%})")
    if world.leads:
        if not found:
            run.write("environment.json", environment(plan, device, world))
        run.set_status(state="running")
        count = sum(p.numel() for p in model.parameters())
        shown = f"{count / 1e6:.2f}M" if count >= 1e5 else f"{count:,}"
        reporter.say(f"{run.path}: {settings.recipe}, {shown} parameters, {dataset.train.items:,} items, "
                     f"{budget.text}, {device} {plan} ({plan.reason})")  # fmt: skip
    state = trainer.train()
    if world.leads:
        done = f"{state} at step {trainer.step:,} after {duration(clock.elapsed())}, {trainer.items:,} items"
        reporter.say(done if state == "finished" else f"{done}; go on with: genloom train --resume {run.path}")
    return Outcome(run, state, trainer.step, trainer.items, clock.elapsed())


def _agreed_plan(
    run: Run,
    model: Model,
    dataset: Dataset,
    settings: Settings,
    budget: Budget,
    device: torch.device,
    world: World,
    replay: Run | None,
    resumed: bool,
) -> Plan:
    """The plan a resumed or replayed run had, or a new one, the same in all processes."""
    text = ""
    if world.leads:
        earlier = run if resumed else replay
        recorded: Mapping[str, Any] | None = earlier.environment.get("plan") if earlier else None
        plan = Plan(**recorded) if recorded else _plan(model, dataset, settings, device, budget)
        text = json.dumps(asdict(plan))
    return Plan(**json.loads(world.agree_text(text)))


def _clock(
    run: Run, model: Model, dataset: Dataset, options: TrainOptions, budget: Budget, started: float, replay: Run | None
) -> Clock:
    found = run.checkpoints()
    state = checkpoint.read_state(run, found[-1]) if found else None
    elapsed = state["clock"]["elapsed"] if state else 0.0
    if replay is not None or (state and state["clock"].get("replay")):
        knots = state["clock"]["knots"] if state else _knots(replay)
        return Clock(knots=knots, replay=True, elapsed=elapsed, started=started)
    if not model.phases():
        return Clock(total=0, elapsed=elapsed, started=started)
    total = _steps(budget, dataset, options)
    if total is not None:
        return Clock(total=total, elapsed=elapsed, started=started)
    # fitting a prior and the last samples take their time out of the budget too
    finishes = type(model).finish is not Model.finish
    reserve = min(15.0, max(min(3.0, 0.3 * budget.amount), 0.05 * budget.amount)) if finishes else 0.01 * budget.amount
    knots = [k for k in state["clock"]["knots"] if k[0] <= found[-1]] if state else None
    alone = int(os.environ.get("WORLD_SIZE", "1")) == 1
    return Clock(seconds=budget.amount, reserve=reserve, knots=knots, elapsed=elapsed, started=started, alone=alone)


def _knots(replay: Run | None) -> list[tuple[int, float, int]]:
    assert replay is not None
    if replay.status.get("state") != "finished":
        raise BadValue(f"{replay.path} is not finished: only a finished run can be replayed; resume it first")
    return checkpoint.read_state(replay, replay.checkpoints()[-1])["clock"]["knots"]


def _start_from(model: Model, source: Run, kept: set[str] = set()) -> str:
    """Copies the weights of another run that fit by name and shape, save those `kept`. Raises BadData where there are
    none."""
    _, theirs = standing_on.finished_weights(source)
    ours = model.state_dict()
    fitting = {k: t for k, t in theirs.items() if k in ours and k not in kept and ours[k].shape == t.shape}
    if not fitting:
        raise BadData(
            f"no weight of {source.path} fits this model by name and shape: start from a run of the same model"
        )
    model.load_state_dict({**ours, **fitting})
    return f"{len(fitting)} of {len(ours)} tensors taken from {source.path}"
