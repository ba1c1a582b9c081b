"""`genloom anomaly`: which items a run's model finds unusual, and how well that tells a class it has never seen."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue
from genloom.modalities.registry import modality
from genloom.verbs.opened import AnyRun, data_of, open_run
from genloom.verbs.places import check_count, check_writable
from genloom.verbs.results import Facts, finite

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.data.judging import Judged
    from genloom.engine.load import Loaded
    from genloom.metrics.base import Result

SCORES = {
    "reconstruction": "squared error of the copy",
    "relative": "share of an item's variance that the copy misses",
    "nll": "negative log-likelihood, nats",
}
TILES, ROWS, NAMED = 16, 100, 3  # items of each kind in the picture, rows of a table there, items that are printed


def anomaly(
    run: AnyRun,
    data: str | Path | None = None,
    *,
    score: str | None = None,
    anomalous: str | None = None,
    n: int | None = None,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    runs: str | Path = "runs",
) -> Facts:
    """Scores items, the most unusual first in a .csv or .json, and shows the n most and least unusual in a .png beside.

    data: whose items; None: the held-out ones of the run's own data. overrides: fields of the data. score:
    "reconstruction", the squared error of an item's copy, "relative", that beside the item's own variance, or "nll",
    the negative log-likelihood; by default the first that the model can. anomalous: the classes that are to be told
    from the others, several by semicolon; by default those the run was trained without (--data.without). Then the area
    under the ROC curve is stated.

    Raises BadValue for a model that gives no such score or data without classes, BadData for items of another kind or
    shape and where all are of one kind.
    """
    import torch

    from genloom.engine import preview
    from genloom.metrics import anomaly as metric

    loaded = open_run(run, runs, raw)
    score = _score(loaded, score)
    key, kind = preview.item_field(loaded.spec)
    if not modality(kind).tiled and kind not in ("table", "vector"):
        raise BadValue(f"`genloom anomaly` scores pictures, rows, sounds and clips; {loaded.run.path} makes {kind}s")
    check_count(1 if n is None else n)
    items, source = _items(loaded, data, key, overrides or {})
    if not len(items):
        raise BadData(f"{source} holds no items to score: give --data with some")
    unusual = _unusual(loaded, items, anomalous)
    place = Path(out or loaded.run.samples / f"anomaly-{Path(source).stem}-{score}{'-raw' * raw}.csv")
    if place.suffix.lower() not in (".csv", ".json"):
        raise BadValue(f"--out {place}: scores are written to .csv or .json, got {place.suffix or 'no ending'!r}")
    check_writable(place, "--out")
    errors = None
    with preview.resting(loaded.model), _untold(loaded):
        if score == "nll":
            generator = torch.Generator(loaded.device).manual_seed(seed)
            scores = metric.surprises(loaded.model, items.take, key, len(items), generator)
        else:
            errors = metric.copy_errors(loaded.model, items.take, key, len(items), loaded.device)
            scores = errors.mean(1)
            if score == "relative":
                scores = _relative(items, errors)
    order = torch.argsort(scores, descending=True, stable=True)
    columns = _columns(items, errors)
    results = [] if unusual is None else metric.detection(scores, unusual, score)
    rows = [
        {
            "item": items.names[i],
            "score": float(f"{float(scores[i]):.6g}"),
            **({} if items.classes is None else {"class": items.kinds[items.classes[i]]}),
            **({} if columns is None else {"column": columns[i]}),
        }
        for i in order.tolist()
    ]
    about: dict[str, Any] = {
        "run": str(loaded.run.path), "data": source, "score": score, "n": len(items), "seed": seed, "raw": raw,
        "anomalous": None if unusual is None else _kinds(items, unusual),
        "results": [r.to_json() for r in results],
    }  # fmt: skip
    picture = _shown(loaded, items, order, n, score != "nll")
    _write(place, picture, rows, about)
    facts: list[tuple[str, Any]] = [(r.name, _told(r)) for r in results]
    facts += [(f"unusual {i + 1}", ", ".join(f"{k} {v}" for k, v in row.items())) for i, row in enumerate(rows[:NAMED])]
    facts += [("scores", place), ("picture", place.with_suffix(".png"))]
    notes: tuple[str, ...] = ()
    if unusual is None and items.classes is not None:
        notes = ("--anomalous CLASS states how well the scores tell that class from the others",)
    return Facts(f"{len(items):,} items of {source} by {score} ({SCORES[score]})", tuple(facts),
                 {**about, "out": str(place), "items": rows}, notes, _png(picture))  # fmt: skip


@contextmanager
def _untold(loaded: Loaded) -> Iterator[None]:
    """Items are scored without their classes: whoever knew those would know what is sought."""
    try:
        yield
    except KeyError as e:
        if e.args[0] not in loaded.spec:
            raise
        raise BadValue(
            f"the model of {loaded.run.path} must be told {e.args[0]!r} of every item, and items are scored without: "
            "train it with --data.labels false"
        ) from None


def _relative(items: Judged, errors: Tensor) -> Tensor:
    """`metrics.anomaly.relative`, block by block."""
    import torch

    from genloom.metrics.anomaly import BATCH, relative

    blocks = torch.arange(len(items)).split(BATCH)
    return torch.cat([relative(errors[i], items.take(i)[items.key].flatten(1)) for i in blocks])


def _score(loaded: Loaded, score: str | None) -> str:
    """The score that is asked for, or the first the model can. Raises BadValue."""
    from genloom.core import HasLikelihood
    from genloom.metrics.anomaly import can_copy

    copies = can_copy(loaded.model)
    able = {"reconstruction": copies, "relative": copies, "nll": isinstance(loaded.model, HasLikelihood)}
    if score is not None and score not in SCORES:
        raise BadValue(f"--score: expected {', '.join(SCORES)}, got {score!r}")
    usable = [name for name, can in able.items() if can]
    if not usable:
        raise BadValue(
            f"{loaded.run.path}: its model neither copies items through a code nor gives them a likelihood: train "
            "recipe autoencoder or vae"
        )
    if score is not None and not able[score]:
        why = "copies nothing through a narrower code" if score != "nll" else "gives no likelihood"
        raise BadValue(f"--score {score}: the model of {loaded.run.path} {why}: use --score {usable[0]}")
    return score or usable[0]


def _items(loaded: Loaded, data: str | Path | None, key: str, overrides: Mapping[str, Any]) -> tuple[Judged, str]:
    """What is to be scored, and what it is called."""
    from genloom.data.judging import held_out, others
    from genloom.recipes import fields

    known = loaded.settings.data
    if data is None and overrides:
        raise BadValue(f"--{next(iter(overrides))} goes with --data; the run's own items come as it was trained")
    if data is None or (str(data) == known.source and not overrides):
        return held_out(data_of(loaded), key), known.source
    field = loaded.spec[key]
    if field.modality == "image" and known.channels == "auto":  # as the model has them, not as these have
        known = replace(known, channels="grey" if field.shape[0] == 1 else "rgb")
    short = {k.removeprefix("data."): v for k, v in overrides.items()}
    options = fields.override(replace(known, source=str(data)), short, prefix="data.", see="genloom data show --help")
    return others(options, loaded.spec, key), str(data)


def _unusual(loaded: Loaded, items: Judged, anomalous: str | None) -> Any:
    """Which items (n,) are of the classes to be found; None where nobody names any."""
    import numpy as np

    from genloom.data.left_out import named

    if anomalous is None:
        left = loaded.settings.data.without
        known = {w.strip() for w in left.split(";")} <= {*items.kinds, *map(str, range(len(items.kinds)))}
        anomalous = left if known else ""
    found = named(anomalous, items.kinds, "--anomalous")
    return np.isin(items.classes, found) if found and items.classes is not None else None


def _kinds(items: Judged, unusual: Any) -> list[str]:
    """The names of the classes that are to be found."""
    return [] if items.classes is None else [items.kinds[c] for c in sorted(set(items.classes[unusual].tolist()))]


def _columns(items: Judged, errors: Tensor | None) -> list[str] | None:
    """The column of each row whose copy is furthest off; None where items are no rows."""
    import torch

    if errors is None or not items.field.columns:
        return None
    parts = errors.split([c.width for c in items.field.columns], 1)
    worst = torch.stack([part.sum(1) for part in parts], 1).argmax(1)
    return [items.field.columns[i].name for i in worst.tolist()]


def _shown(loaded: Loaded, items: Judged, order: Tensor, n: int | None, copies: bool) -> Image.Image:
    """The most and the least unusual items, with their copies where those were judged; of rows their columns."""
    import torch
    from PIL import Image

    from genloom.modalities import image

    codec, key = modality(items.field.modality).codec, items.key
    tiled = modality(items.field.modality).tiled
    count = min(len(items), n or (TILES if tiled else ROWS))
    groups: list[tuple[str, Tensor]] = []
    for title, some in ((f"the {count} most unusual", order[:count]), (f"the {count} least unusual", order[-count:])):
        x = items.take(some)[key]
        groups.append((title, x))
        if tiled and copies:
            model: Any = loaded.model
            with torch.no_grad():
                copied = model.decode(model.encode({key: x.to(loaded.device)}))[key].cpu()
            groups.append(("their copies", copied))
    if tiled:
        return image.labelled([(t, codec.tiles(x, items.field)) for t, x in groups], columns=min(16, count))
    sheets = [codec.picture(x, items.field) for _, x in groups]
    band = 24
    whole = Image.new("RGB", (sheets[0].width, sum(s.height + band for s in sheets)), "white")
    top = 0
    for (title, _), sheet in zip(groups, sheets, strict=True):
        image.write_on(whole, (12, top + 6), title)
        whole.paste(sheet, (0, top + band))
        top += sheet.height + band
    return whole


def _png(picture: Image.Image) -> bytes:
    from genloom.modalities import image

    return image.png(picture)


def _write(place: Path, picture: Image.Image, rows: list[dict[str, Any]], about: Mapping[str, Any]) -> None:
    """The scores, and the picture beside them."""
    import json

    from genloom.modalities import image

    if place.suffix.lower() == ".json":
        content = json.dumps(finite({**about, "items": rows}), ensure_ascii=False, indent=1) + "\n"
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = text.getvalue()
    image.write_bytes(place, content.encode())
    image.write_bytes(place.with_suffix(".png"), _png(picture))


def _told(result: Result) -> str:
    """A figure with its interval, or beside chance."""
    if result.interval is not None:
        return f"{result.value:.3f} ({result.interval[0]:.3f} to {result.interval[1]:.3f})"
    return f"{result.value:.3f} (by chance {result.protocol['by_chance']:.3f})"
