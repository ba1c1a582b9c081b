"""The run that a verb is asked of, opened: its model, its data, and choices checked against both."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from genloom.errors import BadData, BadValue, unknown
from genloom.modalities.registry import modality

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Batch, DataSpec, Sampling
    from genloom.data import Dataset
    from genloom.data.options import DataOptions
    from genloom.engine.load import Loaded
    from genloom.metrics.features import Extractor
    from genloom.runs import Run

OWN = "own"  # the extractor that is trained on the data set
AnyRun: TypeAlias = Any  # a Run, its path, name or number, what train() returned, or what open_run() did


def find_run(run: AnyRun, runs: str | Path = "runs") -> Run:
    """The run that is meant. Raises NotFound with the nearest names."""
    from genloom.runs import Run, find

    while not isinstance(run, Run | str | os.PathLike | int):
        run = run.run
    return run if isinstance(run, Run) else find(str(run) if isinstance(run, int) else run, runs)


def own_tokenizer(run: Run, options: DataOptions) -> DataOptions:
    """A run's data options with its own copy of a tokenizer that it took from another run, which may be gone."""
    known = options.tokenizer in ("char", "byte", "bpe")
    return options if known or not run.makes_texts else replace(options, tokenizer=str(run.path.absolute()))


def open_run(run: AnyRun, runs: str | Path = "runs", raw: bool = False) -> Loaded:
    """The run's model with its averaged weights (`raw`: those that were trained), ready to sample."""
    from genloom.engine.load import Loaded, load

    return run if isinstance(run, Loaded) else load(find_run(run, runs), raw=raw)


def data_of(loaded: Loaded) -> Dataset:
    """The data the run was trained on, with its labels: they make the extractor, the same for all models of the data.

    Raises BadData where the data has changed since: held-out items may be so no longer.
    """
    from genloom import data as sets

    if "imported" in loaded.run.config:
        raise BadData(
            f"{loaded.run.path} was imported and has no data of its own: measure what it writes "
            "(`genloom evaluate FILE.jsonl --data D`), or a run that goes on from it (`genloom train --from`)"
        )
    found = sets.load(own_tokenizer(loaded.run, loaded.settings.data))
    known = (loaded.run.config.get("dataset") or {}).get("digest")
    if known is not None and known != found.digest:
        raise BadData(
            f"the data changed since {loaded.run.path} was trained ({known[:8]} then, {found.digest[:8]} now): "
            "bring the old data back, or train a new run"
        )
    return found if found.options.labels else sets.load(replace(found.options, labels=True))


def images_in(extractor: str, modality: str, dataset: Dataset, device: Any = "cpu") -> Extractor | None:
    """The extractor of that name; None for the data set's own. Raises BadValue where the data are no images."""
    if extractor == OWN:
        return None
    if modality != "image":
        raise BadValue(f"--extractor {extractor}: it is for images, and {dataset.name} holds {modality}s")
    from genloom.metrics.extractors import extractor_named

    return extractor_named(extractor, dataset, device)


def sampling(**choices: Any) -> Sampling:
    """Choices at sampling time, checked; None leaves one to the model. Raises BadValue."""
    from genloom.core import Sampling

    given = {k: v for k, v in choices.items() if v is not None}
    for name, least in (("steps", 1), ("length", 1), ("top_k", 0), ("guidance", 0), ("temperature", 0), ("top_p", 0)):
        if name in given and not given[name] >= least:
            raise BadValue(f"--{name.replace('_', '-')}: expected at least {least}, got {given[name]}")
    if not 0 < given.get("top_p", 1) <= 1:
        raise BadValue(f"--top-p: expected a probability above 0 and up to 1, got {given['top_p']}")
    if given.get("prior", "fitted") not in ("fitted", "standard"):
        raise BadValue(f"--prior: expected fitted or standard, got {given['prior']!r}")
    if "solver" in given:
        from genloom.samplers import solvers

        known = getattr(solvers, "SOLVERS", None)
        if known is not None and given["solver"] not in known:
            raise unknown("solver", given["solver"], known)
    return Sampling(**given)


def several(spec: DataSpec) -> int:
    """How many item fields there are, where more than one; else 0."""
    count = sum(f.role == "item" for f in spec.values())
    return count if count > 1 else 0


def class_indices(spec: DataSpec, label: str | int) -> list[int]:
    """The class indices a --label means: a name, a number, or several by comma. Raises BadValue or NotFound."""
    from genloom.core import the_class

    found = the_class(spec)
    if found is None:
        raise BadValue(f"--label {label}: this run's model was trained without classes; leave --label out")
    classes = found[1].classes
    text = str(label)
    words = [text] if text in classes else [w.strip() for w in text.split(",") if w.strip()]
    indices = []
    for word in words:
        if word in classes:
            indices.append(classes.index(word))
        elif word.isdecimal() and int(word) < len(classes):
            indices.append(int(word))
        else:
            raise unknown("class", word, classes)
    if not indices:
        raise BadValue(f"--label {text!r}: expected one of {', '.join(classes)}")
    return indices


def listens(loaded: Loaded, name: str) -> bool:
    """Whether the model's samples depend on the condition field `name`."""
    from genloom.core import CanSample

    return isinstance(loaded.model, CanSample) and name in loaded.model.listens_to


def prompt_ids(loaded: Loaded, prompt: str, kind: str) -> Tensor:
    """The prompt's token ids (L,). Raises BadValue for a model of another modality or an empty prompt."""
    import torch

    if not modality(kind).written or loaded.tokenizer is None:
        raise BadValue(
            f"--prompt: this run's model makes {modality(kind).plural}, and continues no text; leave --prompt out"
        )
    ids = loaded.tokenizer.encode(prompt)
    if not ids:
        raise BadValue("--prompt is empty: expected some text to continue, or leave --prompt out")
    return torch.tensor(ids, dtype=torch.int64)


def told_number(loaded: Loaded, text: str) -> Batch:
    """The condition that a --tell means: NAME=VALUE of a number told in training. Raises BadValue, NotFound."""
    import numpy as np

    from genloom.modalities.table import encode

    known = {c.name: (k, f) for k, f in loaded.spec.items() if f.role == "condition" for c in f.columns}
    if not known:
        raise BadValue(f"--tell {text}: the model of {loaded.run.path} is told no number; leave it out")
    name, _, value = text.partition("=")
    if name.strip() not in known:
        raise unknown("number", name.strip(), known)
    try:
        cells = np.array([[float(value)]])
    except ValueError:
        raise BadValue(f"--tell {text}: expected {name.strip()}=NUMBER, as {name.strip()}=2.5") from None
    key, field = known[name.strip()]
    return {key: encode(cells, field.columns)}
