"""Latent flow in one go: an autoencoder for a third of the time, then a flow on its codes for the rest.

    python examples/latent.py ./my-photos 20m

The same as `genloom train kl-autoencoder --data D`, then `genloom train latent-flow --given autoencoder=RUN --data D`.
A second call goes on where the first one stopped.
"""

from __future__ import annotations

import sys
from pathlib import Path

import genloom
from genloom.engine.budget import parse_budget


def stage(recipe: str, data: str, seconds: float, folder: Path, **more: object) -> object:
    """The finished run of one stage: new, resumed, or as it is."""
    if (folder / recipe / "status.json").exists():
        return genloom.train(resume=folder / recipe)
    return genloom.train(recipe, data=data, budget=f"{seconds:g}s", runs=folder, name=recipe, **more)


def main() -> None:
    """Trains both stages, and draws."""
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    data, budget = sys.argv[1], parse_budget(sys.argv[2])
    if budget.kind != "seconds":
        raise SystemExit(f"expected a time such as 20m, got {budget.text!r}")
    folder = Path("latent")
    autoencoder = stage("kl-autoencoder", data, budget.amount / 3, folder)
    flow = stage("latent-flow", data, budget.amount * 2 / 3, folder, given={"autoencoder": autoencoder})
    print(genloom.sample(flow, n=64, out="latent.png"))


if __name__ == "__main__":
    main()
