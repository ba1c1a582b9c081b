"""The page that `genloom evaluate` leaves beside a run or a file of samples."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import Storage

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.data import Dataset

TEXTS = 8  # samples that are shown of texts
LENGTH = 600  # characters of each


def page_of(path: Path) -> Path:
    """Where the page of a file or folder of samples lies: beside it."""
    return path.with_name(f"{path.stem if path.is_file() else path.name}-evaluation.html")


def write_page(
    place: Path,
    title: str,
    told: Mapping[str, Any],
    command: str,
    dataset: Dataset | None = None,
    items: Tensor | Sequence[str] | None = None,
    references: Sequence[Sequence[str]] | None = None,
) -> str:
    """Writes the page of an evaluation (as `to_json` gives it). Returns its place, "" where nothing can be written.

    items: the samples, in the order that `memorisation` counts them in.
    """
    from genloom.report.content import DataNote
    from genloom.report.evaluation import EvaluationPage, write_evaluation

    note = None
    if dataset is not None:
        card = dataset.card
        note = DataNote(card.title, card.source, card.licence, name=dataset.name, digest=dataset.digest)
    shown: dict[str, Any] = {}
    if items is not None and not isinstance(items, Sequence):
        shown = _pictures(items, dataset, told.get("memorisation", {})) if dataset is not None else {}
    elif items is not None:
        shown = _texts(items, dataset, references, told.get("memorisation", {}))
    page = EvaluationPage(title, told, note, command=command, made=time.strftime("%Y-%m-%d %H:%M"), **shown)
    with contextlib.suppress(Storage):  # a read-only place can be measured in, only not written to
        return str(write_evaluation(page, place))
    return ""


def _pictures(items: Tensor, dataset: Dataset, judged: Mapping[str, Any]) -> dict[str, Any]:
    """Sheets of samples and of held-out items, and the pairs that are most alike."""
    import torch

    from genloom.modalities import image
    from genloom.report.pictures import pairs
    from genloom.verbs.sheets import GRIDS, enlarged, tiles

    name = next(k for k, f in dataset.spec.items() if f.role == "item")
    if dataset.spec[name].modality != "image":
        return {}
    height, width = items.shape[-2:]
    count = next(n for side, n in GRIDS if max(height, width) <= side)
    chosen = torch.linspace(0, len(dataset.test) - 1, min(count, len(dataset.test))).long()
    found: dict[str, Any] = {
        "samples": tiles(image.to_bytes(items[:count])),
        "real": tiles(dataset.test.raw(chosen)[name]),
    }
    known = [(i, j) for i, j, _ in judged.get("pairs", ()) if i < len(items)]
    if known:
        rows = _searched(dataset)[[j for _, j in known]]
        mine = image.to_array(image.to_bytes(items[[i for i, _ in known]]))
        theirs = image.to_array(dataset.train.raw(rows)[name])
        scale, across = enlarged(height, width), max(1, min(len(mine), 12 * 64 // width))
        found["closest"] = _blocks(mine, theirs, across, scale) if across < len(mine) else pairs(mine, theirs, scale)
    return found


def _blocks(mine: Any, theirs: Any, across: int, scale: int) -> Image.Image:
    from genloom.report.pictures import sheet

    return sheet([x[i : i + across] for i in range(0, len(mine), across) for x in (mine, theirs)], scale)


def _searched(dataset: Dataset) -> Tensor:
    """The rows of the training part among which copies were sought, as `originality` takes them."""
    import torch

    from genloom.metrics.originality import TRAIN

    return torch.linspace(0, len(dataset.train) - 1, min(TRAIN, len(dataset.train))).long()


def _texts(
    items: Sequence[str],
    dataset: Dataset | None,
    references: Sequence[Sequence[str]] | None,
    judged: Mapping[str, Any],
) -> dict[str, Any]:
    from genloom.modalities.text import SEPARATOR

    found: dict[str, Any] = {"samples": SEPARATOR.join(t[:LENGTH] for t in items[:TEXTS])}
    if references is not None:
        found["samples"] = SEPARATOR.join(
            f"{text[:LENGTH]}\n\nreference: {one[0][:LENGTH]}"
            for text, one in zip(items[:TEXTS], references, strict=False)
        )
    if dataset is not None and dataset.tokenizer is not None:
        import torch

        name = next(k for k, f in dataset.spec.items() if f.role == "item")
        rows = torch.linspace(0, max(0, len(dataset.test) - 1), min(TEXTS, max(1, dataset.test.items))).long()
        real = dataset.test.raw(rows)[name]
        found["real"] = SEPARATOR.join(dataset.tokenizer.decode(row.tolist())[:LENGTH] for row in real)
    stretches = dict.fromkeys((int(n), words) for n, words in judged.get("worst", ()) if n)
    found["stretches"] = tuple(stretches)[:3]
    return found
