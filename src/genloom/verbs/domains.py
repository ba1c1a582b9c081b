"""`genloom translate --task a-to-b`: pictures brought from one of the data's fields into another by a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue
from genloom.verbs.opened import data_of
from genloom.verbs.photo import read_photo
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Batch, Sampling
    from genloom.data import Dataset
    from genloom.engine.load import Loaded

ANSWERS = 4  # whose mean is scored too: the least error is not that of one plausible answer
NEIGHBOURS = 10_000  # training items among which the nearest is sought
SHOWN = 12


def crossed(
    loaded: Loaded,
    task: str,
    photo: str | Path | None,
    n: int | None,
    label: str | int | None,
    seed: int,
    options: Sampling,
    out: str | Path | None,
) -> Facts:
    """A picture of the user's in n (1) ways, or n (all, up to 1,000) held-out ones, scored against their partners
    beside simple methods. Raises BadValue and BadData for what cannot be translated."""
    import torch

    from genloom.core import translations
    from genloom.metrics.pairs import tasks_of, translated
    from genloom.modalities import image
    from genloom.verbs.tasks import condition_of

    where, model, spec = loaded.run.path, loaded.model, loaded.spec
    known = tasks_of(model, spec)
    if task not in known:
        able = (
            f"name {' or '.join(known)}"
            if known
            else f"a model of type {type(model).__name__} makes no pictures of \
others: train recipe pix2pix or cyclegan"
        )
        raise BadValue(f"{where} was not trained for {task}: {able}")
    between = translations(spec)[task]
    shape = spec[between[0]].shape
    place = check_out(out or loaded.run.samples / f"{task}-seed{seed}.png", "image", folder=False)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    if photo is None:
        return _scored(loaded, task, between, n, label, seed, options, generator, place)
    count = check_count(1 if n is None else n)
    given = read_photo(photo, [(shape[1], shape[2])], shape[0]).expand(count, *shape)
    told = condition_of(loaded, label, count)
    with loaded.drawing():
        made = translated(model, task, between, given, generator, condition=told, options=options)
    groups = [(between[0], image.to_bytes(given[:1])), (between[1], image.to_bytes(made))]
    picture = image.png(image.labelled(groups, columns=max(1, min(8, count))))
    _save(made, place, picture)
    data = {"run": str(where), "task": task, "n": count, "seed": seed, "out": str(place)}
    return Facts(str(place), (("task", task), ("answers", count), ("of", str(photo))), data, (), picture)


def _save(made: Tensor, place: Path, picture: bytes) -> None:
    """The items themselves into a .npy, the sheet into a .png."""
    from genloom.modalities import image

    if place.suffix == ".npy":
        image.save(image.to_bytes(made), place)
    else:
        image.write_bytes(place, picture)


def _scored(
    loaded: Loaded, task: str, between: tuple[str, str], n: int | None, label: str | int | None, seed: int,
    options: Sampling, generator: Any, place: Path,
) -> Facts:  # fmt: skip
    import torch

    from genloom.core import CanTranslate
    from genloom.metrics.base import Result
    from genloom.metrics.pairs import MOST, held_out, likeness, simple, translated
    from genloom.modalities import image
    from genloom.verbs.tasks import condition_of

    dataset = data_of(loaded)
    source, target = between
    paired = dataset.test.paired
    test = dataset.test
    if not len(test):
        raise BadData(f"{dataset.name} holds no held-out items to try: name a picture of yours")
    rows, given, originals = held_out(test, between, MOST if n is None else check_count(n))
    batch = test.batch(rows)
    told: Batch | None = condition_of(loaded, label, len(rows))
    if told is None:  # what the model was told in training besides the picture
        kinds = {k for k, f in loaded.spec.items() if f.role == "condition" and k != source and f.domain == ""}
        told = {k: v for k, v in batch.items() if k in kinds}

    def answer() -> Tensor:
        with loaded.drawing():
            return translated(loaded.model, task, between, given, generator, condition=told, options=options)

    made = answer()
    ways = {"the model": made}
    if not (isinstance(loaded.model, CanTranslate) and loaded.model.one_answer):
        ways[f"the model, mean of {ANSWERS} answers"] = torch.stack([made, answer(), answer(), answer()]).mean(0)
    ways |= simple(given, *_known(dataset, between))
    results: list[Result] = (
        [r for way, items in ways.items() for r in likeness(items, originals, way)] if paired else []
    )
    shown = [(source, given), *ways.items(), *([(f"held-out {target}", originals)] if paired else [])]
    groups = [(title, image.to_bytes(items[_few(len(items))])) for title, items in shown]
    picture = image.png(image.labelled(groups, columns=min(SHOWN, len(rows))))
    _save(made, place, picture)
    facts = [(r.name, f"{r.value:.2f}" if r.key == "psnr" else f"{r.value:.4f}") for r in results]
    notes = () if paired else ("no pairs are known: there is nothing to score against; --data.pairing hidden keeps "
                               "those of a folder whose files are named alike",)  # fmt: skip
    data = {"run": str(loaded.run.path), "task": task, "n": len(rows), "seed": seed, "out": str(place),
            "results": [r.to_json() for r in results]}  # fmt: skip
    return Facts(f"{task} of {len(rows)} held-out items", (*facts, ("picture", str(place))), data, notes, picture)


def _few(n: int) -> Tensor:
    from genloom.metrics.base import spread

    return spread(n, SHOWN)


def _known(dataset: Dataset, between: tuple[str, str]) -> tuple[Tensor | None, Tensor]:
    """Training pictures: (given, made) of pairs, or (None, made) where training knows of none."""
    from genloom.metrics.base import spread

    source, target = between
    if dataset.train.paired:
        batch = dataset.train.batch(spread(len(dataset.train), NEIGHBOURS))
        return batch[source], batch[target]
    train = dataset.only(target).train
    return None, train.batch(spread(len(train), NEIGHBOURS))[target]
