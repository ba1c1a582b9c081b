"""Finished models that another model stands on: an autoencoder, a teacher. Copied into the run, hashed, frozen.

given/ROLE/{config.json, tokenizer.json, weights.safetensors, source.json}, and in given/ROLE/given/ what they stand on.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from genloom.core import Model, config_from_json, spec_from_json
from genloom.engine import checkpoint
from genloom.errors import BadData, BadValue, Damaged, unknown
from genloom.models.registry import model_class
from genloom.runs import Run, read_json, sha256, write_json
from genloom.runs.files import storage


def require(cls: type[Model], name: str, given: Collection[str]) -> None:
    """Raises BadValue where the model `name` lacks a partner among these roles."""
    for role, kind in cls.uses.items():
        if role not in given:
            fitting = suitable(kind)
            shown = fitting[0] if fitting else kind.__name__
            raise BadValue(
                f"{name} stands on a finished {role} ({' or '.join(fitting) or kind.__name__}): "
                f"`genloom train {shown} --data D`, then `genloom train {name} --given {role}=RUN --data D`"
            )


def check(cls: type[Model], name: str, given: Mapping[str, Run]) -> None:
    """Raises BadValue where the model `name` lacks a partner, NotFound where it has no use for one, BadData for a
    partner of the wrong kind."""
    require(cls, name, given)
    for role, source in given.items():
        if not cls.uses:
            raise BadValue(f"{name} stands on no other model: leave --given {role} out")
        if role not in cls.uses:
            raise unknown("partner", role, cls.uses)
        kind, theirs = cls.uses[role], source.config["model"]
        if not issubclass(model_class(theirs), kind):
            wanted = " or ".join(suitable(kind)) or kind.__name__
            raise BadData(f"{role} must be a {wanted}, {source.path} is a {theirs}: name another run")


def suitable(kind: type) -> list[str]:
    """The names of built-in models that are of this kind or can do what it says."""
    from genloom.models.registry import BUILT_IN

    return [name for name in BUILT_IN if issubclass(model_class(name), kind)]


def finished_weights(source: Run) -> tuple[int, dict[str, Tensor]]:
    """The step and the averaged weights of a run's newest checkpoint. Raises Damaged where there is none."""
    steps = source.checkpoints()
    if not steps:
        raise Damaged(f"{source.path} has no checkpoint: train it first")
    files = checkpoint.read_state(source, steps[-1])["sha256"]
    return steps[-1], checkpoint.read_tensors(source, steps[-1], "ema" if "ema.safetensors" in files else "model")


def attach(run: Run, given: Mapping[str, Run]) -> None:
    """Copies the averaged weights of finished runs, by role, into `run`; what they stand on comes along."""
    for role, source in given.items():
        step, weights = finished_weights(source)
        folder = run.path / "given" / role
        with storage(folder):
            folder.mkdir(parents=True)
            for part in ("config.json", "tokenizer.json"):
                if (source.path / part).exists():
                    shutil.copyfile(source.path / part, folder / part)
            if (source.path / "given").exists():
                shutil.copytree(source.path / "given", folder / "given")
        checkpoint.write_tensors(folder / "weights.safetensors", weights)
        about = {"run": source.name, "step": step, "sha256": sha256(folder / "weights.safetensors")}
        write_json(folder / "source.json", about)


def attach_same(run: Run, other: Run) -> None:
    """Copies the partners that another run stands on into `run`, as they are."""
    if (other.path / "given").exists():
        with storage(run.path / "given"):
            shutil.copytree(other.path / "given", run.path / "given")


def frozen(folder: Path, weights: Mapping[str, Tensor]) -> Model:
    """The model that a folder's config.json describes, with these weights, in evaluation mode for good."""
    config: dict[str, Any] = read_json(folder / "config.json")
    cls = model_class(config["model"])
    settings: Any = config_from_json(cls.Config, config["config"], str(folder))
    model = cls(settings, spec_from_json(config["spec"]), partners(folder))
    checkpoint.put(model, weights)
    return freeze(model)


def freeze(model: Model) -> Model:
    """The model without gradients and in evaluation mode, which the outer model's train() does not end."""
    object.__setattr__(model.eval().requires_grad_(False), "train", lambda mode=True, kept=model: kept)
    return model


def borrowed(given: Mapping[str, Run]) -> dict[str, Model]:
    """The frozen models of finished runs, by role, where they lie: to see whether they fit."""
    return {role: frozen(source.path, finished_weights(source)[1]) for role, source in given.items()}


def partners(place: Run | Path) -> dict[str, Model]:
    """The frozen models of a run (or of a partner's folder) by role; empty for models that stand alone.

    Raises Damaged where one was changed.
    """
    found: dict[str, Model] = {}
    for folder in sorted(((place.path if isinstance(place, Run) else place) / "given").glob("*/")):
        path = folder / "weights.safetensors"
        if not path.exists() or sha256(path) != read_json(folder / "source.json")["sha256"]:
            raise Damaged(f"{path} was changed or cut short since it was copied: make the run again")
        found[folder.name] = frozen(folder, load_file(path))
    return found


def theirs(model: torch.nn.Module, given: Mapping[str, Model]) -> set[str]:
    """The names of a model's tensors that belong to its partners, and are not its own to change."""
    places = [name for name, part in model.named_modules() if any(part is partner for partner in given.values())]
    return {name for name in model.state_dict() if any(name.startswith(f"{place}.") for place in places)}
