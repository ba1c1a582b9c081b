"""The figures of image samples in an extractor's features, each beside what real training items score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import t as student
from torch import Tensor

from genloom.core import the_class
from genloom.data.cache import cached_array
from genloom.errors import BadData, GenloomError
from genloom.metrics import frechet
from genloom.metrics.base import Result
from genloom.metrics.density_coverage import density_coverage, density_coverage_results
from genloom.metrics.features import Extractor, key_of, name_of
from genloom.metrics.frechet_limit import LEAST, PARTS, enough, frechet_limit, frechet_limit_result
from genloom.metrics.inception_score import inception_score, inception_score_result
from genloom.metrics.kernel_distance import kernel_distance, kernel_distance_result
from genloom.metrics.precision_recall import precision_recall, precision_recall_results
from genloom.metrics.shares import class_shares
from genloom.metrics.store import DatasetLike, rows_of, split_features
from genloom.metrics.vendi import vendi_result, vendi_score

NEIGHBOURS = 5
BALLS = 5_000  # items a side for everything whose cost grows with their square
VERSION = 1  # of everything that decides a floor


class Real:
    """The real side: features of the held-out items and of training items, which stand for a perfect model's samples.

    Both in a fixed random order, so that floors are the same numbers in every run on this data set. held_out (M, 64),
    train (N, 64); n: how many samples are measured, no more than there are training items; balls: how many a side where
    cost is quadratic.
    """

    def __init__(self, net: Extractor, dataset: DatasetLike, samples: int, notes: list[str], cached: bool) -> None:
        self.net, self.dataset, self.cached = net, dataset, cached
        order = torch.Generator().manual_seed(0)
        held_out, train = (
            split_features(net, dataset, part, cached=cached, wanted=samples) for part in ("test", "train")
        )
        for part, found, split in (("held-out", held_out, dataset.test), ("training", train, dataset.train)):
            if len(found) < len(split):
                notes.append(f"{len(found):,} of the {len(split):,} {part} items stand for all in distances")
        self.in_order, self.rows = held_out, rows_of(net, dataset.test, samples)
        self.train = train[torch.randperm(len(train), generator=order)]
        self.n = min(samples, len(train))
        if self.n < samples:
            notes.append(
                f"the training split holds {self.n:,} items: figures that depend on n use the first {self.n:,} "
                "samples, as their floors do"
            )
        if min(len(held_out), self.n) < 2:
            raise BadData(f"{len(held_out)} held-out and {self.n} training items: too few to measure against")
        self.balls = min(BALLS, self.n, len(held_out))
        self.held_out = held_out[torch.randperm(len(held_out), generator=order)]

    def floor(self, key: str, make: Callable[[Tensor], tuple[float, ...]], n: int) -> tuple[float, ...]:
        """make(the first n training items), kept in the cache: it depends on the data and the extractor alone."""

        def array() -> np.ndarray:
            return np.asarray(make(self.train[:n]), np.float64)

        if not self.cached:
            return tuple(array().tolist())
        sizes = f"{n}-{self.balls}-{len(self.held_out)}"
        name = f"floor-{VERSION}-{key}-{self.net.identity[-8:]}-{self.dataset.digest[:24]}-{sizes}"
        return tuple(cached_array(name, array).tolist())


def compare(
    net: Extractor, dataset: DatasetLike, sets: list[Tensor], notes: list[str], *, cached: bool = True
) -> list[Result]:
    """Figures of sample features, one (n, 64) a repeat, against held-out items, beside what real training items get.

    Rows must be in random order. From three repeats on, the Frechet distance has a t-interval over them.
    """
    real = Real(net, dataset, len(sets[0]), notes, cached)
    results = [*distance(real, sets), *_unbiased(real, sets[0], notes), *_neighbourhoods(real, sets[0], notes)]
    results += _variety(real, sets[0], notes)
    ranks = {key: place for place, key in enumerate(("precision_real", "recall_real"), 1)}
    results.sort(key=lambda r: ranks.get(r.key, 0))
    label = the_class(dataset.spec)
    if label is not None and net.classes == tuple(label[1].classes) and net.classes:
        verdicts = net.judge(real.in_order)
        truth = torch.cat([dataset.test.batch(rows)[label[0]] for rows in real.rows.split(512)])
        accuracy = float((verdicts == truth).double().mean())
        judged = torch.cat([net.judge(s) for s in sets])
        results += class_shares(judged, net.classes, judge=net.identity, reference=verdicts, accuracy=accuracy)
    if net.resize:
        results = [replace(r, protocol={**r.protocol, "resize": net.resize}) if "features" in r.protocol else r
                   for r in results]  # fmt: skip
    return results


def frechet_alone(net: Extractor, dataset: DatasetLike, features: Tensor) -> float:
    """The Frechet distance that `compare` gives, without the rest."""
    real = Real(net, dataset, len(features), [], True)
    return frechet.frechet_distance(features[: real.n], real.held_out)


def distance(real: Real, sets: list[Tensor]) -> list[Result]:
    """The Frechet distance over disjoint sample sets, and its floor."""
    n, name = real.n, name_of(real.net, "fd")
    key = key_of(real.net, "fd")
    distances = [frechet.frechet_distance(s[:n], real.held_out) for s in sets]
    floor = real.floor("fd", lambda x: (frechet.frechet_distance(x, real.held_out),), n)[0]
    protocol = {"n": n, "n_held_out": len(real.held_out), "features": real.net.identity, "precision": "float64"}
    interval, how = t_interval(distances)
    told = {**protocol, "floor": floor, "repeats": len(sets), "interval": how}
    beside = {**protocol, "samples": "training items"}
    return [
        Result(key, name, sum(distances) / len(distances), interval, n, told, frechet.CITATION, "lower"),
        Result(f"{key}_floor", f"{name} of real training items", floor, None, n, beside, frechet.CITATION),
    ]


def _unbiased(real: Real, fake: Tensor, notes: list[str]) -> list[Result]:
    """FD_inf and the kernel distance: figures that do not depend on n, with intervals."""
    identity, results = real.net.identity, []
    if enough(real.n, len(real.held_out), fake.shape[1]):
        floor = real.floor("fd_inf", lambda x: (frechet_limit(x, real.held_out).value,), real.n)[0]
        results.append(frechet_limit_result(real.held_out, fake[: real.n], features=identity, floor=floor))
    else:
        least = PARTS * LEAST * fake.shape[1]
        notes.append(f"FD_inf is left out: it needs {least:,} samples and as many held-out and training items")
    if real.balls >= 3:
        held_out, n = real.held_out[: real.balls], real.balls
        floor = real.floor("kd", lambda x: (kernel_distance(x, held_out).value,), n)[0]
        found = kernel_distance_result(held_out, fake[:n], features=identity)
        found = replace(found, key=key_of(real.net, "kd"), name=name_of(real.net, "kd"))
        results.append(_beside(found, floor))
    return results


def _neighbourhoods(real: Real, fake: Tensor, notes: list[str]) -> list[Result]:
    """Precision, recall, density and coverage of at most BALLS items a side."""
    k, n, identity = NEIGHBOURS, real.balls, real.net.identity
    if n <= k:
        notes.append(f"{n} items a side are too few for precision and recall with k = {k}")
        return []
    held_out = real.held_out[:n]

    def of_real(x: Tensor) -> tuple[float, ...]:
        return *precision_recall(held_out, x, k=k), *density_coverage(held_out, x, k=k)

    floors = real.floor(f"balls-{k}", of_real, n)
    found = precision_recall_results(held_out, fake[:n], k=k, features=identity)
    results = [_beside(r, floor) for r, floor in zip(found, floors[:2], strict=True)]
    # The judged share of *these* balls has its own chance: real items get an interval as samples do.
    results += [
        replace(r, key=f"{r.key}_real", name=f"{r.name} of real training items", better="")
        for r in precision_recall_results(held_out, real.train[:n], k=k, features=identity, known=floors[:2])
    ]
    more = density_coverage_results(held_out, fake[:n], k=k, features=identity)
    return results + [_beside(r, floor) for r, floor in zip(more, floors[2:], strict=True)]


def _variety(real: Real, fake: Tensor, notes: list[str]) -> list[Result]:
    """The Vendi score and, where the extractor knows classes, the Inception-style score."""
    net, n, results = real.net, real.n, []
    try:
        found = vendi_result(fake[:n], features=net.identity)
        results.append(_beside(found, real.floor("vendi", lambda x: (vendi_score(x),), n)[0]))
    except GenloomError as error:
        notes.append(f"no Vendi score: {error}")
    if net.classes:
        floor = real.floor("is", lambda x: (inception_score(net.logits(x)),), n)[0]
        results.append(_beside(inception_score_result(net.logits(fake[:n]), judge=net.identity), floor))
    return results


def _beside(result: Result, floor: float) -> Result:
    return replace(result, protocol={**result.protocol, "floor": floor})


def t_interval(values: list[float]) -> tuple[tuple[float, float] | None, str]:
    """Student's interval of the mean over disjoint sample sets; a bootstrap would be biased for this metric."""
    if len(values) < 3:
        return None, "none: it takes three disjoint sample sets"
    spread = torch.tensor(values, dtype=torch.float64)
    half = float(student.ppf(0.975, len(values) - 1)) * float(spread.std()) / len(values) ** 0.5
    mean = float(spread.mean())
    return (mean - half, mean + half), f"t, 95%, over {len(values)} disjoint sample sets; held-out items fixed"
