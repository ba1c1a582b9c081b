"""What a judge of patches adds to L1: pix2pix and the same U-Net learnt from L1 alone, on four kinds of pairs.

    python benchmarks/pix2pix.py [--pairs openmoji clothes styles photos] [--steps 500]

Both learn for as many steps of 16 pairs. Each translates held-out pictures once: L1, PSNR, SSIM, LPIPS to the true
picture, and the Frechet distance of all translations to all true pictures in the features of a network trained on the
training pictures (floor: as many training pictures). Beside them stand the given picture as it is and the partner of
the training picture nearest to it. Budgets are steps, so that a busy machine changes the seconds and nothing else.
Writes results/pix2pix.json (pairs measured by earlier calls are kept) and a picture of each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish
from genloom.core import the_pair
from genloom.data import DataOptions, Dataset, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.base import spread
from genloom.metrics.figures import compare
from genloom.metrics.pairs import likeness, simple, translated
from genloom.metrics.store import extractor_for
from genloom.modalities import image
from genloom.recipes import registry

PAIRS = {
    "openmoji": DataOptions("openmoji", pair="black", labels=False),
    "clothes": DataOptions("fashion-mnist", pair="edges", labels=False),
    "styles": DataOptions("emoji", pair="twitter", size="32", labels=False),
    "photos": DataOptions("cifar10", pair="grey", labels=False),
}
MOST = 1000  # held-out pairs
WAYS = {"pix2pix": {}, "L1 alone": {"adversarial": 0.0}}


def learnt(root: str, way: str, steps: int, dataset: Dataset) -> Any:
    """A finished run of the recipe as it comes, or without the judge."""
    made = registry.get("pix2pix")
    config = replace(made.config, **WAYS[way])
    options = replace(made.train, budget=f"{steps}steps", precision="bf16", preview_every="600m")
    run = create_run(root, Settings("pix2pix", made.model, config, dataset.options, options), dataset)
    train(run, dataset)
    return load_run(run)


def measured(name: str, steps: int) -> dict[str, Any]:
    """Both ways and the simple ones on one kind of pairs."""
    dataset = load(PAIRS[name])
    source, target = between = the_pair(dataset.spec, "pix2pix")
    rows = spread(len(dataset.test), MOST)
    held_out = dataset.test.batch(rows)
    given, originals = held_out[source], held_out[target]
    known = dataset.train.batch(spread(len(dataset.train), 10_000))
    net = extractor_for(dataset)
    made: dict[str, Tensor] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as root:
        for way in WAYS:
            loaded = learnt(root, way, steps, dataset)
            seconds[way] = round(loaded.run.status["seconds"], 1)
            generator = torch.Generator().manual_seed(0)
            made[way] = translated(loaded.model, f"{source}-to-{target}", between, given, generator)
    ways = {**made, **simple(given, known[source], known[target])}
    figures: dict[str, Any] = {}
    for way, items in ways.items():
        found = {r.key: round(r.value, 4) for r in likeness(items, originals, way)}
        if way != "the training mean":
            results = {r.key: r for r in compare(net, dataset, [net.features(image.to_bytes(items))], [])}
            found |= {"fd": round(results["fd"].value, 3), "recall": round(results["recall"].value, 3)}
            floor = results["fd"].floor
        figures[way] = found
        print(name, way, found, flush=True)
    few = spread(len(rows), 12)
    groups = {source: given, "L1 alone": made["L1 alone"], "pix2pix": made["pix2pix"], f"true {target}": originals}
    sheet = image.labelled([(k, image.to_bytes(x[few])) for k, x in groups.items()], columns=12, scale=1 if
                           originals.shape[-1] >= 64 else 2)  # fmt: skip
    sheet.quantize(128).save(RESULTS / f"pix2pix_{name}.png", optimize=True)
    return {
        "task": f"{source}-to-{target}",
        "size": "x".join(map(str, originals.shape[2:])),
        "training pairs": len(dataset.train),
        "held-out pairs": len(rows),
        "steps": steps,
        "seconds": seconds,
        "metric": f"FD({net.identity})",
        "floor": None if floor is None else round(floor, 3),
        "ways": figures,
    }


def main() -> None:
    """Measures and publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=list(PAIRS))
    parser.add_argument("--steps", type=int, default=500)
    arguments = parser.parse_args()
    place = RESULTS / "pix2pix.json"
    known = json.loads(place.read_text(encoding="utf-8"))["pairs"] if place.exists() else {}
    for name in arguments.pairs:
        known[name] = measured(name, arguments.steps)
        publish(
            "pix2pix",
            {"batch": 16, "note": "the machine was shared with other work", "pairs": known},
            f"python benchmarks/pix2pix.py --steps {arguments.steps}",
        )


if __name__ == "__main__":
    main()
