"""What an experiment on collapse is, settled and checked before anything is trained."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.core import CanSample, config_to_json
from genloom.engine.budget import parse_budget
from genloom.engine.train import Settings, build, check
from genloom.errors import BadData, BadValue
from genloom.metrics.store import slug
from genloom.models.registry import model_class
from genloom.verbs.places import check_count
from genloom.verbs.train import settled

if TYPE_CHECKING:
    from genloom.data import Dataset

FORMAT = 1
ITEMS = 5_000  # a generation learns from, where nobody says otherwise
SETS = 4  # disjoint sets of samples that are measured: their spread is the chance in samples
USUAL = 1_000  # samples in one of them
FEWEST = 100
FIXED = ("data.source", "train.budget", "train.seed")


@dataclass(frozen=True)
class Plan:
    """settings: of every run, without data and seed; shares: of fresh real items, ascending; items: that a generation
    learns from; n: samples in each of SETS measured sets; seeds: each a chain of its own; notes: what a reader must
    know."""

    settings: Settings
    word: str
    data: str
    digest: str
    generations: int
    shares: tuple[float, ...]
    items: int
    n: int
    seeds: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """All that decides the outcome, ready for JSON; where the data lie does not."""
        s = self.settings
        return {
            "format": FORMAT,
            "recipe": self.word,
            "model": s.model,
            "config": config_to_json(s.config),
            "data_options": {k: v for k, v in config_to_json(s.data).items() if k != "source"},
            "train": {k: v for k, v in config_to_json(s.train).items() if k != "seed"},
            "data": self.data,
            "digest": self.digest,
            "budget": s.train.budget,
            "generations": self.generations,
            "shares": list(self.shares),
            "items": self.items,
            "n": self.n,
            "sets": SETS,
            "seeds": list(self.seeds),
        }

    @property
    def identity(self) -> str:
        """The hash of `facts`, in hex."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where the experiment lies unless somebody says otherwise."""
        return Path("experiments") / f"collapse-{slug(self.settings.recipe)}-{slug(self.data)}-{self.identity[:6]}"

    def jobs(self) -> list[tuple[int, float | None, int]]:
        """(seed, share, generation) of every run, in order; generation 0 is the same for all shares, which is None."""
        found: list[tuple[int, float | None, int]] = []
        for seed in self.seeds:
            found.append((seed, None, 0))
            found += [(seed, share, g) for share in self.shares for g in range(1, self.generations)]
        return found


def make_plan(
    recipe: str,
    data: str | Path | None,
    generations: int,
    fresh: str | float | Sequence[float],
    budget: str,
    seeds: int,
    first_seed: int,
    n: int | None,
    items: int | None,
    size: str | None,
    values: Mapping[str, Any],
) -> tuple[Plan, Dataset]:
    """The plan, and the real data with their classes. Raises BadValue, BadData, NotFound, each in one line."""
    from genloom import data as sets

    if isinstance(generations, bool) or not isinstance(generations, int) or generations < 2:
        raise BadValue(f"--generations: expected 2 or more, the first of them on real data alone, got {generations!r}")
    check_count(seeds, "--seeds")
    if isinstance(first_seed, bool) or not isinstance(first_seed, int) or first_seed < 0:
        raise BadValue(f"--first-seed: expected a whole number of at least 0, got {first_seed!r}")
    parse_budget(budget)
    shares = shares_of(fresh)
    settings = settled(recipe, data, budget, None, size, values)
    check(settings.train)
    own = sets.load(settings.data)
    modality = next(f.modality for f in own.spec.values() if f.role == "item")
    if modality != "image":
        raise BadData(
            f"collapse is measured on pictures so far, and {own.name} holds {modality}s: give --data with pictures"
        )
    cls = model_class(settings.model)
    if not issubclass(cls, CanSample):
        raise BadData(f"{recipe} draws no samples, so no generation could learn from it: take another recipe")
    if cls.uses:
        raise BadData(f"{recipe} stands on another run, which each generation would need anew: take another recipe")
    build(settings.model, settings.config, own, 0)  # a misfit is told before anything is written
    real = own if own.options.labels else sets.load(replace(own.options, labels=True))
    items = min(check_count(items, "--items") if items is not None else ITEMS, real.train.items)
    if items < FEWEST or real.test.items < 20:
        raise BadData(f"{real.name}: {items} training and {real.test.items} held-out items are too few; it takes "
                      f"{FEWEST} and 20")  # fmt: skip
    n = min(check_count(n) if n is not None else USUAL, items)
    if n < FEWEST:
        raise BadValue(f"-n {n}: expected at least {FEWEST} samples in each of the {SETS} sets that are measured")
    notes = []
    if items < real.train.items:
        notes.append(f"every generation learns from {items:,} items, of {real.train.items:,} real ones there are")
    if parse_budget(budget).kind == "seconds":
        notes.append("the budget is a time: where the machine has other work, count steps instead (--budget 1000steps)")
    data_options = replace(settings.data, limit=None, split=None, fold=None)
    plan = Plan(replace(settings, data=data_options), recipe, real.name, real.digest, generations, shares, items, n,
                tuple(range(first_seed, first_seed + seeds)), tuple(notes))  # fmt: skip
    return plan, real


def shares_of(fresh: str | float | Sequence[float]) -> tuple[float, ...]:
    """The shares of fresh data, ascending: "0,0.1,0.5", a number, or several. Raises BadValue outside 0..1."""
    words = fresh.split(",") if isinstance(fresh, str) else fresh if isinstance(fresh, Sequence) else [fresh]
    found = []
    for word in words:
        try:
            value = float(word)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 1:
            raise BadValue(f"--fresh: expected shares from 0 to 1, such as 0,0.1,0.5, got {str(word).strip()!r}")
        found.append(value)
    if not found:
        raise BadValue("--fresh: expected a share of real data or more, such as 0,0.1,0.5")
    return tuple(sorted(set(found)))
