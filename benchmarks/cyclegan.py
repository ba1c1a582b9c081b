"""Two styles of emoji turned into each other without pairs: cyclegan, both ways, scored by pairs it never saw.

    python benchmarks/cyclegan.py [--steps 1200] [--size 32]

Training sees Twitter's drawings of one half of the training emoji and Google's of the other half. Held-out emoji, whose
pairs are known, are translated: L1, PSNR, SSIM, LPIPS to the same emoji in the other style, and the Frechet distance of
all translations to all true pictures of that style (floor: training pictures of that style). Beside them: the given
picture as it is, and the training picture of the other style that is most like it. Budgets are steps, so that a busy
machine changes the seconds and nothing else. Writes results/cyclegan.json and a picture.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from typing import Any

import torch

from _result import RESULTS, publish
from genloom.data import DataOptions, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.base import spread
from genloom.metrics.figures import compare
from genloom.metrics.pairs import likeness, simple, tasks_of, translated
from genloom.metrics.store import extractor_for
from genloom.modalities import image
from genloom.recipes import registry


def main() -> None:
    """Trains once, measures both ways, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--size", default="32")
    parser.add_argument("--identity", type=float, default=5.0)
    arguments = parser.parse_args()
    dataset = load(DataOptions("emoji", pair="twitter", pairing="hidden", size=arguments.size, labels=False))
    made = registry.get("cyclegan")
    config = replace(made.config, identity=arguments.identity)
    options = replace(made.train, budget=f"{arguments.steps}steps", precision="bf16", preview_every="600m")
    figures: dict[str, Any] = {}
    sheets = []
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, Settings("cyclegan", made.model, config, dataset.options, options), dataset)
        train(run, dataset)
        loaded = load_run(run)
        seconds = round(run.status["seconds"], 1)
        held_out = dataset.test.batch(torch.arange(len(dataset.test)))
        for task, (source, target) in tasks_of(loaded.model, dataset.spec).items():
            view = dataset.only(target)
            net = extractor_for(view)
            given, originals = held_out[source], held_out[target]
            known = view.train.batch(spread(len(view.train), 10_000))[target]
            generator = torch.Generator().manual_seed(0)
            ways = {"cyclegan": translated(loaded.model, task, (source, target), given, generator)}
            ways |= simple(given, None, known)
            found: dict[str, Any] = {}
            for way, items in ways.items():
                found[way] = {r.key: round(r.value, 4) for r in likeness(items, originals, way)}
                if way != "the training mean":
                    results = {r.key: r for r in compare(net, view, [net.features(image.to_bytes(items))], [])}
                    found[way] |= {"fd": round(results["fd"].value, 3), "recall": round(results["recall"].value, 3)}
                    floor = results["fd"].floor
                print(task, way, found[way], flush=True)
            figures[task] = {"metric": f"FD({net.identity})", "floor": floor, "ways": found}
            few = spread(len(given), 12)
            sheets += [(source, given[few]), (f"{task}, cyclegan", ways["cyclegan"][few]),
                       (f"true {target}, never seen beside it", originals[few])]  # fmt: skip
    sheet = image.labelled([(title, image.to_bytes(x)) for title, x in sheets], columns=12, scale=2)
    sheet.quantize(128).save(RESULTS / "cyclegan.png", optimize=True)
    publish(
        "cyclegan",
        {
            "data": "emoji, Twitter's and Google's drawings, pairs hidden",
            "size": arguments.size,
            "training pictures": [len(dataset.only(name).train) for name in dataset.items],
            "held-out pairs": len(held_out[dataset.items[0]]),
            "steps": arguments.steps,
            "batch": options.batch,
            "identity": arguments.identity,
            "seconds": seconds,
            "note": "the machine was shared with other work",
            "tasks": figures,
        },
        f"python benchmarks/cyclegan.py --steps {arguments.steps}",
    )


if __name__ == "__main__":
    main()
