"""The Frechet distance against a matrix square root, and neighbour figures of 50,000 x 50,000 items in bounded memory.

    python benchmarks/frechet.py [--part distance|neighbours|both]

The distance at d = 2048 with n = 10,000 and with n = 1,000 < d, ours and by scipy.linalg.sqrtm on the same features in
the same process, one after the other. Precision, recall, density and coverage of 50,000 against 50,000 items with 64
features, where all pairwise distances would take 10 GB: the highest memory of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from _result import publish
from genloom.metrics.density_coverage import density_coverage
from genloom.metrics.frechet import frechet_distance, moments, trace_sqrt_product
from genloom.metrics.precision_recall import precision_recall


def features(n: int, d: int, seed: int) -> Tensor:
    """Rectified, correlated rows whose variances differ as those of a network do, (n, d)."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=torch.Generator().manual_seed(7)) / d**0.5
    scale = torch.linspace(0.05, 1.5, d)
    return (torch.randn(n, d, generator=random) * scale @ mixing + 0.1 * (seed + 1)).clamp_min(0)


def by_square_root(x: Tensor, y: Tensor) -> tuple[float, float]:
    """The same distance by the matrix square root of the product, in float64; and the seconds of the root alone."""
    a, b = x.double().numpy(), y.double().numpy()
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    began = time.perf_counter()
    trace = float(np.trace(sqrtm(first @ second)).real)
    seconds = time.perf_counter() - began
    gap = a.mean(0) - b.mean(0)
    return float(gap @ gap + np.trace(first) + np.trace(second) - 2 * trace), seconds


def timed(measure: Any, *given: Any) -> tuple[float, float]:
    """What it gives, and its seconds."""
    began = time.perf_counter()
    found = measure(*given)
    return found, time.perf_counter() - began


def distances(d: int) -> dict[str, Any]:
    """Value and seconds of both, with many items and with fewer than dimensions. "root": what differs between the two,
    the trace of the root, without the covariances; with fewer items than dimensions ours needs no covariance at all."""
    found = {}
    for n in (10_000, d // 2):
        x, y = features(n, d, 0), features(n, d, 1)
        ours, seconds = timed(frechet_distance, x, y)
        (theirs, root), slow = timed(by_square_root, x, y)
        trace = timed(trace_sqrt_product, moments(x)[1], moments(y)[1])[1] if n >= d else seconds
        found[f"n = {n:,}"] = {
            "ours": ours,
            "sqrtm": theirs,
            "relative difference": abs(ours - theirs) / theirs,
            "seconds ours": round(seconds, 2),
            "seconds sqrtm": round(slow, 2),
            "times faster": round(slow / seconds, 1),
            "seconds of the root, ours": round(trace, 2),
            "seconds of the root, sqrtm": round(root, 2),
            "root, times faster": round(root / trace, 1),
        }
    return found


def neighbours(n: int) -> dict[str, Any]:
    """Precision, recall, density and coverage of n against n items of 64 features, and the memory they took."""
    x, y = features(n, 64, 0), features(n, 64, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (precision, recall), first = timed(precision_recall, x, y)
    (density, coverage), second = timed(density_coverage, x, y)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "n": n,
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "seconds": round(first + second, 1),
        "peak memory, MB": round(peak / 1024),
        "of which for the figures, MB": round((peak - before) / 1024),
        "all pairwise distances would take, MB": round(n * n * 4 / 2**20),
    }


def main() -> None:
    """Runs each part in a process of its own and publishes both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("distance", "neighbours", "both"), default="both")
    parser.add_argument("--d", type=int, default=2048)
    parser.add_argument("--n", type=int, default=50_000)
    options = parser.parse_args()
    if options.part == "distance":
        print(json.dumps(distances(options.d)))
        return
    if options.part == "neighbours":
        print(json.dumps(neighbours(options.n)))
        return
    found = {}
    for part in ("distance", "neighbours"):
        command = [sys.executable, __file__, "--part", part, "--d", str(options.d), "--n", str(options.n)]
        found[part] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    publish("frechet", found, f"python benchmarks/frechet.py --d {options.d} --n {options.n}")


if __name__ == "__main__":
    main()
