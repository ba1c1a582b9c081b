"""The course's small GAN after its ten epochs, and what `r3gan` makes of clothes in the same seconds.

    python benchmarks/gan_course.py [--epochs 10] [--n 5000]

The course's loop is the one of gan_mlp.py (a), over 60,000 pictures of Fashion-MNIST. The seconds that it takes are the
budget of `genloom train r3gan --data fashion-mnist`, which counts everything: measuring the precision, averaging,
previews, checkpoints. Samples of both are compared with all held-out pictures in the features of genloom's extractor
for this data. Writes results/gan_course.json and gan_course.png, 20 samples of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time

import torch

import genloom
from _result import RESULTS, publish
from gan_mlp import NOISE, course
from genloom.core import Sampling
from genloom.data import DataOptions, load
from genloom.engine.load import load as load_run
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for, split_features
from genloom.modalities import image
from genloom.verbs.drawn import draw
from genloom.verbs.opened import find_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--n", type=int, default=5000)
    a = parser.parse_args()
    dataset = load(DataOptions(source="fashion-mnist", validation="test"))
    raw = dataset.train.raw(torch.arange(dataset.train.items))["image"][:, 0].numpy()
    net = extractor_for(dataset)
    held_out = split_features(net, dataset, "test")
    begun = time.perf_counter()
    _, generator = course(a.epochs, raw)
    seconds = time.perf_counter() - begun
    noise = torch.randn(a.n, NOISE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = generator(noise).view(-1, 1, 28, 28)
    with tempfile.TemporaryDirectory() as root:
        run = find_run(genloom.train("r3gan", data="fashion-mnist", budget=f"{seconds:.0f}s", runs=root))
        ours = draw(load_run(run), a.n, seed=0, options=Sampling())
        status, plan = run.status, run.environment["plan"]
    figures = {}
    for name, items in (("course", theirs), ("r3gan", ours)):
        figures[name] = round(frechet_distance(embed(net, iter(items.split(500))), held_out), 3)
    rows = {f"{k}: FD {figures[k]:.3g}": v[:20] for k, v in (("course", theirs), ("r3gan", ours))}
    image.labelled(rows, columns=20, scale=1).save(RESULTS / "gan_course.png")
    facts = {
        "items": len(raw),
        "epochs": a.epochs,
        "n": a.n,
        "seconds": {"course": round(seconds, 1), "r3gan": round(status["seconds"], 1)},
        "r3gan updates": status["step"],
        "plan": plan,
        "features": net.identity,
        "frechet": figures,
        "course_over_r3gan": round(figures["course"] / figures["r3gan"], 1),
    }
    publish("gan_course", facts, "python benchmarks/gan_course.py")


if __name__ == "__main__":
    main()
