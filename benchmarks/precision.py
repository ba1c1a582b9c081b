"""Does the engine choose the fastest arithmetic? Items trained in a fixed wall time by every choice, and by "auto".

    python benchmarks/precision.py [--seconds 120] [--recipes flow vae]

Each recipe trains on Fashion-MNIST for the same wall time, in turn: fp32, bf32 and bf16 (eager, channels_last where it
has convolutions), the fastest of them compiled, and as the engine chooses by itself. Everything counts: measuring,
compiling, validation, previews. Goal: "auto" within a tenth of the best. Takes 10 minutes a recipe.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from typing import Any

from _result import publish
from genloom.data import DataOptions, Dataset, load
from genloom.engine.journal import Reporter
from genloom.engine.train import Settings, create_run, train
from genloom.recipes.registry import Recipe, get


def items(recipe: Recipe, dataset: Dataset, seconds: float, root: str, **options: Any) -> tuple[int, str]:
    """Items trained in `seconds`, and the plan that was used."""
    settings = replace(recipe.train, budget=f"{seconds:g}s", **options)
    run = create_run(root, Settings(recipe.model, recipe.model, recipe.config, dataset.options, settings), dataset)
    outcome = train(run, dataset, reporter=Reporter(None))
    plan = run.environment["plan"]
    return outcome.items, f"{plan['dtype']}{', channels_last' * plan['channels_last']}{', compiled' * plan['compile']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--recipes", nargs="+", default=["flow", "vae"])
    arguments = parser.parse_args()
    dataset = load(DataOptions(source="fashion-mnist"))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        for name in arguments.recipes:
            recipe, rates = get(name), {}
            for dtype in ("fp32", "bf32", "bf16"):
                rates[dtype], _ = items(recipe, dataset, arguments.seconds, root, precision=dtype, channels_last="on",
                                        compile="off")  # fmt: skip
                print(f"{name}, {dtype}: {rates[dtype]:,} items", flush=True)
            best = max(rates, key=lambda k: rates[k])
            rates[f"{best}, compiled"], _ = items(recipe, dataset, arguments.seconds, root, precision=best,
                                                  channels_last="on", compile="on")  # fmt: skip
            auto, plan = items(recipe, dataset, arguments.seconds, root)
            found[name] = {"items": rates, "auto": auto, "plan": plan, "share_of_best": auto / max(rates.values())}
            print(f"{name}: {found[name]}", flush=True)
    command = f"python benchmarks/precision.py --seconds {arguments.seconds:g} --recipes {' '.join(arguments.recipes)}"
    publish("precision", {"seconds": arguments.seconds, "recipes": found}, command)


if __name__ == "__main__":
    main()
