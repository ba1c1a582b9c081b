"""Finished models that another model stands on: an autoencoder, a teacher. Copied into the run, hashed, frozen.

given/ROLE/{config.json, tokenizer.json, weights.safetensors, source.json}
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from safetensors.torch import load_file

from genloom.core import Model, config_from_json, spec_from_json
from genloom.engine import checkpoint
from genloom.errors import BadData, BadValue, Damaged, unknown
from genloom.models.registry import model_class
from genloom.runs import Run, read_json, sha256, write_json
from genloom.runs.files import storage


def attach(run: Run, cls: type[Model], given: Mapping[str, Run]) -> None:
    """Copies the averaged weights of finished runs, by role, into `run`.

    Raises BadValue where `cls` lacks a partner, NotFound where it has no use for one, BadData for the wrong kind.
    """
    for role, kind in cls.uses.items():
        if role not in given:
            raise BadValue(f"{cls.__name__} stands on a finished {role} ({kind.__name__}): name a run of one")
    for role, source in given.items():
        if role not in cls.uses:
            raise unknown("partner", role, cls.uses)
        kind, theirs = cls.uses[role], model_class(source.config["model"])
        if not issubclass(theirs, kind):
            raise BadData(f"{role} must be a {kind.__name__}, {source.path} is a {theirs.__name__}: name another run")
        steps = source.checkpoints()
        if not steps:
            raise Damaged(f"{source.path} has no checkpoint: train it first")
        files = checkpoint.read_state(source, steps[-1])["sha256"]
        name = "ema" if "ema.safetensors" in files else "model"
        weights = checkpoint.read_tensors(source, steps[-1], name)
        folder = run.path / "given" / role
        with storage(folder):
            folder.mkdir(parents=True)
            for part in ("config.json", "tokenizer.json"):
                if (source.path / part).exists():
                    shutil.copyfile(source.path / part, folder / part)
        checkpoint.write_tensors(folder / "weights.safetensors", weights)
        about = {"run": source.name, "step": steps[-1], "sha256": sha256(folder / "weights.safetensors")}
        write_json(folder / "source.json", about)


def partners(run: Run) -> dict[str, Model]:
    """The frozen models of a run by role; empty for models that stand alone. Raises Damaged where one was changed."""
    found: dict[str, Model] = {}
    for folder in sorted((run.path / "given").glob("*/")):
        path = folder / "weights.safetensors"
        if not path.exists() or sha256(path) != read_json(folder / "source.json")["sha256"]:
            raise Damaged(f"{path} was changed or cut short since it was copied: make the run again")
        config: dict[str, Any] = read_json(folder / "config.json")
        cls = model_class(config["model"])
        model = cls(config_from_json(cls.Config, config["config"], str(folder)), spec_from_json(config["spec"]))
        model.load_state_dict(load_file(path))
        # the outer model's train() reaches all its parts; a partner stays in evaluation mode
        object.__setattr__(model.eval().requires_grad_(False), "train", lambda mode=True, kept=model: kept)
        found[folder.name] = model
    return found
