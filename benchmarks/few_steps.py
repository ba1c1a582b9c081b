"""Few evaluations: a flow, and the same flow tuned to mean velocities, on Fashion-MNIST.

    python benchmarks/few_steps.py [--teacher 4000] [--student 2000] [--n 5000]

A nano flow is trained for `--teacher` steps, then tuned for `--student` steps (one of which costs about twice one of
the flow). FD of n samples against the test images, in the features of a network trained on the training images, by the
number of network evaluations; the teacher's guidance doubles its evaluations, the student's is built in. Budgets are
steps, so that a busy machine changes the seconds and nothing else. Writes results/few_steps.json and a picture.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish
from genloom.core import Sampling
from genloom.data import DataOptions, Dataset, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for
from genloom.modalities.image import grid
from genloom.recipes import registry
from genloom.runs import Run
from genloom.verbs.drawn import draw


def make(root: str, recipe: str, steps: int, dataset: Dataset, **given: Run) -> Run:
    """A finished run of a recipe as it comes, for so many steps."""
    made = registry.get(recipe)
    options = replace(made.train, budget=f"{steps}steps")
    run = create_run(root, Settings(recipe, made.model, made.config, dataset.options, options), dataset, given=given)
    train(run, dataset)
    return run


def main() -> None:
    """Trains both, measures both, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--teacher", type=int, default=4000, help="steps of the flow")
    parser.add_argument("--student", type=int, default=2000, help="steps of tuning")
    parser.add_argument("--n", type=int, default=5000, help="samples a figure")
    arguments = parser.parse_args()
    dataset = load(DataOptions(source=arguments.data))
    net = extractor_for(dataset)

    def features(x: Tensor) -> Tensor:
        return embed(net, iter(x.split(500)))

    held_out = features(dataset.test.batch(torch.arange(len(dataset.test)))["image"])
    index = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(1))[: arguments.n]
    floor = frechet_distance(features(dataset.train.batch(index)["image"]), held_out)
    figures: dict[str, Any] = {}
    rows: list[Tensor] = []
    with tempfile.TemporaryDirectory() as root:
        teacher = make(root, "flow", arguments.teacher, dataset)
        student = make(root, "mean-flow", arguments.student, dataset, teacher=teacher)
        for name, run, counts in (("teacher", teacher, (1, 2, 4, 12)), ("student", student, (1, 2, 4))):
            loaded = load_run(run)
            found = []
            for count in counts:
                started = time.perf_counter()
                images = draw(loaded, arguments.n, seed=0, options=Sampling(steps=count))
                seconds = time.perf_counter() - started
                distance = frechet_distance(features(images), held_out)
                found.append(
                    {"evaluations": count, "fd": round(distance, 3), "images a second": round(len(images) / seconds)}
                )
                rows.append(images[:10])
                print(
                    f"{name}, {count} evaluations: FD {distance:.2f}, {len(images) / seconds:.0f} images/s", flush=True
                )
            figures[name] = {"training seconds": round(run.status["seconds"]), "steps": run.status["step"], "fd": found}
    Path(RESULTS).mkdir(exist_ok=True)
    grid(torch.cat(rows), 10).save(RESULTS / "few_steps.png")
    publish(
        "few_steps",
        {
            "data": arguments.data,
            "n": arguments.n,
            "metric": f"FD({net.identity})",
            "floor": round(floor, 3),
            **figures,
        },
        "python benchmarks/few_steps.py",
    )


if __name__ == "__main__":
    main()
