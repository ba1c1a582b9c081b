"""How different samples look from each other: the mean LPIPS of random pairs, beside that of real items.

Below the real items' value samples repeat themselves; above it they may be more varied, or merely noisy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genloom.core import the_item
from genloom.data.cache import cached_array
from genloom.metrics.base import Result, spread
from genloom.metrics.lpips import CITATION, Lpips
from genloom.metrics.store import DatasetLike
from genloom.modalities.image import to_bytes

PAIRS = 500


def pairwise(net: Lpips, images: Tensor, most: int = PAIRS) -> Tensor:
    """LPIPS of the first images (N, C, H, W) with those that follow: at most `most` disjoint pairs, (K,). Rows must be
    in random order."""
    n = min(len(images) // 2, most)
    return net.distances(images[:n], images[n : 2 * n])


def pairwise_result(net: Lpips, images: Tensor, dataset: DatasetLike, cached: bool = True) -> Result:
    """The mean over pairs of samples with a normal interval, and that of training items as its floor."""
    apart = pairwise(net, images).double()

    def real() -> np.ndarray:
        key = the_item(dataset.spec, "image", "the diversity of samples")[0]
        rows = spread(len(dataset.train), 2 * PAIRS)
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
        items = torch.cat([to_bytes(dataset.train.batch(part)[key]) for part in rows.split(500)])
        return np.asarray([float(pairwise(net, items).double().mean())])

    name = f"pairwise-1-{net.identity.replace('@', '-')}-{dataset.digest[:24]}"
    floor = float((cached_array(name, real) if cached else real())[0])
    mean = float(apart.mean())
    half = 1.96 * float(apart.std()) / len(apart) ** 0.5 if len(apart) > 1 else float("nan")
    protocol = {
        "features": net.identity,
        "resize": net.resize,
        "pairs": len(apart),
        "floor": floor,
        "interval": "normal, 95%, over disjoint pairs",
    }
    interval = (mean - half, mean + half) if len(apart) > 1 else None
    return Result("lpips_pairs", "LPIPS between samples", mean, interval, 2 * len(apart), protocol, CITATION)
