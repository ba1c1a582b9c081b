"""Model collapse on small digits: what five generations of a recipe lose at each share of fresh real data.

    python benchmarks/collapse.py [--recipe vae] [--data digits] [--budget 30s] [--generations 5] [--seeds 1]

The experiment of `genloom experiment collapse` in a folder of its own (--out), taken up where it was stopped. Its page
is report.html there; the table, verdicts and the time for everything go to results/.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import genloom
from _result import publish


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="vae")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--budget", default="30s")
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--fresh", default="0,0.1,0.5")
    parser.add_argument("--out")
    options = parser.parse_args()
    begun = time.monotonic()
    done = genloom.collapse(
        options.recipe,
        data=options.data,
        budget=options.budget,
        generations=options.generations,
        seeds=options.seeds,
        fresh=options.fresh,
        out=options.out,
    )
    if done.state != "finished":
        raise SystemExit(str(done))
    print(done)
    record = done.record
    publish(
        "collapse",
        {
            "recipe": options.recipe,
            "data": options.data,
            "budget": options.budget,
            "items a generation": record["plan"]["items"],
            "n": record["plan"]["n"],
            "seeds": options.seeds,
            "seconds for everything": round(time.monotonic() - begun, 1),
            "real items": rounded(record["floors"]),
            "generations": [
                {
                    "fresh": e["share"],
                    "generation": e["generation"],
                    "seed": e["seed"],
                    "steps": e.get("step"),
                    **rounded({k: float(np.mean(v)) for k, v in e["figures"].items()}),
                }
                for e in record["runs"]
            ],
            "verdicts": {f"{v['share']:g}": v["verdict"] for v in record["verdicts"]},
            "summary": record["summary"],
        },
        f"python benchmarks/collapse.py --recipe {options.recipe} --data {options.data} --budget {options.budget} "
        f"--generations {options.generations} --seeds {options.seeds} --fresh {options.fresh}",
    )


def rounded(figures: dict[str, float]) -> dict[str, float]:
    return {k: float(f"{v:.4g}") for k, v in figures.items()}


if __name__ == "__main__":
    main()
