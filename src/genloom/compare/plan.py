"""What a comparison is, settled and checked before anything is trained: who takes part, on what, measured how."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.core import CanSample, DataSpec, HasLikelihood, config_to_json
from genloom.data.options import DataOptions
from genloom.engine.budget import parse_budget
from genloom.engine.options import TrainOptions
from genloom.engine.train import Settings, build, check
from genloom.errors import BadData, BadValue
from genloom.metrics.pictured import seen
from genloom.metrics.store import slug
from genloom.modalities.registry import modality as kind_of
from genloom.models.registry import model_class
from genloom.verbs.places import check_count
from genloom.verbs.train import settled

if TYPE_CHECKING:
    from genloom.data import Dataset

FORMAT = 1
USUAL = 5_000
CURVE_N = 1_000
MODEL_SIDE = ("labels", "flip", "tokenizer", "vocabulary", "context", "captions", "drop_parts")
"""Data fields that say how a model takes its items; all others say which items they are, and are the same for all."""
ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Contestant:
    """word: as it was asked for ("flow:small"); label: the same, fit for a file's name; settings: without a seed."""

    word: str
    label: str
    settings: Settings


@dataclass(frozen=True)
class Plan:
    """contestants, seeds: every pair is a run; digest: of the data; modality: of its items; n: samples (of texts:
    held-out windows) that are measured; repeats: disjoint sets of n samples; key: of the figure that ranks;
    moments: shares of the budget at which quality is measured too, on curve_n items; notes: what a reader must know."""

    contestants: tuple[Contestant, ...]
    data: str
    digest: str
    modality: str
    budget: str
    seeds: tuple[int, ...]
    n: int
    repeats: int
    key: str
    moments: tuple[float, ...]
    curve_n: int
    engine: str = "local"
    workers: int | None = None
    evaluation_seed: int = 0
    notes: tuple[str, ...] = ()

    def facts(self) -> dict[str, Any]:
        """All that decides the outcome, ready for JSON; where the data lie does not."""
        return {
            "format": FORMAT,
            "contestants": [_contestant_facts(c) for c in self.contestants],
            "data": self.data,
            "digest": self.digest,
            "modality": self.modality,
            "budget": self.budget,
            "seeds": list(self.seeds),
            "n": self.n,
            "repeats": self.repeats,
            "key": self.key,
            "moments": list(self.moments),
            "curve_n": self.curve_n,
            "engine": self.engine,
            "workers": self.workers,
            "evaluation_seed": self.evaluation_seed,
        }

    @property
    def identity(self) -> str:
        """The hash of `facts`, in hex."""
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()

    @property
    def folder(self) -> Path:
        """Where the comparison lies unless somebody says otherwise."""
        return Path("comparisons") / f"{slug(self.data)}-{slug(self.budget)}-{self.identity[:6]}"


def make_plan(
    words: Sequence[str],
    data: str | Path | None,
    budget: str,
    seeds: int,
    first_seed: int,
    n: int | None,
    curve: int,
    engine: str,
    workers: int | None,
    values: Mapping[str, Any],
) -> tuple[Plan, dict[str, Dataset]]:
    """The plan, and the data set of each contestant by label. Raises BadValue, BadData, NotFound, each in one line."""
    _check_numbers(seeds, first_seed, n, curve, engine, workers)
    parse_budget(budget)
    if not words:
        raise BadValue("`genloom compare` needs a RECIPE or more, as in `genloom compare vae flow --data mnist`")
    shared = _shared_paths(values)
    notes: list[str] = []
    moments = tuple(0.5**k for k in range(curve - 1, 0, -1))
    contestants = _contestants(words, data, budget, {**shared, "train.moments": moments}, notes)
    datasets = _datasets(contestants)
    first = datasets[contestants[0].label]
    modality = next(f.modality for f in first.spec.values() if f.role == "item")
    for c in contestants:
        _check_fits(c, datasets[c.label], modality)
    key = _key(contestants, datasets, first.spec, notes)
    most = min(d.train.items for d in datasets.values())
    chosen = min(n or USUAL, most)
    if n is not None and n > most:
        notes.append(f"n is {most:,}, the number of training items: the floor takes as many")
    if engine == "ray" and parse_budget(budget).kind == "seconds" and workers and workers > 1:
        notes.append("runs that share a machine share its cores: a budget in seconds then holds less than alone")
    plan = Plan(
        contestants=contestants,
        data=first.name,
        digest=_neutral(contestants[0], first),
        modality=modality,
        budget=budget.strip(),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        n=chosen,
        repeats=3 if seeds == 1 and key == "fd" else 1,
        key=key,
        moments=moments,
        curve_n=min(chosen, CURVE_N),
        engine=engine,
        workers=workers,
        notes=tuple(notes),
    )
    return plan, datasets


