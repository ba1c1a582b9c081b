"""What is asked of a search, checked before any work begins: its trials, their budget, and what it may try."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from genloom.compare.trials import MOMENTS
from genloom.errors import BadValue
from genloom.recipes import fields, ranges, registry

if TYPE_CHECKING:
    from genloom.data import Dataset
    from genloom.engine.train import Settings

SHORTEST = 2.0
"""Seconds below which a trial says nothing."""
SPARE = 0.05
"""Share of the whole time that goes into making and starting runs."""
TUNABLE = ("train.batch", "train.ema", "train.last_batch", "train.precision")
"""What may be tried beside the model's own configuration; anything else changes what is measured or what it costs."""


@dataclass(frozen=True)
class Asked:
    """trials, seconds for everything, and runs with other seeds of each of the two that are compared at the end."""

    trials: int
    seconds: float
    confirm: int


def seconds_of(budget: str) -> float:
    from genloom.engine.budget import parse_budget

    parsed = parse_budget(budget)
    if parsed.kind != "seconds":
        raise BadValue(f"--budget {budget}: the whole search has a time, such as 30m; --trial-budget may count steps")
    return parsed.amount


def confirmations(confirm: int) -> int:
    if isinstance(confirm, bool) or not isinstance(confirm, int) or confirm < 0:
        raise BadValue(f"--confirm: expected a number of seeds, 0 or more, got {confirm!r}")
    return confirm


def share_of(text: str, asked: Asked) -> str:
    """The budget of one trial. Raises BadValue where the whole is too short, with what would do."""
    from genloom.engine.budget import parse_budget
    from genloom.engine.journal import duration

    count = asked.trials + 2 * asked.confirm
    if text == "auto":
        each = (1 - SPARE) * asked.seconds / count
        if each < SHORTEST:
            needed = math.ceil(SHORTEST * count / (1 - SPARE))
            fewer = int((1 - SPARE) * asked.seconds / SHORTEST) - 2 * asked.confirm
            other = f", or --trials {fewer}" if fewer >= 2 else ""
            raise BadValue(
                f"{asked.trials} trials and {2 * asked.confirm} runs to confirm leave {each:.2g} s each of "
                f"{duration(asked.seconds)}, and below {SHORTEST:g} s a trial says nothing: "
                f"give --budget {needed}s{other}"
            )
        return f"{each:.3g}s"
    parsed = parse_budget(text)
    if parsed.kind == "seconds" and parsed.amount * asked.trials > asked.seconds:
        fits = int(asked.seconds / parsed.amount)
        other = f", --trials {fits}" if fits >= 1 else ""
        raise BadValue(
            f"{asked.trials} trials of {text} take {duration(parsed.amount * asked.trials)}, longer than the budget of "
            f"{duration(asked.seconds)}: give --budget {math.ceil(parsed.amount * count / (1 - SPARE))}s{other} or a "
            "shorter --trial-budget"
        )
    return parsed.text


def refuse_fixed(settings: Settings, given: Mapping[str, Any]) -> None:
    recipe = registry.Recipe(settings.model, settings.config, settings.data, settings.train)
    paths = [i.path for i in fields.leaves(recipe)]
    cures = {"train.budget": "--trial-budget", "train.seed": "--seed", "data.source": "--data"}
    for name in given:
        if (path := fields.resolve(name, paths)) in cures:
            raise BadValue(f"--{path}: a search is given {cures[path]} instead")


def searched(settings: Settings, given: Mapping[str, Any], own: str | Mapping[str, Any]) -> dict[str, ranges.Range]:
    """What is searched: the recipe's ranges and the person's, without the fields that were given a value, each widened
    to hold the value it starts from. Raises BadValue, NotFound."""
    recipe = registry.Recipe(settings.model, settings.config, settings.data, settings.train)
    infos = {i.path: i for i in fields.leaves(recipe)}
    fixed = {fields.resolve(name, infos) for name in given}
    asked = ranges.given(list(infos.values()), own)
    for path in asked:
        if path in fixed:
            raise BadValue(f"--{path} is given a value and a --range: keep one")
        if not path.startswith("config.") and path not in TUNABLE:
            raise BadValue(
                f"--range {path}: trials could not be compared, since it changes what is measured or what a trial "
                f"costs; beside config.* there are {', '.join(TUNABLE)}"
            )
    declared = registry.entry(settings.recipe).ranges
    merged = {path: w for path, w in {**declared, **asked}.items() if path not in fixed}
    if not merged:
        raise BadValue(
            f"recipe {settings.recipe!r} has no ranges to search" + (" beside the fields given" if declared else "")
            + ": name one, as in --range config.optimizer.lr=1e-4:1e-2:log"
        )  # fmt: skip
    try:
        return {path: ranges.including(w, infos[path].value) for path, w in merged.items()}
    except ValueError as error:
        raise BadValue(f"--range: {error}; give the field another value to start from") from None


def as_trial(settings: Settings, budget: str, dataset: Dataset) -> Settings:
    """The settings with a trial's budget, and monitored about as often as trials are compared."""
    from genloom.engine.budget import parse_budget

    train = settings.train
    items = dataset.train.items
    steps = parse_budget(budget).steps(min(train.batch, items), items, train.last_batch == "keep")
    every = train.validate_every if steps is None else f"{max(1, steps // MOMENTS)}steps"
    return replace(settings, train=replace(train, budget=budget, keep=1, validate_every=every))


def identity(settings: Settings, within: Mapping[str, ranges.Range], dataset: Dataset) -> str:
    """A hash of everything that makes two searches the same search: not of how long they last."""
    what = [asdict(settings.train), repr(settings.config), settings.model, dataset.digest,
            {path: str(w) for path, w in within.items()}]  # fmt: skip
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:8]
