"""Coarse to fine, at length: LAPGAN's separate games on CIFAR-10, and a network that grows to emoji of 64 pixels.

    python benchmarks/pyramids.py [--only lapgan progressive-gan] [--budget 12m] [--n 2000]

Each recipe as it comes but for the data (the second: 64 pixels, width 8, so that it learns on the same core). n samples
of the averaged weights against as many held-out pictures: Frechet distance in genloom's own features of the data, with
its floor; precision and recall (k = 5). Pictures: a dozen samples as each level of LAPGAN leaves them; three dozen of
the network that grew. Writes results/pyramids.json and docs/pictures/RECIPE-long.png.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import genloom
from _result import RESULTS, publish, save_small
from genloom.core import Sampling
from genloom.engine.load import load
from genloom.modalities import image
from genloom.verbs.drawn import draw
from genloom.verbs.opened import find_run

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "lapgan": ("cifar10", {}),
    "progressive-gan": ("emoji", {"data.size": "64", "config.width": 8}),
}


def one(recipe: str, budget: str, n: int, root: str) -> dict[str, Any]:
    """Trains a recipe, measures it and draws its picture."""
    data, changes = RECIPES[recipe]
    run = find_run(genloom.train(recipe, data=data, budget=budget, runs=root, overrides=changes))
    loaded = load(run)
    levels: list[Any] = []
    draw(loaded, 12, seed=1, options=Sampling(), watch=lambda seen: levels.append(seen["x"]))
    names = [f"{i + 1} of {len(levels)} networks" for i in range(len(levels))] if len(levels) > 1 else ["samples"]
    rows = dict(zip(names, (image.to_bytes(x) for x in levels), strict=True))
    if len(levels) == 1:
        rows["samples"] = draw(loaded, 36, seed=1, options=Sampling())
    save_small(image.labelled(rows, columns=12, scale=1), PICTURES / f"{recipe}-long.png")
    measured = genloom.evaluate(loaded, n=n, seed=0, page=False).to_json()
    wanted = ("fd", "precision", "recall", "coverage", "copies")
    return {
        "data": data,
        "changes": changes,
        "budget": budget,
        "updates": run.status["step"],
        "items": run.status["items"],
        "plan": run.environment["plan"],
        "cost": run.status.get("cost"),
        "features": next(r["protocol"]["features"] for r in measured["results"] if r["key"] == "coverage"),
        "results": {
            r["key"]: {"value": r["value"], "floor": r["protocol"].get("floor"), "n": r["n"]}
            for r in measured["results"]
            if r["key"] in wanted
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(RECIPES), default=tuple(RECIPES))
    parser.add_argument("--budget", default="12m")
    parser.add_argument("--n", type=int, default=2000)
    a = parser.parse_args()
    place = RESULTS / "pyramids.json"
    known = json.loads(place.read_text(encoding="utf-8"))["recipes"] if place.exists() else {}
    for recipe in a.only:
        with tempfile.TemporaryDirectory() as root:
            known[recipe] = one(recipe, a.budget, a.n, root)
        command = f"python benchmarks/pyramids.py --only {' '.join(a.only)} --budget {a.budget} --n {a.n}"
        publish("pyramids", {"shared_machine": True, "recipes": known}, command)


if __name__ == "__main__":
    main()
