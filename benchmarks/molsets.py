"""Molecules: what MOSES counts of three recipes, whether a told property is heeded, and a search for one.

    python benchmarks/molsets.py [--budget 30m | --steps N] [--n 12000] [--only gpt told vae] [--limit 200000]
                                 [--seed 0] [--runs DIR]

    gpt     molecules-gpt for the budget, on all training molecules: valid, unique@10k, novel, internal diversity,
            Wasserstein distances of properties, beside what MOSES publishes for its CharRNN (Polykovskiy et al. 2020,
            table 2: 80 epochs on a GPU)
    told    the same recipe, told logP, on the first --limit molecules: how far the logP of what it writes lies from the
            one that was asked for, beside the same model told nothing
    vae     molecules-vae for the budget: the same figures, how many held-out molecules come back unchanged, and
            `genloom search` for the highest QED and for a logP of 4

Each of `--only` writes its part into results/molsets.json and keeps the others. A run that --runs holds already is
resumed where it stopped, or measured as it is. rdkit is needed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import genloom
from _result import RESULTS, publish
from genloom.core import DataSpec
from genloom.engine.load import Loaded, load
from genloom.runs import list_runs

CHAR_RNN = {"valid": 0.9748, "unique_10000": 0.9994, "novel": 0.8419, "diversity": 0.8562}
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt": ("molecules-gpt", {}),
    "told": ("molecules-gpt", {"data.property": "logp"}),
    "vae": ("molecules-vae", {}),
}
SOUGHT: dict[str, dict[str, Any]] = {
    "qed, highest": {"property": "qed"},
    "logp, nearest to 4": {"property": "logp", "target": 4.0},
}


def one(part: str, a: argparse.Namespace, runs: str) -> dict[str, Any]:
    """Trains one recipe, unless it was, and measures it."""
    recipe, overrides = RECIPES[part]
    if part == "told":
        overrides = {**overrides, "data.limit": a.limit}
    run = next((run for run in list_runs(runs) if run.path.name == f"molsets-{part}"), None)
    if run is None:
        name = f"molsets-{part}"
        run = genloom.train(
            recipe, data="molsets", budget=a.budget, seed=a.seed, runs=runs, name=name, overrides=overrides
        ).run
    elif run.status.get("state") != "finished":
        run = genloom.train(resume=run.path).run
    loaded = load(run)
    measured = genloom.evaluate(loaded, n=a.n, seed=a.seed, page=False).to_json()
    figures: dict[str, Any] = {
        "recipe": recipe,
        "budget": run.config["train"]["budget"],
        "updates": loaded.step,
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "cost": run.status.get("cost"),
        "conditions": conditions(loaded.spec),
        "results": {
            r["key"]: {"value": r["value"], "interval": r["interval"], "floor": r["protocol"].get("floor"), "n": r["n"]}
            for r in measured["results"]
        },
    }
    if part == "vae":
        figures["search"] = {
            name: {k: v for k, v in searched(loaded, sought, a).items() if k not in ("run", "out")}
            for name, sought in SOUGHT.items()
        }
    return figures


def searched(loaded: Loaded, sought: dict[str, Any], a: argparse.Namespace) -> dict[str, Any]:
    """What a search found."""
    return genloom.search(loaded, **sought, start=a.start, rounds=a.rounds, seed=a.seed).to_json()


def conditions(spec: DataSpec) -> list[str]:
    """The names of what is told."""
    return [name for name, field in spec.items() if field.role == "condition"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--steps", type=int, default=None, help="updates, instead of a time")
    parser.add_argument("--n", type=int, default=12_000)
    parser.add_argument("--only", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--limit", type=int, default=200_000)
    parser.add_argument("--start", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=None, help="where trained models are kept")
    parser.add_argument("--name", default="molsets", help="of the result file")
    a = parser.parse_args()
    if a.steps is not None:
        a.budget = f"{a.steps}steps"
    before = RESULTS / f"{a.name}.json"
    parts: dict[str, Any] = json.loads(before.read_text(encoding="utf-8"))["parts"] if before.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for part in a.only:
            parts[part] = one(part, a, a.runs or scratch)
            command = f"python benchmarks/{Path(__file__).name} --budget {a.budget} --n {a.n} --limit {a.limit}"
            publish(a.name, {"seed": a.seed, "char_rnn": CHAR_RNN, "parts": parts}, command)


if __name__ == "__main__":
    main()
