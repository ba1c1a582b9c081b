"""What labels are worth to a GAN: the same networks told nothing, and told the class in three ways.

    python benchmarks/gan_labels.py [--data digits] [--steps 600] [--batch 64] [--n 1000]

The unconditional twin, the conditional GAN (class beside the input), AC-GAN (class named) and projection
differ in one field of the configuration. Class accuracy and the Frechet distance are those of `genloom evaluate`: the
data set's own extractor, held-out items, averaged weights. Counted in steps. Writes results/gan_labels.json and a
sheet: a row a kind, a column a class.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import torch

from _play import play
from _result import RESULTS, publish
from genloom import data
from genloom.data.options import DataOptions
from genloom.engine.precision import Plan
from genloom.metrics.drawing import draw
from genloom.metrics.figures import Real, distance
from genloom.metrics.store import extractor_for
from genloom.metrics.told import class_accuracy
from genloom.modalities import image
from genloom.models.adversarial.gan import GAN
from genloom.recipes import registry

KINDS = {
    "unconditional": {"conditional": False},
    "input (conditional-gan)": {"supervision": "input"},
    "auxiliary (acgan)": {"supervision": "auxiliary"},
    "projection (gan)": {"supervision": "projection"},
}


def main() -> None:
    """Trains, measures and publishes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--n", type=int, default=1000)
    options = parser.parse_args()
    dataset = data.load(DataOptions(source=options.data))
    judge = extractor_for(dataset)
    base, found, rows, real = registry.get("gan").config, {}, {}, None
    for name, changes in KINDS.items():
        started = time.perf_counter()
        config = replace(base, **changes)
        model = play(
            GAN, config, dataset, steps=options.steps, batch=options.batch, plan=Plan("bf16", channels_last=True)
        )
        seconds = time.perf_counter() - started
        samples = draw(model, "image", options.n, torch.Generator().manual_seed(0))
        features = judge.features(samples)
        fd, floor = (r.value for r in distance(Real(judge, dataset, options.n, [], True), [features]))
        shares = torch.bincount(judge.judge(features), minlength=10).double() / options.n
        field = dataset.spec["image"]
        told = class_accuracy(model, dataset, judge, field, torch.Generator().manual_seed(1))
        found[name] = {
            "fd": fd,
            "class_accuracy": told[0].value if told else None,
            "interval": told[0].interval if told else None,
            "smallest_class": float(shares.min()),
            "seconds": round(seconds, 1),
        }
        real = told[0].protocol["floor"] if told else real
        noise = torch.Generator().manual_seed(2)
        condition = {"label": torch.arange(10).repeat(2)} if told else None
        with torch.no_grad():
            rows[name] = model.sample(20, condition=condition, generator=noise)["image"]  # type: ignore[operator]
        print(name, found[name], flush=True)
    RESULTS.mkdir(exist_ok=True)
    image.write_bytes(RESULTS / "gan_labels.png", image.png(image.labelled(rows, columns=20)))
    publish(
        "gan_labels",
        {
            "data": options.data,
            "steps": options.steps,
            "batch": options.batch,
            "n": options.n,
            "features": judge.identity,
            "floor": floor,
            "held_out_accuracy": real,
            "chance": 0.1,
            "kinds": found,
            "shared": "the machine was shared with other work; figures are counted in steps",
        },
        "python benchmarks/gan_labels.py",
    )


if __name__ == "__main__":
    main()
