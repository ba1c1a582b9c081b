"""Does `--on-illness repair` mend a GAN that leaves digits out? The textbook's minimax game and the course's GAN.

    python benchmarks/repair.py [--data mnist] [--steps 8000] [--seeds 3]

Each recipe is trained as it comes for `steps` steps, and with repair for 1.2 times as many. A repair may go back and
give up steps that were played; they count, and with them it may take no more than twice the steps. What is measured is
the smallest share of any class among 5,000 samples, named by the classifier that `genloom evaluate` uses: below 2% as
the recipe comes, at least 4% repaired. Writes results/repair.json with the shares and every repair: at which step, for
what finding, what was changed.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from _result import publish
from genloom.data import DataOptions, Dataset, load
from genloom.engine.journal import Reporter
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.evaluate import evaluate
from genloom.recipes.registry import get

RECIPES = ("gan-minimax", "gan-mlp")
LOW, HIGH = 0.02, 0.04
LONGER = 1.2
"""The budget of a repaired run: what is then given up fits into twice the steps."""
SAMPLES = 5000


def shares(run: Any, labelled: Dataset) -> tuple[dict[str, float], float]:
    """The share of each class among samples of a run, and their Frechet distance from held-out items."""
    model = load_run(run).model
    found = evaluate(model, labelled, SAMPLES, torch.Generator().manual_seed(0), copies=False)
    values = {r.key: r.value for r in found.results}
    distance = next(v for k, v in values.items() if k.startswith(("fd", "frechet")))
    return {k.removeprefix("share:"): round(v, 4) for k, v in values.items() if k.startswith("share:")}, distance


def trained(
    recipe: str, source: str, steps: int, seed: int, repair: bool, root: Path, labelled: Dataset
) -> dict[str, Any]:
    """One run's figures."""
    made = get(recipe)
    options = replace(made.train, budget=f"{steps}steps", seed=seed, on_illness="repair" if repair else "warn")
    dataset = load(replace(made.data, source=source))
    run = create_run(root, Settings(recipe, made.model, made.config, dataset.options, options), dataset)
    train(run, dataset, reporter=Reporter(None))
    found, distance = shares(run, labelled)
    lines = run.repairs()
    return {
        "smallest class": min(found.values()),
        "shares": found,
        "FD": round(distance, 3),
        "steps played": steps + sum(r["seen"] - r["step"] for r in lines),
        "found": [f"{f['name']} at {f['step']}" for f in run.health()],
        "repairs": [r["line"] for r in lines],
    }


def main() -> None:
    """Trains, measures, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipes", default=",".join(RECIPES))
    options = parser.parse_args()
    labelled = load(DataOptions(source=options.data))
    figures: dict[str, Any] = {}
    longer = round(LONGER * options.steps)
    with tempfile.TemporaryDirectory() as folder:
        for recipe in options.recipes.split(","):
            figures[recipe] = {"as it comes": [], "repaired": []}
            for seed in range(options.seeds):
                for kind, steps in (("as it comes", options.steps), ("repaired", longer)):
                    repair = kind == "repaired"
                    one = trained(recipe, options.data, steps, seed, repair, Path(folder), labelled)
                    figures[recipe][kind].append({"seed": seed, **one})
                    print(f"{recipe} {kind}, seed {seed}: smallest class {one['smallest class']:.1%} "
                          f"after {one['steps played']:,} steps", flush=True)  # fmt: skip
                    for line in one["repairs"]:
                        print(f"  {line}", flush=True)
    before = {r: [one["smallest class"] for one in f["as it comes"]] for r, f in figures.items()}
    after = {r: [one["smallest class"] for one in f["repaired"]] for r, f in figures.items()}
    publish(
        "repair",
        {
            "data": options.data,
            "training items": labelled.train.items,
            "steps": {"as it comes": options.steps, "repaired": longer, "allowed": 2 * options.steps},
            "samples": SAMPLES,
            "smallest class as it comes": before,
            "smallest class repaired": after,
            "all below 2% as they come": all(v < LOW for vs in before.values() for v in vs),
            "all at least 4% repaired": all(v >= HIGH for vs in after.values() for v in vs),
            "none played more than twice the steps": all(
                one["steps played"] <= 2 * options.steps for f in figures.values() for one in f["repaired"]
            ),
            "runs": figures,
        },
        f"python benchmarks/repair.py --data {options.data} --steps {options.steps} --seeds {options.seeds}",
    )


if __name__ == "__main__":
    main()
