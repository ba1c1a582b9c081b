"""What the engine adds to an adversarial step: its time beside that of the networks alone.

    python benchmarks/gan_step.py [--steps 6] [--rounds 4]

The same batches, losses and optimizers: a step of the engine (dealing items, draws, gradients, norms, figures, averages
of weights) beside a plain loop that calls the losses, their gradients and Adam. Both in turn, in processor time, the
least of all rounds. Writes results/gan_step.json.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from _result import publish
from genloom import data
from genloom.core import Model, Step
from genloom.data.options import DataOptions
from genloom.engine.distributed import World
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game, Moment
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.models.registry import model_class
from genloom.recipes import registry

CPU = torch.device("cpu")


def ours(model: Model, dataset: data.Dataset, batch: int, steps: int) -> float:
    """Processor seconds a step of the engine, with averaged weights."""
    options = replace(TrainOptions(), batch=batch, device="cpu")
    game, average = Game(model, dataset.train, dataset.options, options, Plan(), CPU, World()), PowerEMA(model, 0.1)
    started = time.process_time()
    for i in range(steps):
        game.step(Moment(i, i / steps))
        average.update(model, i + 1)
    return (time.process_time() - started) / steps


def plain(model: Model, dataset: data.Dataset, batch: int, steps: int) -> float:
    """Processor seconds a step of losses, gradients and Adam on one batch that is there already."""
    items = dataset.train.batch(torch.arange(batch))
    owned = {
        p.name: [v for k, v in model.named_parameters() if any(k.startswith(q.rstrip("*")) for q in p.parameters)]
        for p in model.players()
    }
    optimizers = {k: torch.optim.Adam(v, 2e-4, (0.5, 0.99), foreach=True) for k, v in owned.items()}
    started = time.process_time()
    for i in range(steps):
        for phase in model.phases():
            for other, parameters in owned.items():
                for p in parameters:
                    p.requires_grad_(other == phase.player)
            for _ in range(phase.repeat):
                optimizers[phase.player].zero_grad(set_to_none=True)
                model.loss(phase, items, Step(seed=i, rows=(0, batch, batch))).total.backward()
                optimizers[phase.player].step()
    return (time.process_time() - started) / steps


def main() -> None:
    """Measures and publishes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    dataset = data.load(DataOptions(source="mnist"))
    found = {}
    for name in ("gan", "dcgan"):
        recipe = registry.get(name)
        times: dict[str, list[float]] = {"engine": [], "networks": []}
        torch.manual_seed(0)
        models = [model_class(recipe.model)(recipe.config, dataset.spec) for _ in range(2)]
        for _ in range(options.rounds):
            times["engine"].append(ours(models[0], dataset, 64, options.steps))
            times["networks"].append(plain(models[1], dataset, 64, options.steps))
        least = {k: min(v) for k, v in times.items()}
        found[name] = {
            "engine_ms": 1e3 * least["engine"],
            "networks_ms": 1e3 * least["networks"],
            "overhead": least["engine"] / least["networks"] - 1,
        }
        print(name, found[name], flush=True)
    publish("gan_step", {"batch": 64, "goal": 0.1, "models": found}, "python benchmarks/gan_step.py")


if __name__ == "__main__":
    main()
