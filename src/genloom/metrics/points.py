"""Points of a mixture whose modes are known: how many a model has found, and how evenly (`modes.py`).

The kinds of training points are the modes: their means are the centres, and their common spread the deviation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import the_class
from genloom.metrics.base import Result, SplitLike
from genloom.metrics.modes import CITATION, mixture_modes


def mixture_of(split: SplitLike, key: str, most: int = 20_000) -> tuple[Tensor, float] | None:
    """The centres (K, D) of a split's kinds of points and their deviation; None where no kinds are known."""
    found = the_class(split.spec)
    if found is None:
        return None
    batch = split.batch(torch.arange(min(len(split), most)))
    points, kind, modes = batch[key].double(), batch[found[0]], len(found[1].classes)
    counts = torch.bincount(kind, minlength=modes).clamp_min(1)[:, None]
    centres = torch.zeros(modes, points.shape[1], dtype=torch.float64).index_add_(0, kind, points) / counts
    return centres, float((points - centres[kind]).square().mean().sqrt())


def of_points(points: Tensor, key: str, train: SplitLike, test: SplitLike) -> list[Result]:
    """Modes, quality and evenness of samples (n, D), beside as many held-out points; none where no kinds are known."""
    mixture = mixture_of(train, key)
    if mixture is None:
        return []
    real = test.batch(torch.arange(min(len(test), len(points))))[key]
    ours, floor = (mixture_modes(p, *mixture) for p in (points, real))
    protocol = {"modes": ours.of, "deviation": mixture[1], "high quality": "within three deviations of a centre"}
    return [
        Result(key, name, float(value), None, len(points), {**protocol, "floor": float(best)}, CITATION, better)
        for key, name, value, best, better in (
            ("modes", f"modes found, of {ours.of}", ours.found, floor.found, "higher"),
            ("mode_quality", "samples of high quality", ours.quality, floor.quality, "higher"),
            ("mode_kl", "divergence of modes from even, nats", ours.kl, floor.kl, "lower"),
        )
    ]
