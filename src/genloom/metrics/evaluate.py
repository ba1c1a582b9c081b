"""All that can be measured of a finished model on a data set, each figure with its protocol."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

import torch
from scipy.stats import t as student
from torch import Tensor

from genloom.core import CanSample, HasLikelihood, Model, Sampling, the_class
from genloom.errors import BadData, BadValue
from genloom.metrics import frechet
from genloom.metrics.base import Result
from genloom.metrics.extractor import Extractor, embed
from genloom.metrics.likelihood import Decodes, likelihood
from genloom.metrics.originality import Originality, originality
from genloom.metrics.precision_recall import precision_recall_results
from genloom.metrics.shares import class_shares
from genloom.metrics.store import DatasetLike, extractor_for, featured, split_features
from genloom.modalities.image import to_bytes, to_float

NEIGHBOURS = 5
BALLS = 5_000  # items a side for precision and recall
CHUNK = 256


class EvaluatedSet(DatasetLike, Protocol):
    """A data set with the tokenizer of its texts."""

    @property
    def tokenizer(self) -> Decodes | None: ...


@dataclass(frozen=True)
class Evaluation:
    """results: every figure; n: samples that were drawn; extractor: name@hash, or "" where none was needed;
    facts: of the extractor; seconds: by part of the work; notes: what a reader must know; memorisation: the verdict on
    copies of training items, empty where it was not asked for."""

    data: str
    digest: str
    n: int
    results: tuple[Result, ...]
    extractor: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    memorisation: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form; `results` by key stand under "values" too, for programs that want one number."""
        return {
            **asdict(self),
            "results": [r.to_json() for r in self.results],
            "values": {r.key: r.value for r in self.results},
            "notes": list(self.notes),
        }

    def __getitem__(self, key: str) -> Result:
        """The result with this key. Raises KeyError."""
        return {r.key: r for r in self.results}[key]


def evaluate(
    model: Model,
    dataset: EvaluatedSet,
    n: int,
    generator: torch.Generator,
    *,
    extractor: Extractor | None = None,
    batch: int = CHUNK,
    options: Sampling = Sampling(),
    repeats: int = 1,
    likelihood_items: int | None = 2_000,
    samples: Tensor | None = None,
    copies: bool = True,
) -> Evaluation:
    """Measures `model` against the held-out (test) items of `dataset`, always in fp32.

    n: samples to draw; generator: for samples and estimates; extractor: by default the data set's own, trained now or
    cached; options: of sampling; repeats: disjoint sets of n samples, from three on the Frechet distance gets a
    t-interval; likelihood_items: held-out items for the likelihood (None: all); samples: floats or bytes (n, C, H, W)
    already drawn, instead of drawing; copies: whether to look for copies of training items.
    Raises BadValue for n < 2, BadData where nothing can be measured.
    """
    if n < 2 or repeats < 1:
        raise BadValue(f"expected at least 2 samples and 1 repeat, got n = {n} and {repeats}: raise -n")
    key, item = next((k, f) for k, f in dataset.spec.items() if f.role == "item")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    results: list[Result] = []
    seconds: dict[str, float] = {}
    notes: list[str] = []
    used: Extractor | None = None
    found: Originality | None = None
    drawn = 0
    if item.modality == "image" and (isinstance(model, CanSample) or samples is not None):
        started = time.perf_counter()
        used = extractor or extractor_for(dataset, device=device)
        seconds["extractor"] = time.perf_counter() - started
        sets = []
        for _ in range(repeats):
            started = time.perf_counter()
            images = draw(model, key, n, generator, options, batch) if samples is None else to_bytes(samples)
            seconds["sampling"] = seconds.get("sampling", 0.0) + time.perf_counter() - started
            started = time.perf_counter()
            sets.append(embed(used, (to_float(part) for part in images.split(512))))
            seconds["features"] = seconds.get("features", 0.0) + time.perf_counter() - started
        drawn = sum(map(len, sets))
        started = time.perf_counter()
        results += compare(used, dataset, sets, notes)
        seconds["distances"] = time.perf_counter() - started
        if copies:
            started = time.perf_counter()
            found = originality(images, dataset)
            results += [found.result] if found else []
            notes += [found.sentence, *found.notes] if found else []
            seconds["copies"] = time.perf_counter() - started
    if isinstance(model, HasLikelihood):
        started = time.perf_counter()
        results += likelihood(
            model,
            dataset.test,
            item,
            generator=generator,
            limit=likelihood_items,
            batch=min(batch, 128),
            tokenizer=dataset.tokenizer if item.modality == "text" else None,
            text_key=key,
        )
        seconds["likelihood"] = time.perf_counter() - started
    if not results:
        raise BadData(f"{type(model).__name__} neither draws images nor gives probabilities: nothing can be measured")
    return Evaluation(
        data=dataset.name,
        digest=dataset.digest,
        n=drawn,
        results=tuple(results),
        extractor=used.identity if used else "",
        facts=dict(used.facts) if used else {},
        seconds={k: round(v, 3) for k, v in seconds.items()},
        notes=tuple(notes),
        memorisation=found.to_json() if found else {},
    )


