"""Recipes by name. A recipe is a function that returns a complete, frozen configuration; a new one calls an old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions


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
class Entry:
    """A recipe in the registry: build(size=...) makes it; smoke holds dotted overrides for a trial of a few seconds."""

    name: str
    summary: str
    build: Callable[..., Recipe]
    sizes: tuple[str, ...] = ()
    smoke: Mapping[str, Any] = field(default_factory=dict)


_entries: dict[str, Entry] = {}


def recipe(
    name: str, summary: str, *, sizes: tuple[str, ...] = (), smoke: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Registers the decorated function under `name`. `sizes`: values its keyword `size` takes, the default first."""

    def register(build: Callable[..., Recipe]) -> Callable[..., Recipe]:
        _entries[name] = Entry(name, summary, build, sizes, dict(smoke or {}))
        return build

    return register
