"""Quality of samples against the number of network evaluations, for every solver on one trained model.

    python benchmarks/solvers.py [--run RUN] [--n 2000] [--evaluations 1,2,4,8,12,25,50,250] [--solvers adams,heun]

Without --run a nano flow is trained on Fashion-MNIST first, 3,000 steps. All cells start from the same noise and the
same classes. Reported are the Frechet distance to the test images in features of a network trained on the training
images, beside that of as many training images; and, for solvers that add no noise, the root mean square distance of
64 samples from the exact solution of the same equation (Heun's method, 500 evaluations), in values of [-1, 1].
Writes results/solvers.json after every cell, so that a stopped run keeps what it has; cells that it holds of the same
run are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish
from genloom.core import Sampling
from genloom.data import load as load_data
from genloom.engine.load import Loaded
from genloom.engine.load import load as load_run
from genloom.engine.preview import resting
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for
from genloom.recipes.diffusion import flow
from genloom.runs import find
from genloom.samplers.solvers import SOLVERS
from genloom.verbs.opened import data_of

EXACT = 64  # samples whose distance from the exact solution is measured
CHUNK = 250


def trained(steps: int, root: Path) -> Loaded:
    """A nano flow on Fashion-MNIST, as the recipe trains it."""
    recipe = flow()
    recipe = replace(
        recipe,
        data=replace(recipe.data, source="fashion-mnist"),
        train=replace(recipe.train, budget=f"{steps}steps"),
    )
    dataset = load_data(recipe.data)
    run = create_run(root, Settings("flow", recipe.model, recipe.config, dataset.options, recipe.train), dataset)
    train(run, dataset)
    return load_run(run)


def drawn(loaded: Loaded, n: int, options: Sampling) -> Tensor:
    """n samples, the same noise and the same classes whatever the options."""
    found = []
    with resting(loaded.model):
        for i, start in enumerate(range(0, n, CHUNK)):
            generator = torch.Generator(loaded.device).manual_seed(i)
            items = loaded.model.sample(min(CHUNK, n - start), options=options, generator=generator)
            found.append(items[next(k for k, f in loaded.spec.items() if f.role == "item")].float().cpu())
    return torch.cat(found)


def main() -> None:
    """Measures every cell and publishes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="a run of a flow or diffusion model; without it one is trained")
    parser.add_argument("--steps", type=int, default=3000, help="of that training")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--evaluations", default="1,2,4,8,12,25,50,250")
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--guidance", type=float, help="the model's own unless given")
    parser.add_argument("--name", default="solvers", help="of the file in results/")
    options = parser.parse_args()
    loaded = trained(options.steps, Path("runs")) if options.run is None else load_run(find(options.run))
    dataset = data_of(loaded)
    net = extractor_for(dataset, device=loaded.device)

    def features(images: Tensor) -> Tensor:
        return embed(net, iter(images.split(500)))

    key = next(k for k, f in loaded.spec.items() if f.role == "item")
    held_out = features(dataset.test.batch(torch.arange(len(dataset.test)))[key])
    index = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(1))[: options.n]
    about: dict[str, Any] = {
        "data": dataset.name,
        "step": loaded.step,
        "model": loaded.settings.recipe,
        "n": options.n,
        "guidance": options.guidance or loaded.model.config.guidance,
        "metric": f"FD({net.identity})",
        "floor": frechet_distance(features(dataset.train.batch(index)[key]), held_out),
    }
    command = f"python benchmarks/{Path(__file__).name} --steps {loaded.step} --n {options.n}"
    path = RESULTS / f"{options.name}.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    cells: dict[str, dict[str, dict[str, float]]] = (
        known.get("cells", {}) if all(known.get(k) == v for k, v in about.items()) else {}
    )
    truth: Tensor | None = None
    for text in options.evaluations.split(","):
        for name in options.solvers.split(","):
            if text in cells.get(name, {}):
                continue
            choices = Sampling(steps=int(text), solver=name, guidance=options.guidance)
            started = time.monotonic()
            images = drawn(loaded, options.n, choices)
            cell = {"seconds": round(time.monotonic() - started, 1)}
            cell["fd"] = round(frechet_distance(features(images), held_out), 3)
            if not SOLVERS[name].random or name == "ddim":
                if truth is None:
                    truth = drawn(loaded, EXACT, replace(choices, steps=500, solver="heun"))
                # Of its own, since a chunk of another size draws other noise.
                gap = drawn(loaded, EXACT, choices) - truth
                cell["rms"] = round(float(gap.square().mean().sqrt()), 4)
            cells.setdefault(name, {})[text] = cell
            print(name, text, cell, flush=True)
            publish(options.name, {**about, "cells": cells}, command)
    columns = options.evaluations.split(",")
    print("\n| solver | " + " | ".join(columns) + " |\n|---" * 1 + "|---" * (len(columns)) + "|")
    for name in options.solvers.split(","):
        row = [f"{cells[name][c]['fd']:.2f}" if c in cells.get(name, {}) else "" for c in columns]
        print(f"| {name} | " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
