"""Checkpoints: weights, average and optimizers as safetensors, and state.json, whose presence makes them valid.

A checkpoint is built in a hidden directory and renamed into place, so a full disk or a kill leaves the earlier ones.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from genloom.core import Model
from genloom.errors import Damaged, Storage
from genloom.runs import Run, read_json, sha256, write_json
from genloom.runs.files import storage, sync_directory

FORMAT = 1


def save(run: Run, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> Path:
    """Writes `tensors` (file name -> tensors by name) and `state` as the checkpoint of `step`. Raises Storage."""
    final = run.checkpoint(step)
    building = final.with_name(f".{final.name}.part")
    shutil.rmtree(building, ignore_errors=True)
    try:
        with storage(final):
            building.mkdir(parents=True)
            for name, content in tensors.items():
                write_tensors(building / f"{name}.safetensors", content)
            hashes = {f"{name}.safetensors": sha256(building / f"{name}.safetensors") for name in tensors}
            write_json(building / "state.json", {"format": FORMAT, "step": step, **state, "sha256": hashes})
            sync_directory(building)
            if final.exists():
                shutil.rmtree(final)
            os.replace(building, final)
            sync_directory(final.parent)
    except Storage:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return final


def write_tensors(path: Path, content: Mapping[str, Tensor], facts: dict[str, str] | None = None) -> None:
    """Writes named tensors as safetensors, flushed; facts: texts that stand beside them. Raises Storage."""
    # safetensors refuses shared memory and wants plain layout: contiguous copies give it both
    plain = {
        k: t.detach().cpu().contiguous().clone() if t.ndim == 4 else t.detach().cpu().contiguous()
        for k, t in content.items()
    }
    try:
        save_file(plain, path, **({"metadata": facts} if facts else {}))
    except SafetensorError as e:  # the library reports a full disk as its own kind of error
        raise Storage(f"cannot write {path}: {e}; earlier checkpoints are untouched") from e
    with open(path, "rb") as f:
        os.fsync(f.fileno())


def read_state(run: Run, step: int) -> dict[str, Any]:
    """state.json of a checkpoint. Raises Damaged."""
    path = run.checkpoint(step) / "state.json"
    state = read_json(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise Damaged(f"{path} is not a checkpoint of this version of genloom: use the version that wrote it")
    return state


def read_tensors(run: Run, step: int, name: str) -> dict[str, Tensor]:
    """The tensors of one file of a checkpoint, checked against its hash. Raises Damaged."""
    path = run.checkpoint(step) / f"{name}.safetensors"
    expected = read_state(run, step)["sha256"].get(path.name)
    if expected is None or not path.exists():
        raise Damaged(f"{path} is missing: resume from another checkpoint or train again")
    if sha256(path) != expected:
        raise Damaged(
            f"{path} was changed or cut short since it was written: delete {path.parent} to use an earlier checkpoint"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as e:
        raise Damaged(f"{path} cannot be read ({e}): delete {path.parent} to use an earlier checkpoint") from e


def put(model: Model, weights: Mapping[str, Tensor]) -> None:
    """Gives a model these weights and buffers, whatever sizes its tables had when they were stored."""
    model.make_room({name: tuple(t.shape) for name, t in weights.items()})
    model.load_state_dict(weights)


def prune(run: Run, keep: int, *wanted: int | None) -> None:
    """Deletes all but the newest `keep` checkpoints and those of the steps `wanted`."""
    for step in run.checkpoints()[: -max(1, keep)]:
        if step not in wanted:
            remove(run, step)


def remove(run: Run, step: int) -> None:
    """Deletes one checkpoint. state.json goes first: what is half deleted must not look whole."""
    (run.checkpoint(step) / "state.json").unlink(missing_ok=True)
    shutil.rmtree(run.checkpoint(step), ignore_errors=True)
