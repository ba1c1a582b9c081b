"""How long it takes to evaluate 10,000 samples of 28x28 once the features of real data are cached.

    python benchmarks/evaluate.py

The samples are training images of Fashion-MNIST moved by a pixel, so that the time of drawing does not count: what is
timed is embedding them, the Frechet distance, precision and recall, and the shares of classes.
"""

from __future__ import annotations

import time

import torch

from _result import publish
from genloom.data import DataOptions, load
from genloom.metrics.evaluate import evaluate
from genloom.models.registry import model_class


def main() -> None:
    dataset = load(DataOptions(source="fashion-mnist"))
    images = dataset.train.batch(torch.arange(10_000))["image"].roll(1, -1)
    cls = model_class("gan-mlp")
    model = cls(cls.Config(), dataset.spec)
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        found = evaluate(model, dataset, 10_000, torch.Generator().manual_seed(0), samples=images)
        seconds.append(round(time.perf_counter() - begun, 2))
    figures = {"n": 10_000, "first_seconds": seconds[0], "cached_seconds": seconds[1]}
    figures |= {"parts": found.seconds, "extractor": found.extractor}
    publish("evaluate", figures, "python benchmarks/evaluate.py")


if __name__ == "__main__":
    main()
