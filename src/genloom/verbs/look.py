"""A finished run as a report shows it: curves, samples beside real items, nearest neighbours, figures, cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genloom.errors import GenloomError
from genloom.runs import read_json
from genloom.verbs.evaluate import FILE, data_of, evaluate
from genloom.verbs.sample import LENGTH, draw, open_run, sampling

if TYPE_CHECKING:
    from genloom.data import Dataset
    from genloom.engine.load import Loaded
    from genloom.report.content import DataNote, ReportRun
    from genloom.runs import Run

GRID = 64
PAIRS = 12


def look(run: Run, seed: int = 0, n: int = 5000) -> tuple[ReportRun, DataNote]:
    """Samples and measures a run (or takes the figures RUN/evaluation.json holds, if they are of this checkpoint, n and
    seed) and gathers all that a report says of it. n: samples to measure, at most as many as training items."""
    from genloom.engine.preview import item_field
    from genloom.report.content import DataNote, ReportRun

    loaded = open_run(run)
    dataset = data_of(loaded)
    name, modality = item_field(loaded.spec)
    config, status, environment = run.config, run.status, run.environment
    pictures: dict[str, Any]
    pictures = _texts(loaded, dataset, name, seed) if modality == "text" else _pictures(loaded, dataset, name, seed)
    train = config["train"]
    card = dataset.card
    shown = ReportRun(
        name=run.name,
        recipe=config["recipe"],
        family=_family(type(loaded.model).__module__),
        rows=run.metrics(),
        evaluation=_figures(loaded, min(n, dataset.train.items), seed),
        cost=status.get("cost") or {},
        config={k: config[k] for k in ("config", "data", "train")},
        command=f"genloom train {config['recipe']} --data {config['data']['source']} --budget {train['budget']} "
        f"--seed {train['seed']}",
        parameters=sum(p.numel() for p in loaded.model.parameters()),
        items=status.get("items"),
        data=dataset.name,
        monitor=type(loaded.model).monitor,
        plan=_plan(environment.get("plan") or {}),
        notes=list(dataset.notes),
        **pictures,
    )
    return shown, DataNote(card.title, card.source, card.licence, card.items, card.citation)


def _figures(loaded: Loaded, n: int, seed: int) -> Mapping[str, Any]:
    wanted = {"step": loaded.step, "asked": n, "seed": seed, "raw": False}
    path = loaded.run.path / FILE
    if path.exists():
        try:
            known = read_json(path)
            if all(known.get(k) == v for k, v in wanted.items()) and known.get("results"):
                return known
        except (GenloomError, AttributeError):
            pass  # a damaged file of figures is measured anew
    # through JSON, so that the first report and those made from the file are the same
    return json.loads(json.dumps(evaluate(loaded, n=n, seed=seed).to_json(), default=str))


def _pictures(loaded: Loaded, dataset: Dataset, name: str, seed: int) -> dict[str, Any]:
    import torch

    from genloom.core import CanSample
    from genloom.metrics.neighbours import nearest
    from genloom.modalities import image
    from genloom.report.write import pairs

    chosen = torch.linspace(0, len(dataset.test) - 1, min(GRID, len(dataset.test))).long()
    real = dataset.test.raw(chosen)[name]
    if not isinstance(loaded.model, CanSample):
        return {"real": image.grid(real)}
    samples = image.to_bytes(draw(loaded, GRID, seed=seed, options=sampling()))
    train = dataset.train.raw(torch.arange(len(dataset.train)))[name]
    twins = train[nearest(samples[:PAIRS], train).indices[:, 0]]
    return {
        "samples": image.grid(samples),
        "real": image.grid(real),
        "neighbours": pairs(image.to_array(samples[:PAIRS]), image.to_array(twins)),
    }


def _texts(loaded: Loaded, dataset: Dataset, name: str, seed: int) -> dict[str, Any]:
    import torch

    assert loaded.tokenizer is not None
    ids = draw(loaded, 1, seed=seed, options=sampling(length=LENGTH))[0]
    # non-overlapping windows of held-out text, put together to the same length
    count = max(1, min(-(-LENGTH // dataset.test.spec[name].shape[0]), dataset.test.items))
    stride = max(1, len(dataset.test) // max(1, dataset.test.items))
    real = dataset.test.raw(torch.arange(count) * stride)[name].flatten()[:LENGTH]
    return {"samples": loaded.tokenizer.decode(ids.tolist()), "real": loaded.tokenizer.decode(real.tolist())}


def _family(module: str) -> str:
    parts = module.split(".")
    return parts[2] if parts[:2] == ["genloom", "models"] and len(parts) > 3 else parts[0]


def _plan(plan: Mapping[str, Any]) -> str:
    if not plan:
        return ""
    extras = [word for key, word in (("channels_last", "channels_last"), ("compile", "compiled")) if plan.get(key)]
    return f"{', '.join([str(plan.get('dtype', '')), *extras])} ({plan.get('reason', '')})"
