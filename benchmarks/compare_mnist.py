"""Four recipes on handwritten digits, a minute each, three seeds: is the order the same with other seeds?

    python benchmarks/compare_mnist.py [--budget 60s] [--seeds 3] [--n 5000] [--out comparisons]

Runs `genloom compare vae r3gan flow gan-mlp --data mnist --budget 60s --seeds 3` with seeds 0 to 2 and again with 10 to
12, and publishes both boards, whether they agree in their order, and the size of the report. On a quiet machine it
takes 24 minutes of training and perhaps as long for measuring. Stopped, it keeps what it has under --out and the same
command goes on; nothing is published before both boards are complete, and then with exactly the options given.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import genloom
from _result import publish

RECIPES = ("vae", "r3gan", "flow", "gan-mlp")
FIRST = (0, 10)


def board(found: Any) -> list[dict[str, Any]]:
    """What a reader needs of a board, the best first."""
    rows = []
    for s in found.record["standings"]:
        fd = s["figures"]["fd"]
        row = {"recipe": s["name"], "fd": round(fd["value"], 3), "seeds": [round(v, 3) for v in fd["values"]]}
        row["interval"] = None if fd["interval"] is None else [round(v, 3) for v in fd["interval"]]
        row |= {k: round(s["figures"][k]["value"], 4) for k in ("precision", "recall", "smallest_share")}
        row |= {"tied": s["tied"], "seconds": round(s["cost"]["seconds"], 1), "parameters": s["parameters"]}
        row["peak_memory_mb"] = round(s["cost"]["peak_memory_bytes"] / 1e6)
        row["energy_wh_estimated"] = [float(f"{1000 * v:.2g}") for v in s["cost"]["energy_kwh_estimated"]]
        rows.append(row)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=Path("comparisons"))
    a = parser.parse_args()
    boards, begun = {}, time.monotonic()
    for first in FIRST:
        folder = a.out / f"mnist-{a.budget}-{a.seeds}-seeds-from-{first}-n{a.n}"
        found = genloom.compare(
            *RECIPES, data="mnist", budget=a.budget, seeds=a.seeds, first_seed=first, n=a.n, out=folder
        )
        print(found)
        if found.state != "finished":
            print(f"partial results stay in {folder}; the same command goes on", file=sys.stderr)
            return 130
        boards[first] = found
    orders = {first: [row["recipe"] for row in board(found)] for first, found in boards.items()}
    size = (boards[FIRST[0]].folder / "report.html").stat().st_size
    record = boards[FIRST[0]].record
    figures = {
        "budget": a.budget,
        "seeds": {str(first): found.record["plan"]["seeds"] for first, found in boards.items()},
        "n": record["plan"]["n"],
        "figure": record["runs"][0]["evaluation"]["results"][0]["name"],
        "floor": round(record["floor"], 3),
        "boards": {str(first): board(found) for first, found in boards.items()},
        "significance": {str(first): found.record["significance"] for first, found in boards.items()},
        "orders": {str(first): order for first, order in orders.items()},
        "same_order": len({tuple(order) for order in orders.values()}) == 1,
        "report_mb": round(size / 1e6, 2),
        "seconds_of_this_call": round(time.monotonic() - begun, 1),
    }
    command = f"python benchmarks/compare_mnist.py --budget {a.budget} --seeds {a.seeds} --n {a.n}"
    publish("compare_mnist", figures, command)
    return 0


if __name__ == "__main__":
    sys.exit(main())
