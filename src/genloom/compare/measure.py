"""What is measured of each run: the figures of its end, and its quality at earlier moments of training.

Both are kept in the run's folder and taken from there where they fit. RUN/evaluation.json is that of `genloom
evaluate`, RUN/curve.json holds {"key", "n", "seed", "step", "points": [{"share", "step", "seconds", "value"}]}.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from genloom.compare.plan import Plan
from genloom.errors import BadData, GenloomError
from genloom.runs import Run, read_json
from genloom.verbs.evaluate import FILE, evaluate
from genloom.verbs.opened import data_of
from genloom.verbs.results import finite

if TYPE_CHECKING:
    import torch

    from genloom.data import Dataset
    from genloom.engine.load import Loaded

CURVE = "curve.json"


def figures(run: Run, plan: Plan) -> Mapping[str, Any]:
    """The evaluation of a run's end as JSON holds it, from its file if that is of this checkpoint, n and seed."""
    wanted = {"step": run.checkpoints()[-1], "asked": plan.n, "seed": plan.evaluation_seed, "raw": False}
    known = _read(run, FILE)
    same = all(known.get(k) == v for k, v in wanted.items()) and known.get("repeats", 1) == plan.repeats
    if same and known.get("results"):
        return known
    result = evaluate(run, n=plan.n, seed=plan.evaluation_seed, repeats=plan.repeats, page=False)
    return json.loads(json.dumps(finite(result.to_json())))


def curve(run: Run, plan: Plan) -> list[dict[str, Any]]:
    """The ranking figure at the plan's moments and at the end, all on curve_n items: [{"share", "seconds", "value"}].

    A model that is made ready for use after its last step (a prior that is fitted) is made ready at each moment too.
    """
    from genloom.engine import moments
    from genloom.engine.load import load
    from genloom.engine.precision import Plan as Arithmetic

    if not plan.moments:
        return []
    about = {"key": plan.key, "n": plan.curve_n, "seed": plan.evaluation_seed, "step": run.checkpoints()[-1]}
    known = _read(run, CURVE)
    points = {p["share"]: p for p in known["points"]} if all(known.get(k) == v for k, v in about.items()) else {}
    kept = {m.share: m for m in moments.kept(run)}
    dataset: Dataset | None = None
    for share in (*plan.moments, 1.0):
        if share in points or (share < 1.0 and share not in kept):
            continue
        loaded = load(run, moment=kept.get(share))
        dataset = dataset or data_of(loaded)
        if share < 1.0:
            moments.finish(loaded.model, _own(loaded), Arithmetic(), loaded.device,
                           seed=loaded.settings.train.seed, step=loaded.step, items=0)  # fmt: skip
        seconds = kept[share].seconds if share < 1.0 else float(run.status["seconds"])
        value = _figure(loaded, dataset, plan, last=share == 1.0)
        if math.isnan(value):  # on the way, the model drew what cannot be measured: no point of the curve
            continue
        points[share] = {"share": share, "step": loaded.step, "seconds": seconds, "value": value}
        run.write(CURVE, finite({**about, "points": [points[s] for s in sorted(points)]}))
    return [points[s] for s in sorted(points)]


def value_of(evaluation: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The figure `key` of an evaluation: {"value", "interval", "n", "name", "better"}; None where it was not measured.

    "smallest_share" is the share of the class that is rarest among the samples, "bits_per_character" the nats in bits;
    of a model of several collections, "fd" is the mean of theirs.
    """
    results = {r["key"]: r for r in evaluation.get("results", ())}
    each = [r for k, r in results.items() if k.endswith(f":{key}")]
    if key == "fd" and each and all(r["value"] is not None for r in each):
        value, n = sum(r["value"] for r in each) / len(each), min(r["n"] for r in each)
        return {
            **_short(each[0]),
            "value": value,
            "interval": None,
            "n": n,
            "name": "FD, mean of collections",
            "how": "",
        }
    if key == "smallest_share":
        shares = [r for k, r in results.items() if k.startswith("share:")]
        if not shares:
            return None
        least = min(shares, key=lambda r: r["value"])
        return {**_short(least), "name": "smallest class", "better": "higher"}
    if key == "bits_per_character":
        if "nats_per_character" not in results:
            return None
        nats, bit = _short(results["nats_per_character"]), 0.6931471805599453
        interval = None if nats["interval"] is None else [v / bit for v in nats["interval"]]
        value = None if nats["value"] is None else nats["value"] / bit
        return {**nats, "name": "bits per character", "value": value, "interval": interval}
    return _short(results[key]) if key in results else None


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    how = result.get("protocol", {}).get("interval")
    return {**{k: result[k] for k in ("value", "interval", "n", "name", "better")}, "how": how or ""}


def _figure(loaded: Loaded, dataset: Dataset, plan: Plan, last: bool) -> float:
    """NaN where the model drew what is not finite on the way; raises NotFinite where it does so at the end."""
    import torch

    from genloom.engine.preview import item_field
    from genloom.metrics.drawing import NotFinite
    from genloom.metrics.likelihood import likelihood

    generator = torch.Generator(loaded.device).manual_seed(plan.evaluation_seed)
    if plan.key == "fd":
        try:
            found = [_distance(loaded, dataset, name, plan.curve_n, generator) for name in dataset.items]
        except NotFinite:
            if last:
                raise
            return math.nan
        return sum(found) / len(found)
    name, modality = item_field(dataset.spec)
    tokenizer = dataset.tokenizer if modality == "text" else None
    results = likelihood(loaded.model, dataset.test, dataset.spec[name], generator=generator, limit=plan.curve_n,
                       tokenizer=tokenizer, text_key=name)  # fmt: skip
    figure = value_of({"results": [r.to_json() for r in results]}, plan.key)
    if figure is None:
        raise BadData(f"{loaded.run.path} gives no {plan.key}: it cannot be compared by it")
    return float(figure["value"])


def _distance(loaded: Loaded, dataset: Dataset, name: str, n: int, generator: torch.Generator) -> float:
    """The Frechet distance of n samples of `name`; where they are made of another collection, of its held-out items."""
    from genloom.metrics.drawing import draw
    from genloom.metrics.figures import frechet_alone
    from genloom.metrics.pairs import source_of, to_be_made
    from genloom.metrics.pictured import pictured_set
    from genloom.metrics.store import extractor_for

    shown = pictured_set(dataset.only(name))
    net = extractor_for(shown, device=loaded.device)
    source = source_of(loaded.model, dataset.spec, name)
    translated = source is not None and source in dataset.items
    held_out = dataset.only(source).test if source is not None and translated else dataset.test
    count = min(n, len(held_out)) if translated else n
    with loaded.drawing():
        told = to_be_made(loaded.model, dataset.spec, held_out, name, count)
        images = draw(loaded.model, name, count, generator, field=dataset.spec[name], told=told)
    return frechet_alone(net, shown, net.features(images))


def _own(loaded: Loaded) -> Dataset:
    """The data as the model itself saw them, with labels only where it was given them."""
    from genloom import data as sets

    return sets.load(loaded.settings.data)


def _read(run: Run, name: str) -> dict[str, Any]:
    """A file of the run; empty where it is missing or damaged, which means measuring anew."""
    try:
        known = read_json(run.path / name) if (run.path / name).exists() else {}
    except GenloomError:
        return {}
    return known if isinstance(known, dict) else {}
