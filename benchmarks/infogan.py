"""Is a code that was found without labels the digit? InfoGAN on MNIST as its paper has it, and told groups.

    python benchmarks/infogan.py [--steps 2400] [--seeds 3] [--only found]

Both know no label. `paper` is the game of the paper; `found`, the recipe, first looks for ten groups of real digits
that stay when a digit is moved a little. The code is matched with the digits one to one on half of the held-out items
and judged on the other half (as `genloom evaluate` does). Counted in steps. Writes results/infogan.json and a sheet of
the first seed of each: a row for each value of the code, the same noise in every row.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import torch

from _play import play
from _result import RESULTS, publish, save_small
from genloom import data
from genloom.data.options import DataOptions
from genloom.engine.precision import Plan
from genloom.metrics.codes import code_results
from genloom.modalities.image import grid
from genloom.models.adversarial.infogan import InfoGAN
from genloom.recipes import registry

KINDS: dict[str, dict[str, Any]] = {"found": {}, "paper": {"discovery": 0.0}}


def sheet(model: InfoGAN) -> torch.Tensor:
    """Ten noises, a row for each value of the code."""
    latent = model.prior(10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        rows = [model.decode(model.with_code(latent, "category 1", torch.full((10,), i)))["image"] for i in range(10)]
    return torch.cat(rows).float()


def main() -> None:
    """Trains, measures and publishes; parts that are not run keep their last figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    labelled = data.load(DataOptions(source="mnist-full"))
    unlabelled = data.load(DataOptions(source="mnist-full", labels=False))
    place = RESULTS / "infogan.json"
    found: dict[str, Any] = json.loads(place.read_text())["kinds"] if place.exists() else {}
    for name in options.only:
        config = replace(registry.get("infogan").config, **KINDS[name])
        runs: list[dict[str, Any]] = []
        for seed in range(options.seeds):
            started = time.process_time()
            plan = Plan("bf16", channels_last=True)
            model = play(InfoGAN, config, unlabelled, steps=options.steps, batch=options.batch, seed=seed, plan=plan)
            assert isinstance(model, InfoGAN)
            error = next(r for r in code_results(model, labelled) if r.key.startswith("code_error"))
            seconds = round(time.process_time() - started)
            runs.append({"seed": seed, "error": error.value, "interval": error.interval, "processor_seconds": seconds})
            if seed == 0:
                save_small(grid(sheet(model), 10), RESULTS / f"infogan_{name}.png")
            print(name, runs[-1], flush=True)
        found[name] = {"n": error.n, "steps": options.steps, "batch": options.batch, "runs": runs}
    shared = "the machine was shared with other work; figures are counted in steps"
    command = (
        f"python benchmarks/infogan.py --steps {options.steps} --seeds {options.seeds} --only {' '.join(options.only)}"
    )
    publish("infogan", {"kinds": found, "chance": 0.9, "goal": 0.1, "shared": shared}, command)


if __name__ == "__main__":
    main()
