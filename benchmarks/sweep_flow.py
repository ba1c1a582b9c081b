"""Which small diffusion model is best for equal compute? Fashion-MNIST, every variant trained for the same time.

    python benchmarks/sweep_flow.py [--steps 2100] [--n 2000] [--only NAME ...] [--seed 0]

A variant changes one thing of recipe `flow`: the network, the optimizer, the batch, the training times. A training
step's cost is measured for all variants in turn (processor time of one thread, the least of several rounds), and each
trains for as many steps as cost what `--steps` steps of the recipe as it is cost: so a busy machine changes the
waiting, not the result. Frechet distance of n samples without guidance, 12 evaluations, against the test split. One
seed a call: differences below a fifth mean nothing. Every finished variant is kept in results/sweep_flow.json (of other
seeds in sweep_flow_SEED.json), and not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch

from _result import RESULTS, publish
from flow_fashion import features
from genloom.core import Model, Optimizer, Sampling
from genloom.data import DataOptions, Dataset, load
from genloom.engine.distributed import World
from genloom.engine.game import Game, Moment
from genloom.engine.journal import Reporter
from genloom.engine.load import load as load_run
from genloom.engine.precision import Plan, arithmetic, arrange
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import train_extractor
from genloom.metrics.frechet import frechet_distance
from genloom.models.diffusion.flow import OPTIMIZER, Flow, FlowConfig
from genloom.recipes.registry import get

ADAMW = Optimizer("adamw", lr=2e-3)
DIT = {"backbone": "dit", "optimizer": replace(OPTIMIZER, muon_skips=("net.enter.*", "net.leave.*", "net.time.*",
                                                                      "*.film.*", "net.positions"))}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "flow": {},
    "batch 32": {"batch": 32},
    "batch 128": {"batch": 128},
    "widths 32,64; blocks 1,2": {"widths": (32, 64), "blocks": (1, 2)},
    "widths 32,128; blocks 1,3": {"widths": (32, 128), "blocks": (1, 3)},
    "widths 64,128; blocks 1,2": {"widths": (64, 128), "blocks": (1, 2)},
    "widths 32,96,96; blocks 1,2,2": {"widths": (32, 96, 96), "blocks": (1, 2, 2)},
    "blocks 2,3": {"blocks": (2, 3)},
    "attention": {"attention": (1,)},
    "AdamW, lr 2e-3": {"optimizer": ADAMW},
    "Muon lr 0.01": {"optimizer": replace(OPTIMIZER, muon_lr=0.01)},
    "Muon lr 0.04": {"optimizer": replace(OPTIMIZER, muon_lr=0.04)},
    "uniform times": {"time_switch": 0.0},
    "logit-normal to the end": {"time_switch": 1.0},
    "times nearer the data": {"time_mean": -0.5},
    "DiT, patch 4, width 128, depth 4": {**DIT, "patch": 4, "width": 128, "depth": 4},
    "DiT, patch 4, width 192, depth 6": {**DIT, "patch": 4, "width": 192, "depth": 6},
    "DiT, patch 7, width 256, depth 6": {**DIT, "patch": 7, "width": 256, "depth": 6},
}


def game(dataset: Dataset, config: FlowConfig, batch: int) -> Game:
    """A game of the variant's model, ready to be timed."""
    torch.manual_seed(0)
    model, plan = Flow(config, dataset.spec), Plan("bf16", True)
    arrange(model, plan)
    options = replace(get("flow").train, batch=batch, precision="bf16", device="cpu")
    return Game(model.train(), dataset.train, dataset.options, options, plan, torch.device("cpu"), World())


def seconds_a_step(games: dict[str, Game], rounds: int = 12) -> dict[str, float]:
    """The least time of a step of each, taken in turn."""
    least = dict.fromkeys(games, float("inf"))
    for i in range(rounds):
        for name, one in games.items():
            started = time.process_time()
            one.step(Moment(i, i / 1000))
            least[name] = min(least[name], time.process_time() - started)
    return least


def samples(model: Model, n: int) -> torch.Tensor:
    """n samples without guidance."""
    arrange(model, plan := Plan("bf16", True))
    generator, parts = torch.Generator().manual_seed(0), []
    with torch.no_grad(), arithmetic(plan, torch.device("cpu")):
        for start in range(0, n, 500):
            drawn = model.sample(min(500, n - start), options=Sampling(guidance=1.0), generator=generator)  # type: ignore[operator]
            parts.append(drawn["image"].float())
    return torch.cat(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2100)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS), metavar="NAME")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load(DataOptions(source="fashion-mnist"))
    recipe = get("flow")
    chosen = {k: dict(VARIANTS[k]) for k in arguments.only}
    batches = {k: v.pop("batch", recipe.train.batch) for k, v in chosen.items()}
    configs = {k: replace(recipe.config, **v) for k, v in chosen.items()}
    name_of_file = "sweep_flow" + (f"_{arguments.seed}" if arguments.seed else "")
    file = RESULTS / f"{name_of_file}.json"
    found: dict[str, Any] = {}
    if file.exists() and (kept := json.loads(file.read_text()))["steps"] == arguments.steps:
        found = kept["variants"]
    base = game(dataset, recipe.config, recipe.train.batch)
    speed = seconds_a_step({"flow": base, **{k: game(dataset, configs[k], batches[k]) for k in chosen if k != "flow"}})
    print({k: f"{v * 1e3:.0f} ms" for k, v in speed.items()}, flush=True)
    extractor = train_extractor(dataset.train, name="fashion-mnist")
    held_out = features(extractor, dataset.test.batch(torch.arange(len(dataset.test)))["image"])
    for name, config in configs.items():
        if name in found:
            continue
        steps = round(arguments.steps * speed["flow"] / speed[name])
        options = replace(recipe.train, budget=f"{steps}steps", batch=batches[name], precision="bf16",
                          channels_last="on", compile="off", on_illness="off", seed=arguments.seed)  # fmt: skip
        with tempfile.TemporaryDirectory() as root:
            run = create_run(root, Settings("flow", "flow", config, dataset.options, options), dataset)
            train(run, dataset, reporter=Reporter(None))
            model = load_run(run).model
        distance = frechet_distance(features(extractor, samples(model, arguments.n)), held_out)
        parameters = sum(p.numel() for p in model.parameters())
        found[name] = {"fd": distance, "steps": steps, "batch": batches[name], "parameters": parameters,
                       "milliseconds_a_step": speed[name] * 1e3}  # fmt: skip
        print(f"{name}: FD {distance:.3f} after {steps:,} steps", flush=True)
        figures = {"metric": f"FD({extractor.identity})", "steps": arguments.steps, "n": arguments.n, "variants": found}
        command = f"python benchmarks/sweep_flow.py --steps {arguments.steps} --seed {arguments.seed}"
        publish(name_of_file, figures, command)


if __name__ == "__main__":
    main()
