"""A finished run as a report shows it: curves, samples beside real items, nearest neighbours, figures, cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from genloom.errors import GenloomError
from genloom.modalities.registry import modality
from genloom.runs import read_json
from genloom.verbs.drawn import draw
from genloom.verbs.evaluate import FILE, evaluate
from genloom.verbs.opened import data_of, open_run, sampling, several
from genloom.verbs.sheets import GRIDS, enlarged, sheet_of, tile_size
from genloom.verbs.writing import LENGTH

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.core import Field
    from genloom.data import Dataset
    from genloom.engine.load import Loaded
    from genloom.report.content import DataNote, Finding, ReportRun
    from genloom.runs import Run

PAIRS = 12
CLIPS = 8  # sounds or moving pictures of each side
SOUGHT = 200_000  # training items among which neighbours are sought
MEASURED = 5000  # samples a report measures where nobody says otherwise


def look(run: Run, seed: int = 0, n: int | None = None) -> tuple[ReportRun, DataNote]:
    """Samples and measures a run and gathers all that a report says of it.

    n: samples to measure, at most as many as training items; None takes the figures that RUN/evaluation.json holds of
    this checkpoint, and measures 5,000 where there are none. A run whose data has moved or changed is shown with what
    it holds itself, and says so.
    """
    from genloom.engine.preview import item_field
    from genloom.report.content import DataNote, ReportRun
    from genloom.verbs.inside import inside

    loaded = open_run(run)
    config, status = run.config, run.status
    notes: list[str] = _state(loaded, status)
    try:
        dataset = data_of(loaded)
    except GenloomError as e:
        dataset = None
        notes.append(f"Real items and new figures are missing: {e}")
    name, kind = item_field(loaded.spec)[0], modality(item_field(loaded.spec)[1])
    whole = dataset
    dataset = None if dataset is None else dataset.only(name)
    shown = _texts(loaded, dataset, name, seed) if kind.written else _pictures(loaded, dataset, name, seed)
    shown |= inside(loaded, name, seed) if kind.tiled else {}
    figures = _figures(loaded, whole, n, seed)
    if not figures:
        notes.append("This checkpoint was not evaluated.")
    known = config.get("dataset") or {}
    train, card = config["train"], known.get("card") or {}
    if "neighbours" in shown and dataset is not None and len(dataset.train) > SOUGHT:
        notes.append(
            f"Neighbours were sought among {SOUGHT:,} of {len(dataset.train):,} training items, evenly spread."
        )
    if dataset is not None:
        card, notes = vars(dataset.card), [*notes, *dataset.notes]
    seen = ReportRun(
        name=run.name,
        recipe=config["recipe"],
        family=_family(type(loaded.model).__module__),
        rows=run.metrics(),
        evaluation=figures,
        cost=status.get("cost") or {},
        config={k: config[k] for k in ("config", "data", "train")},
        command=f"genloom train {config['recipe']} --data {config['data']['source']} --budget {train['budget']} "
        f"--seed {train['seed']}",
        parameters=sum(p.numel() for p in loaded.model.parameters()),
        items=status.get("items"),
        data=str(known.get("name") or (dataset.name if dataset else "")),
        monitor=type(loaded.model).monitor,
        plan=_plan(run.environment.get("plan") or {}),
        notes=[*notes, *(f"{r['line'][:1].upper()}{r['line'][1:]}." for r in run.repairs())],
        health=_health(run),
        **shown,
    )
    told = {key: str(card.get(key) or "") for key in ("source", "licence", "items", "citation")}
    title = str(card.get("title") or known.get("name") or config["data"]["source"])
    return seen, DataNote(title, **told, name=str(config["data"]["source"]), digest=str(known.get("digest") or ""))


def _state(loaded: Loaded, status: Mapping[str, Any]) -> list[str]:
    """A note where the run is not finished."""
    state = status.get("state")
    if state == "finished":
        return []
    done = f"{100 * float(status.get('progress') or 0):.0f}% of its budget"
    return [f"This run is not finished ({state}, {done}): shown is its checkpoint of step {loaded.step:,}."]


def _figures(loaded: Loaded, dataset: Dataset | None, n: int | None, seed: int) -> Mapping[str, Any]:
    """Those of RUN/evaluation.json where they are of this checkpoint, seed and n; else measured now, as far as the
    data can be read."""
    wanted: dict[str, Any] = {"step": loaded.step, "seed": seed, "raw": False}
    if n is not None:
        wanted["asked"] = n if dataset is None else min(n, dataset.train.items)
    path = loaded.run.path / FILE
    if path.exists():
        try:
            known = read_json(path)
            if all(known.get(k) == v for k, v in wanted.items()) and known.get("results"):
                return known
        except (GenloomError, AttributeError):
            pass  # a damaged file of figures is measured anew
    if dataset is None:
        return {}
    asked = min(n or MEASURED, dataset.train.items)
    # through JSON, so that the first report and those made from the file are the same
    return json.loads(json.dumps(evaluate(loaded, n=asked, seed=seed, page=False).to_json(), default=str))


def _pictures(loaded: Loaded, dataset: Dataset | None, name: str, seed: int) -> dict[str, Any]:
    import torch

    from genloom.core import CanSample

    field, kind = loaded.spec[name], modality(loaded.spec[name].modality)
    count = next(n for side, n in GRIDS if max(tile_size(field)) <= side)
    count = min(count, kind.preview)
    found: dict[str, Any] = {}
    if dataset is not None:
        chosen = torch.linspace(0, len(dataset.test) - 1, min(count, len(dataset.test))).long()
        real = dataset.test.raw(chosen)[name]
        found |= {"real": sheet_of(real, field), "real_clips": kind.codec.clips(real[:CLIPS], field)}
    if isinstance(loaded.model, CanSample):
        across = max(1, several(loaded.spec))
        samples = draw(loaded, count // across, seed=seed, options=sampling())
        found |= {"samples": sheet_of(samples, field), "clips": kind.codec.clips(samples[:CLIPS], field)}
        if dataset is not None and kind.tiled and kind.codec.measured(field) is not None:
            some = samples[::across][: min(PAIRS, count)]
            found["neighbours"] = _pairs(some, _twins(dataset, name, some), field)
    return found


def _pairs(items: Tensor, twins: Tensor, field: Field) -> Image.Image:
    """Items above their twins, in as many rows of pairs as fit."""
    from genloom.modalities import image
    from genloom.report.pictures import pairs, sheet

    codec = modality(field.modality).codec
    some, others = (image.to_array(codec.tiles(x, field)) for x in (items, twins))
    height, width = some.shape[1:3]
    across = max(1, min(len(some), PAIRS * 64 // width))
    if across >= len(some):
        return pairs(some, others, enlarged(height, width))
    starts = range(0, len(some), across)
    return sheet([x[i : i + across] for i in starts for x in (some, others)], enlarged(height, width))


def _twins(dataset: Dataset, name: str, samples: Tensor) -> Tensor:
    """The training item nearest to each sample, in pixels (of sounds and clips: of the pictures they are measured by);
    training items are read in blocks, so many as SOUGHT."""
    from genloom.metrics.neighbours import nearest_in
    from genloom.metrics.pictured import as_pictures, pictured

    field, known = dataset.spec[name], pictured(dataset.train)
    near = nearest_in(known, name, as_pictures(samples, field), limit=SOUGHT).indices[:, 0]
    return dataset.train.raw(near)[name]


def _texts(loaded: Loaded, dataset: Dataset | None, name: str, seed: int) -> dict[str, Any]:
    import torch

    assert loaded.tokenizer is not None
    ids = draw(loaded, 1, seed=seed, options=sampling(length=LENGTH))[0]
    found = {"samples": loaded.tokenizer.decode(ids.tolist())}
    if dataset is None:
        return found
    # non-overlapping windows of held-out text, put together to the same length
    count = max(1, min(-(-LENGTH // dataset.test.spec[name].shape[0]), dataset.test.items))
    stride = max(1, len(dataset.test) // max(1, dataset.test.items))
    real = dataset.test.raw(torch.arange(count) * stride)[name].flatten()[:LENGTH]
    return {**found, "real": loaded.tokenizer.decode(real.tolist())}


def _health(run: Run) -> list[Finding]:
    """What the run's own watch found; nothing where there was none, or its file cannot be read."""
    from genloom.report.content import Finding

    known = {f.name for f in fields(Finding)}
    try:
        rows = run.health()
    except GenloomError:
        return []
    found = []
    for row in rows:
        if row.get("name"):
            one = Finding(**{k: v for k, v in row.items() if k in known})
            found.append(one if one.until is None else replace(one, level="note"))  # the page says from when to when
    return found


def _family(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["genloom", "models"] and len(parts) > 3 else parts[0]


def _plan(plan: Mapping[str, Any]) -> str:
    if not plan:
        return ""
    extras = [word for key, word in (("channels_last", "channels_last"), ("compile", "compiled")) if plan.get(key)]
    return f"{', '.join([str(plan.get('dtype', '')), *extras])} ({plan.get('reason', '')})"
