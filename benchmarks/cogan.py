"""Digits and another form of them made together, learnt from unpaired halves; and classes of a form without labels.

    python benchmarks/cogan.py [--forms negative edges] [--steps 800]

cogan sees digits with labels, and the negatives (or the edges) of other digits without. Measured on what it makes: the
share of pixels of a pair that agree, made form against the true form of its partner (mixed pairs: against somebody
else's), and each collection's Frechet distance. Measured on held-out items: the accuracy of its classes on both forms,
beside a network that learnt the digits' labels alone and one that was told the labels of the other form. Budgets are
steps, so that a busy machine changes the seconds and nothing else. Writes results/cogan.json and a picture.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish
from genloom.data import DataOptions, Dataset, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.domains import accuracy_results, agreement_results
from genloom.metrics.drawing import draw_both
from genloom.metrics.features import Extractor
from genloom.metrics.figures import compare
from genloom.metrics.store import extractor_for
from genloom.modalities import image
from genloom.recipes import registry

N = 2000  # samples


def told(net: Extractor, dataset: Dataset, name: str) -> float:
    """The accuracy of an extractor's classes on held-out items of a collection."""
    batch = dataset.only(name).test.raw(torch.arange(len(dataset.test)))
    right = net.judge(net.features(batch[name])) == batch["label"]
    return round(float(right.double().mean()), 4)


def measured(form: str, steps: int, sheets: list[tuple[str, Tensor]]) -> dict[str, Any]:
    """One form beside the digits."""
    dataset = load(DataOptions("mnist-full", pair=form, pairing="hidden"))
    made = registry.get("cogan")
    options = replace(made.train, budget=f"{steps}steps", batch=32, precision="bf16", preview_every="600m")
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, Settings("cogan", made.model, made.config, dataset.options, options), dataset)
        train(run, dataset)
        loaded = load_run(run)
        seconds = round(run.status["seconds"], 1)
    generator = torch.Generator().manual_seed(0)
    found = {r.key: round(r.value, 4) for r in agreement_results(loaded.model, dataset, generator)}
    found |= {r.key: round(r.value, 4) for r in accuracy_results(loaded.model, dataset)}
    drawn = draw_both(loaded.model, dataset.items, N, generator)
    nets = {name: extractor_for(dataset.only(name)) for name in dataset.items}
    for name, net in nets.items():
        results = {r.key: r for r in compare(net, dataset.only(name), [net.features(drawn[name])], [])}
        found[f"fd:{name}"] = {"value": round(results["fd"].value, 3), "floor": results["fd"].floor}
    found[f"accuracy:{form}, learnt from digits alone"] = told(nets["image"], dataset, form)
    found[f"accuracy:{form}, learnt from its own labels"] = told(nets[form], dataset, form)
    sheets += [(f"{name} made by cogan", drawn[name][:14]) for name in reversed(dataset.items)]
    print(form, found, flush=True)
    return {"steps": steps, "seconds": seconds, **found}


def main() -> None:
    """Measures and publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--forms", nargs="+", default=["negative", "edges"])
    parser.add_argument("--steps", type=int, default=800)
    arguments = parser.parse_args()
    sheets: list[tuple[str, Tensor]] = []
    forms = {form: measured(form, arguments.steps, sheets) for form in arguments.forms}
    image.labelled(sheets, columns=14, scale=2).save(RESULTS / "cogan.png", optimize=True)
    publish(
        "cogan",
        {"data": "mnist-full", "n": N, "batch": 32, "note": "the machine was shared with other work", "forms": forms},
        f"python benchmarks/cogan.py --forms {' '.join(arguments.forms)} --steps {arguments.steps}",
    )


if __name__ == "__main__":
    main()
