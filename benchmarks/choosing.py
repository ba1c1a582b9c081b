"""Which family for how much data and time: the measurements behind docs/choosing.md.

    python benchmarks/choosing.py [--budgets 60s,5m] [--folder DIR]

Each cell is one `genloom compare vae r3gan flow` on one data set with one budget and one seed; figures are means over
three disjoint sets of samples. Finished cells are kept in the folder, so an interrupted benchmark goes on where it
stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import genloom
from _result import publish
from genloom.compare.board import comparison
from genloom.runs import read_json

RECIPES = ("vae", "r3gan", "flow")
DATA: dict[str, dict[str, Any]] = {
    "300 digits": {"data": "mnist", "overrides": {"data.limit": 300}},
    "3,000 digits": {"data": "mnist"},
    "55,000 clothes": {"data": "fashion-mnist"},
}


def cell(folder: Path, name: str, budget: str, n: int) -> dict[str, Any]:
    """The figures of each recipe on one data set with one budget."""
    place = folder / f"{name.replace(' ', '-').replace(',', '')}-{budget}"
    done = genloom.compare(*RECIPES, budget=budget, seeds=1, n=n, curve=0, out=place, **DATA[name])
    board = comparison(done.record)
    found: dict[str, Any] = {"floor": board.floor}
    for standing in board.standings:
        evaluation = read_json(place / "runs" / standing.runs[0] / "evaluation.json")
        found[standing.name] = {
            **{key: estimate.value for key, estimate in standing.figures.items()},
            "copies": evaluation["memorisation"].get("verdict"),
        }
    return found


def main() -> None:
    """Runs every cell and publishes the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budgets", default="60s")
    parser.add_argument("--data", default="300 digits;55,000 clothes")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="choosing-"))
    cells: dict[str, dict[str, Any]] = {}
    for budget in options.budgets.split(","):
        for name in options.data.split(";"):
            cells.setdefault(name, {})[budget] = cell(folder, name, budget, options.n)
    command = f'python benchmarks/choosing.py --budgets {options.budgets} --data "{options.data}"'
    publish("choosing", {"n": options.n, "cells": cells}, command)


if __name__ == "__main__":
    main()