@torch.no_grad()
def draw(
    model: Model, key: str, n: int, generator: torch.Generator, options: Sampling = Sampling(), batch: int = CHUNK
) -> Tensor:
    """n samples as the bytes a person would get, (n, C, H, W) uint8 on the CPU, drawn in chunks."""
    if not isinstance(model, CanSample):
        raise BadData(f"{type(model).__name__} cannot draw samples")
    training = model.training
    model.eval()
    try:
        sizes = [min(batch, n - start) for start in range(0, n, batch)]
        parts = [to_bytes(model.sample(m, options=options, generator=generator)[key]).cpu() for m in sizes]
    finally:
        model.train(training)
    return torch.cat(parts)


def compare(
    net: Extractor, dataset: DatasetLike, sets: list[Tensor], notes: list[str], *, cached: bool = True
) -> list[Result]:
    """Figures of sample features, one (n, 64) a repeat, against held-out items, beside what real training items get."""
    held_out = split_features(net, dataset, "test", cached=cached)
    train = split_features(net, dataset, "train", cached=cached)
    for part, found, split in (("held-out", held_out, dataset.test), ("training", train, dataset.train)):
        if len(found) < len(split):
            notes.append(f"{len(found):,} of the {len(split):,} {part} items stand for all in distances")
    # A fixed choice, so that the floor is the same number in every run on this data set.
    order = torch.Generator().manual_seed(0)
    real = train[torch.randperm(len(train), generator=order)]
    n = min(len(sets[0]), len(real))
    if n < len(sets[0]):
        notes.append(
            f"the training split holds {n:,} items: Frechet distances use the first {n:,} samples, as the floor does"
        )
    if min(len(held_out), n) < 2:
        raise BadData(f"{len(held_out)} held-out and {n} training items: too few to measure against")
    name = f"FD({net.identity})"
    distances = [frechet.frechet_distance(s[:n], held_out) for s in sets]
    floor = frechet.frechet_distance(real[:n], held_out)
    protocol = {"n": n, "n_held_out": len(held_out), "features": net.identity, "precision": "float64"}
    interval, how = _t_interval(distances)
    results = [
        Result(
            "fd",
            name,
            sum(distances) / len(distances),
            interval,
            n,
            {**protocol, "floor": floor, "repeats": len(sets), "interval": how},
            frechet.CITATION,
            "lower",
        ),
        Result(
            "fd_floor",
            f"{name} of real training items",
            floor,
            None,
            n,
            {**protocol, "samples": "training items"},
            frechet.CITATION,
        ),
    ]
    balls = min(BALLS, n, len(held_out))
    if balls > NEIGHBOURS:
        chosen = held_out[torch.randperm(len(held_out), generator=order)[:balls]]
        results += precision_recall_results(chosen, sets[0][:balls], k=NEIGHBOURS, features=net.identity)
        for result in precision_recall_results(chosen, real[:balls], k=NEIGHBOURS, features=net.identity):
            results.append(
                replace(result, key=f"{result.key}_real", name=f"{result.name} of real training items", better="")
            )
    else:
        notes.append(f"{balls} items a side are too few for precision and recall with k = {NEIGHBOURS}")
    label = the_class(dataset.spec)
    if label is not None and net.classes:
        verdicts = net.judge(held_out)
        truth = torch.cat([dataset.test.batch(rows)[label[0]] for rows in featured(dataset.test).split(512)])
        accuracy = float((verdicts == truth).double().mean())
        results += class_shares(
            torch.cat([net.judge(s) for s in sets]),
            net.classes,
            judge=net.identity,
            reference=verdicts,
            accuracy=accuracy,
        )
    return results


def _t_interval(values: list[float]) -> tuple[tuple[float, float] | None, str]:
    """Student's interval of the mean over disjoint sample sets; a bootstrap would be biased for this metric."""
    if len(values) < 3:
        return None, "none: it takes three disjoint sample sets"
    spread = torch.tensor(values, dtype=torch.float64)
    half = float(student.ppf(0.975, len(values) - 1)) * float(spread.std()) / len(values) ** 0.5
    mean = float(spread.mean())
    return (mean - half, mean + half), f"t, 95%, over {len(values)} disjoint sample sets; held-out items fixed"
