"""The same network, the same optimizer: how much faster than a plain fp32 loop does the engine train it?

    python benchmarks/engine_speed.py [--seconds 60] [--rounds 2]

The network of recipe `flow` on Fashion-MNIST, batch 64, AdamW, in turn: a plain loop over tensors (fp32, NCHW, eager,
clipping, no average of weights, nothing but training), and `genloom train flow` with AdamW instead of Muon, counting
everything that the engine does in its time: measuring the precision, averaging, validation, previews, checkpoints.
Training images a second of wall time; medians over the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import replace

from _result import publish
from flow_fashion import plain_rate
from genloom.data import DataOptions, load
from genloom.engine.journal import Reporter
from genloom.engine.train import Settings, create_run, train
from genloom.recipes.registry import get


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    dataset = load(DataOptions(source="fashion-mnist"))
    recipe = get("flow")
    config = replace(recipe.config, optimizer=replace(recipe.config.optimizer, name="adamw"))
    recipe = replace(recipe, config=config, data=dataset.options)
    plain, engine, plan = [], [], ""
    with tempfile.TemporaryDirectory() as root:
        for _ in range(arguments.rounds):
            plain.append(plain_rate(dataset, recipe, arguments.seconds / 3))
            options = replace(recipe.train, budget=f"{arguments.seconds:g}s")
            run = create_run(root, Settings("flow", recipe.model, recipe.config, recipe.data, options), dataset)
            outcome = train(run, dataset, reporter=Reporter(None))
            engine.append(outcome.items / outcome.seconds)
            plan = run.environment["plan"]
    figures = {
        "seconds": arguments.seconds,
        "plain_images_per_second": plain,
        "engine_images_per_second": engine,
        "plan": plan,
        "ratio": statistics.median(engine) / statistics.median(plain),
    }
    command = f"python benchmarks/engine_speed.py --seconds {arguments.seconds:g} --rounds {arguments.rounds}"
    publish("engine_speed", figures, command)


if __name__ == "__main__":
    main()
