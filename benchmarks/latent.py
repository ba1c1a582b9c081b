"""At 64 pixels: flow on pixels beside flow on an autoencoder's codes, for equal wall time, the autoencoder's included.

    python benchmarks/latent.py [--data emoji] [--seconds 900] [--share 0.33]

Three contestants of `--seconds` each, in turn: flow as it comes (stem 2), flow with a stem of 4, which has the grid of
the latent flow and costs as much a step, and kl-autoencoder for `--share` of the time with latent-flow for the rest. FD
of n samples against held-out items at several moments of each, in the features of a network trained on the training
items: a curve against the seconds, from which the crossing is read. The floor is training items against held-out ones,
the autoencoder's own limit its copies of held-out items. `--steps N` counts N steps instead of seconds, for a trial on
a busy machine. Writes results/latent.json and a picture.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish, save_small
from genloom.core import CanCompress, Sampling
from genloom.data import DataOptions, Dataset, load
from genloom.engine import moments
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for
from genloom.modalities.image import grid
from genloom.recipes import registry
from genloom.runs import Run
from genloom.verbs.drawn import draw

SHARES = (0.125, 0.25, 0.5, 0.75)


def make(root: str, name: str, recipe: str, budget: str, data: Dataset, changes: dict[str, Any], **given: Run) -> Run:
    """A finished run of a recipe with some fields changed, its weights kept at several moments."""
    made = registry.override(registry.get(recipe), changes)
    options = replace(made.train, budget=budget, moments=SHARES, on_illness="off")
    run = create_run(root, Settings(recipe, made.model, made.config, data.options, options), data, name, given)
    train(run, data)
    return run


def main() -> None:
    """Trains and measures the contestants in turn, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--size", default="64")
    parser.add_argument("--seconds", type=float, default=900.0, help="wall time of each contestant")
    parser.add_argument("--share", type=float, default=0.33, help="of the time for the autoencoder")
    parser.add_argument("--steps", type=int, default=0, help="steps in the place of seconds: a trial")
    parser.add_argument("--n", type=int, default=2000, help="samples a figure")
    arguments = parser.parse_args()
    n = arguments.n
    data = load(DataOptions(source=arguments.data, size=arguments.size))
    net = extractor_for(data)

    def features(x: Tensor) -> Tensor:
        return embed(net, iter(x.split(500)))

    test = data.test.batch(torch.arange(min(len(data.test), 5000)))
    held_out = features(test["image"])
    index = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(1))[:n]
    floor = frechet_distance(features(data.train.batch(index)["image"]), held_out)

    def budget(share: float) -> str:
        steps, seconds = arguments.steps * share, arguments.seconds * share
        return f"{max(1, round(steps))}steps" if arguments.steps else f"{seconds:g}s"

    pictures: list[Tensor] = []

    def curve(run: Run, before: float) -> list[dict[str, float]]:
        """FD at every moment that was kept, and at the end; seconds count from the contestant's start."""
        found = []
        kept: list[Any] = [*moments.kept(run), None]
        for moment in kept:
            images = draw(load_run(run, moment=moment), n, seed=0, options=Sampling())
            seconds = before + (run.status["seconds"] if moment is None else moment.seconds)
            found.append({"seconds": round(seconds, 1), "fd": round(frechet_distance(features(images), held_out), 3)})
            print(run.name, found[-1], flush=True)
        pictures.append(images[:20])
        return found

    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        for name, changes in (
            ("pixels, stem 2", {}),
            ("pixels, stem 4", {"config.stem": 4, "config.widths": (64, 128)}),
        ):
            run = make(root, name.replace(", ", "-").replace(" ", ""), "flow", budget(1), data, changes)
            results[name] = {"steps": run.status["step"], "curve": curve(run, 0.0)}
        first = make(root, "autoencoder", "kl-autoencoder", budget(arguments.share), data, {})
        model = load_run(first).model
        assert isinstance(model, CanCompress)
        with torch.no_grad():
            parts = [model.expand(model.compress({"image": x}))["image"] for x in test["image"].split(100)]
        copies = torch.cat(parts)
        mse = float((copies - test["image"]).square().mean())
        run = make(root, "latent", "latent-flow", budget(1 - arguments.share), data, {}, autoencoder=first)
        results["latent"] = {
            "autoencoder": {"steps": first.status["step"], "seconds": round(first.status["seconds"], 1),
                            "mse of copies": round(mse, 5),
                            "fd of copies": round(frechet_distance(features(copies), held_out), 3)},
            "steps": run.status["step"],
            "curve": curve(run, first.status["seconds"]),
        }  # fmt: skip
        pictures.append(copies[:20])
    best = min(results[name]["curve"][-1]["fd"] for name in results if name != "latent")
    won = next((p["seconds"] for p in results["latent"]["curve"] if p["fd"] <= best), None)
    RESULTS.mkdir(exist_ok=True)
    save_small(grid(torch.cat(pictures), 20), RESULTS / "latent.png")
    publish(
        "latent",
        {
            "data": arguments.data,
            "size": arguments.size,
            "n": n,
            "held out": len(held_out),
            "metric": f"FD({net.identity})",
            "floor": round(floor, 3),
            "seconds each": arguments.seconds if not arguments.steps else f"{arguments.steps} steps",
            "latent reaches the best pixel flow's last FD after seconds": won,
            **results,
        },
        "python benchmarks/latent.py",
    )


if __name__ == "__main__":
    main()
