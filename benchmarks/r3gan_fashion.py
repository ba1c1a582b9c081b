"""R3GAN on Fashion-MNIST for ten minutes of wall time: does it cover the classes, does it look like clothes?

    python benchmarks/r3gan_fashion.py [--budget 10m] [--n 5000]

Trains `genloom train r3gan --data fashion-mnist` as it comes, then draws n samples with the averaged weights. Precision
and recall (k = 5) and the Frechet distance compare them with as many held-out images, in the features of genloom's
extractor for this data; class shares are what its judge says. Classes are drawn by their shares of the training data
and given to the generator, as `genloom sample` does. Writes results/r3gan_fashion.json and a grid of samples.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace

import torch

from _result import RESULTS, publish
from genloom.core import Sampling
from genloom.data import DataOptions, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.precision_recall import precision_recall
from genloom.metrics.store import extractor_for, split_features
from genloom.modalities.image import grid
from genloom.recipes.adversarial import r3gan
from genloom.verbs.drawn import draw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--n", type=int, default=5000)
    a = parser.parse_args()
    dataset = load(DataOptions(source="fashion-mnist"))
    net = extractor_for(dataset)  # before the clock of the run starts
    held_out = split_features(net, dataset, "test")
    recipe = r3gan()
    options = replace(recipe.train, budget=a.budget)
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, Settings("r3gan", recipe.model, recipe.config, dataset.options, options), dataset)
        outcome = train(run, dataset)
        images = draw(load_run(run), a.n, seed=0, options=Sampling())
        cost, plan = run.status.get("cost"), run.environment["plan"]
    features = embed(net, iter(images.split(500)))
    generator = torch.Generator().manual_seed(0)
    real = held_out[torch.randperm(len(held_out), generator=generator)[: a.n]]
    precision, recall = precision_recall(real, features)
    classes = next(f.classes for f in dataset.spec.values() if f.modality == "class")
    shares = net.judge(features).bincount(minlength=len(classes)) / len(features)
    grid(images[:100], 10).save(RESULTS / "r3gan_fashion.png")
    figures = {
        "budget": a.budget,
        "n": a.n,
        "steps": outcome.steps,
        "items": outcome.items,
        "seconds": round(outcome.seconds, 1),
        "plan": plan,
        "cost": cost,
        "features": net.identity,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "frechet": round(frechet_distance(features, held_out), 3),
        "class_shares": {c: round(float(s), 4) for c, s in zip(classes, shares, strict=True)},
        "smallest_share": round(float(shares.min()), 4),
        "reached": bool(precision >= 0.6 and recall >= 0.4 and float(shares.min()) >= 0.04),
    }
    publish("r3gan_fashion", figures, "python benchmarks/r3gan_fashion.py")


if __name__ == "__main__":
    main()
