"""Cheap checks of a model while it trains, for the watch: each looks at a few items or weights and returns scalars.

They draw from generators of their own, run in evaluation mode, and leave weights, gradients and statistics alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from genloom.core import CanEncode, CanSample, Model, Phase, Step, batch_size, derive_seed
from genloom.data import Dataset, Split
from genloom.engine.ema import PowerEMA
from genloom.engine.optim import PlayerOptimizer
from genloom.engine.precision import Plan, arrange_batch
from genloom.engine.preview import given_pictures, item_field, resting, sample

FINGERPRINT = 4096
"""Numbers of each tensor that stand for all of it when its movement is measured."""
BINS = 20
"""Groups of real items in which samples are counted."""
CELLS = 8
"""Images are compared as thumbnails of at most this size."""


def spread(split: Split, n: int) -> Tensor:
    """At most n indices, one drawn from each of n equal stretches of a split; always the same ones. Evenly spaced ones
    might fall in step with classes that alternate."""
    n = min(n, split.items)
    edges = torch.linspace(0, len(split), n + 1).long()
    draw = torch.rand(n, generator=torch.Generator().manual_seed(0))
    return edges[:-1] + (draw * (edges[1:] - edges[:-1])).long()


@contextmanager
def eager() -> Iterator[None]:
    """Compiled networks run uncompiled inside: other batch sizes must not compile anew."""
    with torch.compiler.set_stance("force_eager"):
        yield


class Movement:
    """How far weights have gone, on some numbers of each tensor. It remembers where they were when last asked."""

    def __init__(self, players: Mapping[str, PlayerOptimizer], averages: Mapping[str, PowerEMA]) -> None:
        self.players, self.average = players, averages.get("ema")
        self.before: dict[str, Tensor] | None = None
        self.step = 0

    def _now(self) -> dict[str, Tensor]:
        found = {name: _fingerprint(p.parameters) for name, p in self.players.items()}
        if self.average is not None:
            found["/average"] = _fingerprint(list(self.average.averaged.values()))
        return found

    def measure(self, step: int) -> dict[str, float]:
        """moved/PLAYER: relative change of its weights a step, since the last call; moved/average: of the average."""
        now, before, steps = self._now(), self.before, step - self.step
        if before is None or steps > 0:
            self.before, self.step = now, step
        if before is None or steps <= 0:
            return {}
        return {
            f"moved/{name.strip('/')}": float((t - before[name]).norm() / size) / steps
            for name, t in now.items()
            if (size := before[name].norm()) > 0  # of nothing, no change is a share
        }


@torch.no_grad()
def _fingerprint(tensors: Sequence[Tensor]) -> Tensor:
    parts = []
    for t in tensors:
        t = t.detach()
        if t.ndim > 1:
            t = t[: max(1, FINGERPRINT * t.shape[0] // max(t.numel(), 1))]
        parts.append(t.flatten()[:FINGERPRINT].float().cpu())
    return torch.cat(parts) if parts else torch.zeros(1)


def losses(
    model: Model, phase: Phase, dataset: Dataset, n: int, seed: int, plan: Plan, device: torch.device
) -> dict[str, float]:
    """A phase's loss and accuracies on up to n training and n held-out items, with the same draws for both and every
    time.

    train/PHASE, held-out/PHASE, and /PART after them for parts that are accuracies; n/PHASE: the harmonic mean of both
    numbers of items, on which the error of a difference depends. {} where a side has under 16 items.
    """
    found: dict[str, float] = {}
    sides = {"train": dataset.train, "held-out": dataset.validation}
    many = {side: min(n, split.items) for side, split in sides.items()}
    if min(many.values()) < 16:
        return {}
    found[f"n/{phase.name}"] = 2 / sum(1 / c for c in many.values())
    for side, split in sides.items():
        sums: dict[str, float] = {}
        for i, index in enumerate(spread(split, many[side]).split(64)):
            batch = arrange_batch(split.batch(index), plan, device)
            size = batch_size(batch)
            step = Step(seed=derive_seed(seed, "watch", i), rows=(0, size, size), device=device)
            with resting(model), torch.set_grad_enabled(phase.second_order), eager():
                loss = model.loss(phase, batch, step)
            parts = {f"/{k}": v for k, v in loss.parts.items() if k.endswith("accuracy")}
            for key, value in {"": loss.total, **parts}.items():
                sums[key] = sums.get(key, 0.0) + float(value.detach()) * size
        found |= {f"{side}/{phase.name}{key}": value / many[side] for key, value in sums.items()}
    return found


class _Units(TorchDispatchMode):
    """Looks at what every rectifier lets through, and at the size of all values."""

    def __init__(self) -> None:
        super().__init__()
        self.dead: list[float] = []
        self.largest = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in _PRODUCTS and isinstance(out, Tensor) and out.numel():
            self.largest = max(self.largest, float(out.abs().max()))
        if func in _RECTIFIERS and out.ndim >= 2 and out.shape[0] > 1:
            # which dimension holds the units: 1 in (B, units, ...), the last in (B, length, units)
            sides = [1] if out.ndim in (2, 4) else [1, out.ndim - 1]
            silent = [
                float((out.amax([d for d in range(out.ndim) if d != side]) <= 0).float().mean())
                for side in sides
                if out.shape[side] >= 8
            ]
            if silent:
                self.dead.append(min(silent))
        return out


_RECTIFIERS = {torch.ops.aten.relu.default, torch.ops.aten.relu_.default}
_PRODUCTS = {
    torch.ops.aten.addmm.default, torch.ops.aten.mm.default, torch.ops.aten.bmm.default,
    torch.ops.aten.convolution.default, torch.ops.aten.linear.default,
}  # fmt: skip


def units(
    model: Model, phases: list[Phase], dataset: Dataset, n: int, seed: int, plan: Plan, device: torch.device
) -> dict[str, float]:
    """dead_units: the greatest share of a rectified layer's units that are zero for all of n training items;
    largest_activation: the largest value any product of weights gives. {} where there are under 16 items."""
    index = spread(dataset.train, n)
    if len(index) < 16:
        return {}
    batch = arrange_batch(dataset.train.batch(index), plan, device)
    watch, size = _Units(), batch_size(batch)
    for phase in phases:
        step = Step(seed=derive_seed(seed, "watch units"), rows=(0, size, size), device=device)
        with resting(model), eager(), watch:
            model.loss(phase, batch, step)
    found = {"largest_activation": watch.largest} if math.isfinite(watch.largest) else {}
    return found | ({"dead_units": max(watch.dead)} if watch.dead else {})


def codes(model: Model, dataset: Dataset, n: int, plan: Plan, device: torch.device) -> dict[str, float]:
    """latents, and active_units: those whose code varies over n held-out items with a variance above 0.01 (Burda,
    Grosse and Salakhutdinov 2016, section 4.2). {} where there are under 16 items."""
    assert isinstance(model, CanEncode)
    index = spread(dataset.validation, n)
    if len(index) < 16:
        return {}
    with resting(model), eager():
        z = model.encode(arrange_batch(dataset.validation.batch(index), plan, device)).flatten(1).float()
    return {"latents": float(z.shape[1]), "active_units": float((z.var(0) > 0.01).sum())}


class Variety:
    """How varied samples are beside real items: distances among them, near twins, and the groups they fall into.

    Images are compared as thumbnails. The real items' groups (k-means) and distances are measured once.
    """

    def __init__(self, dataset: Dataset, seed: int, n: int = 256) -> None:
        self.name, _ = item_field(dataset.spec)
        self.held_out = dataset.validation
        pool = thumbnails(dataset.train.batch(spread(dataset.train, 2048))[self.name])
        half = pool[torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))]
        self.n = min(n, len(half) // 2)
        self.seed = seed
        reference = half[: self.n]
        self.distance, self.nearest = distances(reference)
        self.centres = k_means(half, min(BINS, len(half) // 20), seed)
        self.shares = counts(half, self.centres) / len(half)

    @property
    def usable(self) -> bool:
        """Whether there are enough different real items to compare with."""
        return self.n >= 32 and self.distance > 1e-6 and self.nearest > 1e-6

    def measure(self, model: Model, n: int, device: torch.device) -> dict[str, float]:
        """diversity: mean distance of two samples as a share of that of two real items; twins: share of samples whose
        nearest other sample is nearer than a quarter of what is usual among real items; lost: how much of the real data
        lies in groups that samples hardly reach (at most a fifth of the share, beyond chance at 0.1%)."""
        assert isinstance(model, CanSample)
        generator = torch.Generator(device).manual_seed(derive_seed(self.seed, "watch samples"))
        with resting(model), eager():
            given = given_pictures(model, self.held_out, min(n, self.n))
            told = None if given is None else {k: x.to(device) for k, x in given.items()}
            drawn = thumbnails(sample(model, min(n, self.n), generator, told)[self.name])
        return self.compare(drawn)

    def compare(self, drawn: Tensor) -> dict[str, float]:
        """The same for thumbnails (n, D) of samples."""
        mean, _ = distances(drawn)
        gaps = torch.cdist(drawn, drawn).fill_diagonal_(math.inf).amin(1)
        found = {"diversity": mean / self.distance, "twins": float((gaps < 0.25 * self.nearest).float().mean())}
        if len(self.centres) >= 5:
            seen, n = counts(drawn, self.centres), len(drawn)
            lost = 0.0
            for share, count in zip(self.shares.tolist(), seen.tolist(), strict=True):
                few = count <= 0.2 * share * n and _at_most(int(count), n, share) < 1e-3
                lost += share if few else 0.0
            found["lost"] = lost
        return found


def _at_most(k: int, n: int, p: float) -> float:
    """The chance of k or fewer successes in n trials."""
    return float(sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)))


def thumbnails(x_BCHW: Tensor) -> Tensor:
    """Images as rows of at most 8 x 8 x C numbers."""
    h, w = x_BCHW.shape[-2:]
    return F.adaptive_avg_pool2d(x_BCHW.float().cpu(), (min(h, CELLS), min(w, CELLS))).flatten(1)


def distances(rows: Tensor) -> tuple[float, float]:
    """Over rows (N, D): the mean distance of two, and the median distance to the nearest other."""
    apart = torch.cdist(rows, rows)
    n = len(rows)
    mean = float(apart.sum() / max(n * (n - 1), 1))
    return mean, float(apart.fill_diagonal_(math.inf).amin(1).median()) if n > 1 else 0.0


def k_means(rows: Tensor, k: int, seed: int, rounds: int = 10) -> Tensor:
    """k centres (k, D) of rows, from rows chosen by `seed`; () x D where k < 1."""
    generator = torch.Generator().manual_seed(seed)
    centres = rows[torch.randperm(len(rows), generator=generator)[: max(k, 0)]].clone()
    for _ in range(rounds if k > 0 else 0):
        nearest = torch.cdist(rows, centres).argmin(1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        sizes = torch.bincount(nearest, minlength=k)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
    return centres


def counts(rows: Tensor, centres: Tensor) -> Tensor:
    """How many rows lie nearest to each centre (k,)."""
    if not len(centres):
        return torch.zeros(0)
    return torch.bincount(torch.cdist(rows, centres).argmin(1), minlength=len(centres)).float()


def constant_share(dataset: Dataset, n: int = 512) -> float:
    """The share of n training items that hold one and the same value everywhere."""
    name, _ = item_field(dataset.spec)
    flat = dataset.train.raw(spread(dataset.train, n))[name].flatten(1)
    return float((flat == flat[:, :1]).all(1).float().mean()) if len(flat) else 0.0
