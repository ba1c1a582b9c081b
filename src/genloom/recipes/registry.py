"""Recipes by name. A recipe is a function that returns a complete, frozen configuration; a new one calls an old one.

Built-in recipes live in the modules named below; others arrive through the entry-point group `genloom.recipes`, whose
entries name a module whose import registers recipes, a recipe function, or a function that registers them when called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.errors import BadValue, unknown
from genloom.recipes import fields
from genloom.recipes.ranges import Range

BUILT_IN = (
    "autoencoding",
    "adversarial",
    "diffusion",
    "denoising",
    "stages",
    "autoregressive",
    "answering",
    "music",
    "molecules",
)


@dataclass(frozen=True)
class Recipe:
    """Everything a run needs.

    model: the name of a model in `genloom.models.registry`; config: its Config, complete.
    data, train: what to learn from and how. The dotted overrides of the command line reach every field:
    `--config.width 64`, `--data.size 32`, `--train.batch 64`.
    """

    model: str
    config: Any
    data: DataOptions = DataOptions()
    train: TrainOptions = TrainOptions()


@dataclass(frozen=True)
class Partner:
    """What makes a finished run that another recipe stands on. recipe: its name; smoke: what a trial changes of that
    recipe's own smoke variant, so that the two fit together."""

    recipe: str
    smoke: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """A recipe in the registry: build(size=...) makes it; smoke holds dotted overrides for a trial of a few seconds,
    ranges what `genloom tune` tries, by dotted path; partners: what makes the runs it stands on, by their roles."""

    name: str
    summary: str
    build: Callable[..., Recipe]
    sizes: tuple[str, ...] = ()
    smoke: Mapping[str, Any] = field(default_factory=dict)
    ranges: Mapping[str, Range] = field(default_factory=dict)
    partners: Mapping[str, Partner] = field(default_factory=dict)


_entries: dict[str, Entry] = {}
_loaded: set[str] = set()
broken: dict[str, str] = {}  # entry points that could not be loaded, with the reason in one line


def recipe(
    name: str,
    summary: str,
    *,
    sizes: tuple[str, ...] = (),
    smoke: Mapping[str, Any] | None = None,
    ranges: Mapping[str, Range] | None = None,
    partners: Mapping[str, Partner] | None = None,
) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Registers the decorated function under `name`. `sizes`: values its keyword `size` takes, the default first.

    ranges: what `genloom tune` tries. They leave out what changes the meaning of the model's monitor, such as the
    weight of a term of the loss that it is: the least weight would always win. partners: recipes that make the runs
    which this one stands on, by role; a trial trains them a moment before.
    """

    def register(build: Callable[..., Recipe]) -> Callable[..., Recipe]:
        there = _entries.get(name)
        if there and (there.build.__module__, there.build.__qualname__) != (build.__module__, build.__qualname__):
            raise BadValue(f"recipe {name!r} is already registered by {there.build.__module__}: choose another name")
        _entries[name] = Entry(name, summary, build, sizes, dict(smoke or {}), dict(ranges or {}), dict(partners or {}))
        return build

    return register


def _load() -> None:
    for module in BUILT_IN:
        if module not in _loaded:
            import_module(f"genloom.recipes.{module}")
            _loaded.add(module)
    for entry in entry_points(group="genloom.recipes"):
        key = f"{entry.name} = {entry.value}"
        if key in _loaded:
            continue
        _loaded.add(key)
        try:
            found = entry.load()
            if callable(found) and not inspect.ismodule(found) and found not in [e.build for e in _entries.values()]:
                found()
        except Exception as error:  # somebody else's package must not take every other recipe down with it
            broken[entry.name] = f"{type(error).__name__}: {' '.join(str(error).split())}"


def entries() -> list[Entry]:
    """All recipes, built-in ones first, in the order they were registered."""
    _load()
    return list(_entries.values())


def entry(name: str) -> Entry:
    """The recipe registered under `name`. Raises NotFound with the nearest names."""
    _load()
    if name in _entries:
        return _entries[name]
    if name in broken:
        raise BadValue(f"recipe {name!r} could not be loaded: {broken[name]}")
    raise unknown("recipe", name, _entries, see="genloom recipes")


def get(name: str, size: str | None = None) -> Recipe:
    """The configuration of recipe `name`, complete. `size`: one of the entry's sizes; None takes its first.

    Raises NotFound for an unknown recipe, BadValue for a size it does not have.
    """
    found = entry(name)
    if size is None:
        return found.build()
    if not found.sizes:
        raise BadValue(f"recipe {name!r} comes in one size, got --size {size} (image size is --data.size)")
    if size not in found.sizes:
        raise BadValue(
            f"recipe {name!r} has sizes {', '.join(found.sizes)}, got --size {size} (image size is --data.size)"
        )
    return found.build(size=size)


def override(recipe: Recipe, values: Mapping[str, Any], flags: Iterable[str] = (), see: str = "") -> Recipe:
    """`recipe` with fields replaced by dotted name: {"config.width": 64, "optimizer.lr": "1e-3"}.

    flags: other names to offer where a field is unknown; see: the command that lists them all.
    Raises NotFound with the nearest fields, BadValue saying what was expected.
    """
    if "model" in values:
        raise BadValue("--model cannot be changed: choose another recipe (see `genloom recipes`)")
    return fields.override(recipe, values, flags, see)


def smoke(entry: Entry, size: str | None = None) -> Recipe:
    """The recipe made small: a trial of a few seconds that proves that it runs from data to samples."""
    return override(get(entry.name, size), entry.smoke)
