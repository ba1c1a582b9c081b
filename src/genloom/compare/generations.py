"""The work of an experiment on collapse: generation after generation, each learning from the last one's samples.

EXPERIMENT/data/NAME.npz holds what a generation learnt from, EXPERIMENT/samples/NAME.npz what it drew (a generation's
measured samples and the next one's data are the same draw). NAME is s0-g0, and s0-f0.1-g2 later: seed, share, number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genloom import data as sets
from genloom.compare import play
from genloom.compare.collapsing import SETS, Plan
from genloom.compare.rounds import Stopped
from genloom.core import derive_seed, the_class
from genloom.engine.load import load
from genloom.engine.train import create_run
from genloom.errors import BadValue, GenloomError
from genloom.metrics.base import spread
from genloom.metrics.extractor import Extractor, embed
from genloom.metrics.figures import NEIGHBOURS, Real
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.precision_recall import precision_recall
from genloom.metrics.store import extractor_for, featured
from genloom.metrics.tails import covered, least_covered, rare
from genloom.metrics.vendi import vendi_score
from genloom.modalities.image import to_array, to_bytes, to_float
from genloom.runs import Run
from genloom.runs.files import storage, write_atomic
from genloom.verbs.opened import listens

if TYPE_CHECKING:
    from genloom.data import Dataset
    from genloom.engine.journal import Reporter
    from genloom.engine.load import Loaded


def name_of(seed: int, share: float | None, generation: int) -> str:
    """How a run and its files are called."""
    return f"s{seed}-g0" if share is None else f"s{seed}-f{share:g}-g{generation}"


def missing(plan: Plan, real: Dataset, folder: Path, record: dict[str, Any], say: Reporter) -> Iterator[dict[str, Any]]:
    """Trains, draws and measures what the record lacks, run by run; yields each entry. Raises Stopped, GenloomError."""
    ruler = Ruler(real, plan.n)
    known = {e["run"]: e for e in record["runs"]}
    jobs = plan.jobs()
    for place, (seed, share, generation) in enumerate(jobs, 1):
        name = name_of(seed, share, generation)
        before = name_of(seed, share if generation > 1 else None, generation - 1)
        entry: dict[str, Any] = {"run": name, "seed": seed, "share": share, "generation": generation}
        if name in known and (known[name]["failed"] or (folder / "samples" / f"{name}.npz").exists()):
            continue
        if generation and known[before]["failed"]:
            known[name] = {**entry, "failed": f"the generation before it failed: {before}", "figures": {}}
            yield known[name]
            continue
        run = _made(plan, real, folder, name, seed, share, generation, before)
        finished = run.status.get("state") == "finished"
        played = play.Played("finished") if finished else play.apart(run.path, f"[{place}/{len(jobs)}] ")
        if played.state == "stopped":
            raise Stopped
        if played.error and played.kind != "Diverged":
            kind = BadValue if played.kind in ("TooShort", "BadValue") else GenloomError
            raise kind(f"{name}: {played.error}")
        if played.error:
            known[name] = {**entry, "failed": played.error, "figures": {}}
        else:
            images, labels = drawn(plan, load(run), real, seed, generation)
            _save(folder / "samples" / f"{name}.npz", images, labels)
            figures = ruler.measured(images)
            status = run.status
            cost = {"step": status.get("step"), "seconds": status.get("seconds"), "by_class": labels is not None}
            known[name] = {**entry, **cost, "failed": "", "figures": figures}
            means = {k: float(np.mean(v)) for k, v in figures.items()}
            shown = f"FD {means['fd']:.4g}, recall {means['recall']:.3f}, rare items covered {means['rare']:.3f}"
            say.say(f"{name}: {shown}")
        yield known[name]


def _made(
    plan: Plan, real: Dataset, folder: Path, name: str, seed: int, share: float | None, generation: int, before: str
) -> Run:
    """The run of a generation, made with its data where it is not there yet."""
    path = folder / "runs" / name
    if (path / "config.json").is_file():
        return Run(path)
    items = folder / "data" / f"{name}.npz"
    if not items.exists():
        _save(items, *mixed(plan, real, folder, seed, share, generation, before), held_out=_held_out(real))
    settings = replace(
        plan.settings,
        data=replace(plan.settings.data, source=str(items.absolute()), size=None, channels="auto"),
        train=replace(plan.settings.train, seed=1000 * seed + generation),
    )
    if path.exists():
        import shutil

        shutil.rmtree(path)  # what an interruption left before its configuration was written
    return create_run(folder / "runs", settings, sets.load(settings.data), name)


def mixed(
    plan: Plan, real: Dataset, folder: Path, seed: int, share: float | None, generation: int, before: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """What a generation learns from: images as arrays, and their classes' names where the model goes by them.

    Real items are drawn anew for each generation, the same first ones for every share.
    """
    count = plan.items if share is None else round(share * plan.items)
    order = torch.Generator().manual_seed(derive_seed(seed, "collapse, real items", generation))
    rows = torch.randperm(len(real.train), generator=order)[:count]
    batch = real.train.raw(rows)
    image = next(k for k, f in real.spec.items() if f.role == "item")
    images, labels = to_array(batch[image]), _names(real, batch)
    if share is None:
        return images, labels
    with np.load(folder / "samples" / f"{before}.npz", allow_pickle=False) as file:
        synthetic = file["images"][: plan.items - count]
        theirs = file["labels"][: plan.items - count] if "labels" in file.files else None
    whole = np.concatenate([images, synthetic]) if count else synthetic
    both = None if theirs is None or labels is None else np.concatenate([labels, theirs])
    return whole, both


def drawn(
    plan: Plan, loaded: Loaded, real: Dataset, seed: int, generation: int
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Samples for measuring and for the next generation, with their classes where the model listens to them.

    Classes are drawn as they occur among the real training items.
    """
    from genloom.engine import preview

    n = max(plan.items, SETS * plan.n)
    chance = torch.Generator().manual_seed(derive_seed(seed, "collapse, classes", generation))
    generator = torch.Generator(loaded.device).manual_seed(derive_seed(seed, "collapse, samples", generation))
    label, truth = the_class(loaded.spec), the_class(real.spec)
    condition, names = None, None
    if label is not None and truth is not None and listens(loaded, label[0]):
        rows = torch.randint(len(real.train), (n,), generator=chance)
        found = [truth[1].classes[i] for i in real.train.raw(rows)[truth[0]].tolist()]
        known = [c if c in label[1].classes else label[1].classes[0] for c in found]
        condition = {label[0]: torch.tensor([label[1].classes.index(c) for c in known], device=loaded.device)}
        names = np.array(known)
    image = next(k for k, f in loaded.spec.items() if f.role == "item")
    with preview.resting(loaded.model):
        items = preview.sample(loaded.model, n, generator, condition)[image]  # type: ignore[arg-type]
    return to_array(to_bytes(items)), names


