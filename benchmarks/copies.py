"""The test for copies: how often it finds planted ones, and how often it accuses models that copy nothing.

    python benchmarks/copies.py [--data fashion-mnist] [--n 5000]

Honest models: fresh items of the data set, which no model saw, drawn anew 200 times; and samples that are blurred,
noisy, or drawn from a Gaussian fitted to the training items, which are worse than data but not copied. Planted: 1%
verbatim copies and 3% near copies (moved by 1-2 pixels, other brightness and contrast, JPEG) among fresh items, 50
times each.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import torch
from torch import Tensor

from _result import publish
from genloom import data
from genloom.metrics import copies


def items(split: data.Split) -> Tensor:
    """All images of a split, uint8 (N, C, H, W)."""
    return split.raw(torch.arange(len(split)))["image"]


def gaussian(train: Tensor, n: int) -> Tensor:
    """n samples of the Gaussian that has the training items' mean and covariance."""
    x = train.flatten(1).double()
    x = x[torch.linspace(0, len(x) - 1, min(len(x), 10_000)).long()]
    values, vectors = torch.linalg.eigh(torch.cov(x.T))
    noise = torch.randn(n, x.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = x.mean(0) + (noise * values.clamp_min(0).sqrt()) @ vectors.T
    return made.round().clamp(0, 255).to(torch.uint8).view(n, *train.shape[1:])


def main() -> None:
    """Runs everything and publishes the shares of verdicts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--honest", type=int, default=200)
    parser.add_argument("--planted", type=int, default=50)
    options = parser.parse_args()
    found = data.load(data.DataOptions(options.data))
    train, test = items(found.train), items(found.test)
    n = min(options.n, len(test) // 2)
    started = time.perf_counter()
    fresh = copies.scores(test, train).score
    rows = torch.linspace(0, len(train) - 1, min(copies.LEFT_OUT, len(train))).long()
    left_out = copies.scores(train[rows], train, own=rows).score
    seconds = time.perf_counter() - started

    def parts(seed: int) -> tuple[Tensor, Tensor]:
        order = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))
        return fresh[order[:n]], torch.cat([fresh[order[n:]], left_out])

    alarms = sum(copies.p_value(*parts(seed))[0] < copies.LEVEL for seed in range(options.honest))
    random = np.random.default_rng(0)
    power = {}
    for name, share, near in (("1% verbatim", 0.01, False), ("3% near", 0.03, True)):
        count = math.ceil(share * n)
        pool = copies.scores(copies.planted(train, 10 * count, near, random), train).score
        hits = 0
        for seed in range(options.planted):
            honest, reference = parts(seed)
            chosen = pool[torch.from_numpy(np.random.default_rng(seed).integers(0, len(pool), count))]
            hits += copies.p_value(torch.cat([honest[count:], chosen]), reference)[0] < copies.LEVEL
        power[name] = hits / options.planted
    reference = parts(0)[1]
    blurred = torch.nn.functional.avg_pool2d(test[:n].float(), 3, 1, 1).round().to(torch.uint8)
    noise = 25 * torch.randn(blurred.shape, generator=torch.Generator().manual_seed(1))
    worse = {
        "blurred": blurred,
        "noisy": (test[:n].float() + noise).clamp(0, 255).to(torch.uint8),
        "Gaussian": gaussian(train, n),
    }
    publish(
        "copies",
        {
            "data": options.data,
            "n": n,
            "reference": len(reference),
            "false alarms among honest models": alarms / options.honest,
            "planted copies found": power,
            "p of models worse than data": {
                name: copies.p_value(copies.scores(x, train).score, reference)[0] for name, x in worse.items()
            },
            "seconds to score an item": round(seconds / (len(test) + len(rows)), 5),
        },
        f"python benchmarks/copies.py --data {options.data} --n {options.n}",
    )


if __name__ == "__main__":
    main()
