"""`genloom evaluate A --against B`: two runs, or two sets of samples, measured alike, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue
from genloom.verbs.guiding import check_truncation
from genloom.verbs.opened import OWN, AnyRun, data_of, images_in, open_run
from genloom.verbs.results import Table, cell

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Sampling
    from genloom.data import Dataset
    from genloom.engine.load import Loaded
    from genloom.metrics.evaluate import Evaluation
    from genloom.metrics.features import Extractor
    from genloom.metrics.paired import Difference


def runs_apart(
    first: AnyRun,
    second: AnyRun,
    n: int,
    seed: int,
    raw: bool,
    options: Sampling,
    runs: str | Path,
    extractor: str = OWN,
) -> Table:
    """Both runs' models on the data both were trained on: n samples each from one seed, likelihoods of the same items.

    Raises BadData where their data differ, or where they have no figure in common.
    """
    import torch

    from genloom.engine.preview import item_field
    from genloom.metrics.evaluate import draw, evaluate_samples, write
    from genloom.metrics.pairs import to_be_made
    from genloom.metrics.pictured import pictured_set, seen

    both = [open_run(run, runs, raw) for run in (first, second)]
    for loaded in both:
        check_truncation(loaded, options)
    sets = [data_of(loaded) for loaded in both]
    if sets[0].digest != sets[1].digest:
        raise BadData(
            f"{both[0].run.path} and {both[1].run.path} were trained on different data, {sets[0].name} "
            f"({sets[0].digest[:12]}) and {sets[1].name} ({sets[1].digest[:12]}), or on the same at another size, "
            "split or tokenizer: compare runs on the same data, as `genloom compare` makes them"
        )
    dataset = sets[0]
    name, modality = item_field(dataset.spec)
    names = [str(loaded.run.path) for loaded in both]
    net = images_in(extractor, modality, dataset)
    found: list[Difference] = _likelihoods(both, dataset, n if modality == "text" else min(n, 2_000), seed)
    evaluations: list[Evaluation] = []
    notes: list[str] = []
    if all(_draws(loaded) for loaded in both):
        items: list[Tensor | list[str]] = []
        for loaded in both:
            generator = torch.Generator(loaded.device).manual_seed(seed)
            if seen(dataset.spec[name]):
                with loaded.drawing():
                    told = to_be_made(loaded.model, dataset.spec, dataset.test, name, n)
                    items.append(draw(loaded.model, name, n, generator, options, field=dataset.spec[name], told=told))
            elif dataset.tokenizer is not None:
                items.append(write(loaded.model, name, dataset.spec[name], dataset.tokenizer, generator, options))
        shown = pictured_set(dataset.only(name))
        if seen(dataset.spec[name]):
            found = [*_images(items, shown, notes, net), *found]
        evaluations = [evaluate_samples(part, shown, seed=seed, extractor=net) for part in items]
        side_by_side(evaluations)
    if not found:
        raise BadData(
            f"{names[0]} and {names[1]} have no figure in common: neither both draw nor both give likelihoods"
        )
    return _table(names, found, evaluations, dataset, seed, notes)


def samples_apart(
    first: tuple[str, Tensor | list[str]],
    second: tuple[str, Tensor | list[str]],
    dataset: Dataset,
    seed: int,
    notes: Sequence[str] = (),
    net: Extractor | None = None,
) -> Table:
    """Two sets of samples, each with its name. Raises BadValue for texts, which have no paired figure."""
    import torch

    from genloom.metrics.evaluate import evaluate_samples

    items = [first[1], second[1]]
    evaluations = [evaluate_samples(part, dataset, seed=seed, extractor=net) for part in items]
    if not isinstance(items[0], torch.Tensor):
        raise BadValue(
            "--against: texts have no figure to be compared by without their models; evaluate each by itself"
        )
    told = list(notes)
    mixed = [part[torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))]
             for part in items if isinstance(part, torch.Tensor)]  # fmt: skip
    return _table([first[0], second[0]], _images(mixed, dataset, told, net), evaluations, dataset, seed, told)


def side_by_side(evaluations: Sequence[Evaluation]) -> None:
    """Raises BadValue, with the reason and the cure, where two evaluations hold figures that do not compare."""
    from genloom.metrics.base import comparable

    first = {r.key: r for r in evaluations[0].results}
    for other in evaluations[1:]:
        for result in other.results:
            if result.key in first:
                comparable(first[result.key], result)


def _draws(loaded: Loaded) -> bool:
    from genloom.core import CanSample

    return isinstance(loaded.model, CanSample)


def _images(items: Sequence[Any], dataset: Dataset, notes: list[str], net: Extractor | None) -> list[Difference]:
    """Differences of two sets of images, uint8 (n, C, H, W), in random order."""
    from genloom.metrics.paired import image_differences
    from genloom.metrics.store import extractor_for

    net = net or extractor_for(dataset)
    features = [net.features(images) for images in items]
    return image_differences(net, dataset, features[0], features[1], notes)


def _likelihoods(both: Sequence[Loaded], dataset: Dataset, limit: int, seed: int) -> list[Difference]:
    """Of the same held-out items, item by item, where both models give them and in the same sense."""
    import math

    import torch

    from genloom.core import HasLikelihood
    from genloom.engine.preview import item_field
    from genloom.metrics.likelihood import nlls, windows
    from genloom.metrics.paired import of_items

    models = [loaded.model for loaded in both]
    kinds = {m.kind if isinstance(m, HasLikelihood) else "" for m in models}
    name, modality = item_field(dataset.spec)
    if len(kinds) > 1 or "" in kinds or modality not in ("image", "text"):
        return []
    index = windows(dataset.test, limit)
    values = [
        nlls(loaded.model, dataset.test, index, generator=torch.Generator(loaded.device).manual_seed(seed))
        for loaded in both
    ]
    dimensions = math.prod(dataset.spec[name].shape)
    if modality == "text":
        nats = [v / dimensions for v in values]
        return [of_items("nats_per_token", "nats per token", nats[0], nats[1], "lower")]
    bits = [v / (dimensions * math.log(2)) for v in values]
    kind = {"bound": " (upper bound)", "estimate": " (estimate)"}.get(kinds.pop(), "")
    return [of_items("bits_per_dimension", f"bits per dimension{kind}", bits[0], bits[1], "lower")]


def _table(
    names: Sequence[str],
    found: Sequence[Difference],
    evaluations: Sequence[Evaluation],
    dataset: Dataset,
    seed: int,
    notes: Sequence[str],
) -> Table:
    rows = []
    for d in found:
        ends = "" if d.interval is None else f"{d.interval[0]:.3g} .. {d.interval[1]:.3g}"
        told = {None: "", True: "yes", False: "no"}[d.significant]
        winner = {"first": names[0], "second": names[1], "": ""}[d.winner]
        rows.append((d.name, cell(d.first), cell(d.second), cell(d.difference), ends, told, Path(winner).name, d.n))
    judged = [d for d in found if d.interval is not None]
    said = list(dict.fromkeys(notes))
    said.append(
        f"first: {names[0]}, second: {names[1]}, both on {dataset.name} with seed {seed}; difference: second - first. "
        f"Of {len(judged)} equal figures, {0.05 * len(judged):.1f} would differ by chance."
    )
    for name, evaluation in zip(names, evaluations, strict=False):
        if evaluation.memorisation:
            said.append(f"{name}: {evaluation.memorisation['sentence']}")
    columns = ("figure", "first", "second", "difference", "95% interval", "significant", "better", "n")
    more = {
        "first": names[0],
        "second": names[1],
        "data": dataset.name,
        "digest": dataset.digest,
        "seed": seed,
        "differences": [d.to_json() for d in found],
        "evaluations": [e.to_json() for e in evaluations],
        "notes": said,
    }
    return Table("table", columns, tuple(rows), tuple(said), more)