class Ruler:
    """Measures samples on the real data, always in the same features: figures over SETS disjoint sets of n samples.

    Whatever goes by neighbours is taken of equally many samples and held-out items: with more samples than those, all
    items would be covered whatever the samples are like.
    """

    def __init__(self, real: Dataset, n: int) -> None:
        self.net: Extractor = extractor_for(real)
        self.real = Real(self.net, real, n, [], True)
        self.n = self.real.n
        chosen = spread(len(self.real.in_order), self.n)
        self.held_out = self.real.in_order[chosen]
        self.tail = rare(self.held_out, self.real.train, chunk=256)
        label = the_class(real.spec)
        self.classes = len(self.net.classes) if label is not None else 0
        rows = featured(real.test)[chosen]
        self.truth = real.test.batch(rows)[label[0]] if label is not None and self.classes else None

    def measured(self, images: NDArray[Any]) -> dict[str, list[float]]:
        """Each figure over the sets, from images as arrays (N, h, w) or (N, h, w, 3)."""
        used = torch.from_numpy(np.ascontiguousarray(images[: SETS * self.n]))
        used = used[:, None] if used.ndim == 3 else used.permute(0, 3, 1, 2)
        features = embed(self.net, (to_float(part) for part in used.split(512)))
        rows = [self.of(s) for s in features.split(self.n) if len(s) == self.n]
        return {key: [row[key] for row in rows] for key in rows[0]}

    def of(self, x: Tensor) -> dict[str, float]:
        """The figures of one set of features (n, 64)."""
        some = x[: len(self.held_out)]
        precision, recall = precision_recall(self.held_out, some, k=NEIGHBOURS)
        near = covered(self.held_out, some, k=NEIGHBOURS)
        found = {
            "fd": frechet_distance(x, self.real.held_out),
            "recall": recall,
            "rare": float(near[self.tail].double().mean()),
            "coverage": float(near.double().mean()),
            "precision": precision,
            "vendi": vendi_score(x),
        }
        if self.truth is not None:
            counts = torch.bincount(self.net.judge(x), minlength=self.classes)
            found["least"] = least_covered(near, self.truth, self.classes)[1]
            found["smallest"] = float(counts.min()) / len(x)
        return found

    def floors(self) -> dict[str, float]:
        """What as many real training items score."""
        return self.of(self.real.train[: self.n])


def _held_out(real: Dataset) -> tuple[NDArray[Any], NDArray[Any] | None]:
    image = next(k for k, f in real.spec.items() if f.role == "item")
    batch = real.test.raw(torch.arange(len(real.test)))
    return to_array(batch[image]), _names(real, batch)


def _names(real: Dataset, batch: Any) -> NDArray[Any] | None:
    """The class names of a batch, None where the data have none."""
    label = the_class(real.spec)
    return None if label is None else np.array([label[1].classes[i] for i in batch[label[0]].tolist()])


def _save(
    path: Path,
    images: NDArray[Any],
    labels: NDArray[Any] | None,
    held_out: tuple[NDArray[Any], NDArray[Any] | None] | None = None,
) -> None:
    """Writes an .npz whole or not at all; with held-out items it is a data set with a test part of its own."""
    held: dict[str, NDArray[Any]] = {"images": images}
    if labels is not None:
        held["labels"] = labels
    if held_out is not None:
        held["test_images"] = held_out[0]
        if labels is not None and held_out[1] is not None:
            held["test_labels"] = held_out[1]

    def write(place: Path) -> None:
        with open(place, "wb") as file:
            np.savez_compressed(file, **held)  # type: ignore[arg-type]

    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, write)
