"""Weights as they were on the way: what a curve of quality against time is drawn from.

RUN/moments/0.25.safetensors holds the averaged weights when a quarter of the budget was spent; the step and the seconds
stand in the file's metadata. They belong to the run as its rows of metrics do: going back to an earlier checkpoint
drops those that came after it, and they are written again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from genloom.core import Batch, Model, Step, derive_seed
from genloom.data import Dataset
from genloom.engine import checkpoint
from genloom.engine.precision import Plan, arrange_batch
from genloom.engine.preview import resting
from genloom.errors import BadValue, Damaged
from genloom.runs import Run
from genloom.runs.files import storage

MOST = 20_000
"""Training items that `finish` may look at; a model that only counts looks at all of them."""


@dataclass(frozen=True)
class Kept:
    """Weights that were kept when the `share` of the budget was spent, after `step` steps and `seconds`."""

    share: float
    step: int
    seconds: float
    path: Path


def check(shares: tuple[float, ...]) -> None:
    """Raises BadValue for shares that are not between 0 and 1."""
    for share in shares:
        if not 0.0 < share < 1.0:
            raise BadValue(f"train.moments {share:g}: expected shares of the budget between 0 and 1, such as 0.25,0.5")


def kept(run: Run) -> list[Kept]:
    """What a run kept, in the order of time; files that cannot be read count as absent."""
    found = []
    for path in (run.path / "moments").glob("[0-9]*.safetensors"):
        try:
            with safe_open(str(path), framework="pt") as file:
                facts = file.metadata()
            found.append(Kept(float(facts["share"]), int(facts["step"]), float(facts["seconds"]), path))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda k: k.share)


def keep(run: Run, share: float, step: int, seconds: float, weights: Mapping[str, Tensor]) -> None:
    """Keeps a complete state dict as the weights of this moment. Raises Storage."""
    folder = run.path / "moments"
    final = folder / f"{share:g}.safetensors"
    building = final.with_name(f".{final.name}.part")
    with storage(final):
        folder.mkdir(exist_ok=True)
        try:
            facts = {"share": repr(share), "step": str(step), "seconds": repr(round(seconds, 3))}
            checkpoint.write_tensors(building, weights, facts)
            os.replace(building, final)
        finally:
            building.unlink(missing_ok=True)


def drop_after(run: Run, step: int) -> None:
    """Forgets the moments after a step to which the run goes back."""
    for moment in kept(run):
        if moment.step > step:
            moment.path.unlink(missing_ok=True)


def weights(moment: Kept) -> dict[str, Tensor]:
    """The weights of a moment. Raises Damaged."""
    try:
        return load_file(moment.path)
    except (SafetensorError, OSError) as e:
        raise Damaged(f"{moment.path} cannot be read ({e}): delete it; the curve will lack this point") from e


def finish(
    model: Model, dataset: Dataset, plan: Plan, device: torch.device, *, seed: int, step: int, items: int
) -> None:
    """What a model does after its last step (fitting a prior), on training items in order, without augmentation."""
    last = Step(seed=derive_seed(seed, "finish"), index=step, progress=1.0, items=items, device=device)
    with resting(model):
        model.finish(_batches(dataset, plan, device, MOST if model.phases() else dataset.train.items), last)


def _batches(dataset: Dataset, plan: Plan, device: torch.device, most: int) -> Iterator[Batch]:
    split = dataset.train
    stride = max(1, len(split) // split.items)
    for index in torch.arange(0, min(len(split), most * stride), stride).split(512):
        yield arrange_batch(split.batch(index), plan, device)