def _check_numbers(seeds: int, first_seed: int, n: int | None, curve: int, engine: str, workers: int | None) -> None:
    check_count(seeds, "--seeds")
    if isinstance(first_seed, bool) or not isinstance(first_seed, int) or first_seed < 0:
        raise BadValue(f"--first-seed: expected a whole number of at least 0, got {first_seed!r}")
    if n is not None and check_count(n, "--n") < 20:
        raise BadValue(f"--n {n}: too few samples to compare by; give at least 20")
    if isinstance(curve, bool) or not isinstance(curve, int) or not 0 <= curve <= 8:
        raise BadValue(f"--curve: expected a number of points from 0 (none) to 8, got {curve!r}")
    if engine not in ENGINES:
        raise BadValue(f"--engine {engine!r}: expected one of {', '.join(ENGINES)}")
    if workers is not None:
        check_count(workers, "--workers")
        if engine != "ray":
            raise BadValue("--workers goes with --engine ray: on one machine, runs take turns")


def _shared_paths(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by their full path. Raises NotFound or BadValue for one that not all recipes have."""
    from genloom.recipes import fields as names

    every = (*names.leaves(DataOptions(), "data."), *names.leaves(TrainOptions(), "train."))
    paths = [info.path for info in every]
    found: dict[str, Any] = {}
    for name, value in values.items():
        if name.partition(".")[0] == "config":
            raise BadValue(
                f"--{name} is a field of one model: a comparison sets only fields of data and train for all; "
                "write the others into a recipe file and compare that"
            )
        path = names.resolve(name, paths, ("data", "budget", "seeds", "n"), "genloom compare --help")
        if path in ("data.source", "train.budget", "train.seed", "train.moments"):
            flag = {"source": "data", "budget": "budget", "seed": "first-seed", "moments": "curve"}[path.split(".")[1]]
            raise BadValue(f"--{name}: say --{flag} instead, which holds for the whole comparison")
        found[path] = value
    return found


def _contestants(
    words: Sequence[str], data: str | Path | None, budget: str, values: Mapping[str, Any], notes: list[str]
) -> tuple[Contestant, ...]:
    from genloom.recipes import registry

    found: list[Contestant] = []
    seen: dict[tuple[str, str], str] = {}
    given = {path for path in values if path.startswith("data.")}
    for word in words:
        file = word.endswith(".toml")
        name, _, size = (word, "", "") if file else word.partition(":")
        settings = settled(name, data, budget, None, size or None, values)
        kind = (str(Path(name).expanduser().absolute()), "") if file else (name, size or _first_size(registry, name))
        if kind in seen:
            raise BadValue(
                f"{word} takes part twice ({seen[kind]}, {word}): name different recipes, sizes or recipe files"
            )
        seen[kind] = word
        if found:
            settings = replace(settings, data=_same_items(found[0], word, settings.data, given, notes))
        check(settings.train)
        found.append(Contestant(word, _label(word, [c.label for c in found]), settings))
    return tuple(found)


def _first_size(registry: Any, name: str) -> str:
    sizes = registry.entry(name).sizes
    return sizes[0] if sizes else ""


def _same_items(first: Contestant, word: str, own: DataOptions, given: set[str], notes: list[str]) -> DataOptions:
    """`own` with everything that decides which items there are taken from the first contestant."""
    theirs = first.settings.data
    shared = {f.name: getattr(theirs, f.name) for f in fields(theirs) if f.name not in MODEL_SIDE}
    for name, value in shared.items():
        if getattr(own, name) != value and name != "source" and f"data.{name}" not in given:
            notes.append(f"data.{name} is {value} for {word} too, as for {first.word}: all learn from the same items")
    return replace(own, **shared)


def _label(word: str, taken: Sequence[str]) -> str:
    base = Path(word).stem if word.endswith(".toml") else word.replace(":", "-")
    base = re.sub(r"[^\w.+-]+", "-", base).strip("-.") or "recipe"
    label, count = base, 2
    while label in taken:
        label, count = f"{base}-{count}", count + 1
    return label


def _datasets(contestants: Sequence[Contestant]) -> dict[str, Dataset]:
    """The data set of each contestant by label; contestants with the same options share one."""
    from genloom import data as sets

    loaded: dict[str, Dataset] = {}
    found = {}
    for c in contestants:
        options = json.dumps(config_to_json(c.settings.data), sort_keys=True)
        if options not in loaded:
            loaded[options] = sets.load(c.settings.data)
        found[c.label] = loaded[options]
    return found


def _neutral(contestant: Contestant, dataset: Dataset) -> str:
    """The digest of the items themselves, with their classes and without mirroring."""
    from genloom import data as sets

    options = replace(contestant.settings.data, labels=True, flip=False)
    return dataset.digest if options == contestant.settings.data else sets.load(options).digest


def _check_fits(contestant: Contestant, dataset: Dataset, modality: str) -> None:
    """Raises BadData where the model cannot learn from the data."""
    try:
        build(contestant.settings.model, contestant.settings.config, dataset, 0)
    except BadData as error:
        raise BadData(
            f"{contestant.word} cannot learn from {dataset.name}, which holds {kind_of(modality).plural}: {error}; "
            "compare recipes of one modality"
        ) from error


def _key(contestants: Sequence[Contestant], datasets: Mapping[str, Dataset], spec: DataSpec, notes: list[str]) -> str:
    """The figure that ranks: the first that every contestant will have. Raises BadData where there is none."""
    draws, likely = {}, {}
    for c in contestants:
        cls = model_class(c.settings.model)
        draws[c.word], likely[c.word] = issubclass(cls, CanSample), issubclass(cls, HasLikelihood)
    if seen(next(f for f in spec.values() if f.role == "item")):
        if all(draws.values()):
            return "fd"
        silent = " and ".join(w for w, can in draws.items() if not can)
        if all(likely.values()):
            notes.append(f"{silent} draws no samples and so has no FD: ranked by bits per dimension, which all have")
            return "bits_per_dimension"
        mute = " and ".join(w for w, can in likely.items() if not can)
        raise BadData(f"no figure is shared: {silent} draws no samples (no FD), {mute} gives no likelihood")
    if not all(likely.values()):
        mute = " and ".join(w for w, can in likely.items() if not can)
        raise BadData(f"texts are compared by likelihood, which {mute} does not give: leave it out")
    tokenizers = {json.dumps(d.tokenizer.to_json(), sort_keys=True) for d in datasets.values() if d.tokenizer}
    if len(tokenizers) > 1:
        notes.append("tokenizers differ: ranked by bits per character, because nats per token would not be comparable")
        return "bits_per_character"
    return "nats_per_token"


def _contestant_facts(c: Contestant) -> dict[str, Any]:
    s = c.settings
    data = {k: v for k, v in config_to_json(s.data).items() if k != "source"}
    train = {k: v for k, v in config_to_json(s.train).items() if k != "seed"}
    return {
        "word": c.word,
        "label": c.label,
        "recipe": s.recipe,
        "model": s.model,
        "config": config_to_json(s.config),
        "data": data,
        "train": train,
    }
