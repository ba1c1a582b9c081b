"""Models of several collections: each measured against its own, and how well the two belong together.

KEY of each collection    all that `evaluate` measures, under "NAME:KEY"
l1, psnr, ... by task     translations of held-out pictures beside their true partners (`pairs.py`)
agreement                 of pairs made together where one form is computed from the other: the share of pixels on the
                          same side of the middle as in the true form of the partner (Liu and Tuzel 2016, section 4)
accuracy                  of a model that tells classes, on each collection
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from genloom.core import CanClassify, CanSample, Model, Sampling, the_class
from genloom.data import Dataset
from genloom.data.forms import FORMS
from genloom.metrics.base import Result, spread
from genloom.metrics.drawing import draw_both
from genloom.metrics.evaluate import Evaluation, evaluate
from genloom.metrics.pairs import pair_results, source_of, to_be_made

PAIRS = 500  # pairs made together, of which agreement is measured
MOST = 5000  # held-out items that are classified
CITATION = """@inproceedings{liu2016coupled, title={Coupled Generative Adversarial Networks}, author={Liu, Ming-Yu and
 Tuzel, Oncel}, booktitle={NeurIPS}, year={2016}}"""


def evaluate_domains(
    model: Model,
    dataset: Dataset,
    n: int,
    generator: torch.Generator,
    *,
    options: Sampling = Sampling(),
    **choices: Any,
) -> Evaluation:
    """As `evaluate`, for a model of several collections; `choices` are its own."""
    found: list[Evaluation] = []
    results: list[Result] = []
    for name in dataset.items:
        source = source_of(model, dataset.spec, name)
        held_out = dataset.only(source).test if source else dataset.test
        count = n if source is None else min(n, len(held_out))
        made_of = to_be_made(model, dataset.spec, held_out, name, count)
        one = evaluate(model, dataset.only(name), count, generator, options=options, made_of=made_of, **choices)
        results += [replace(r, key=f"{name}:{r.key}", name=f"{r.name} of {name}") for r in one.results]
        notes = [f"{name}: {note}" for note in one.notes]
        if source is not None:
            notes.insert(0, f"{name}: samples are made of {count:,} held-out pictures of {source}")
        found.append(replace(one, notes=tuple(notes)))
        choices = {**choices, "keep": None}  # the first collection's samples are the ones shown
    results += pair_results(model, dataset.spec, dataset.test, generator, options)
    results += agreement_results(model, dataset, generator, options)
    results += accuracy_results(model, dataset)
    seconds = {f"{k} of {name}": v for name, e in zip(dataset.items, found, strict=True) for k, v in e.seconds.items()}
    return replace(found[0], data=dataset.name, digest=dataset.digest, results=tuple(results), seconds=seconds,
                   notes=tuple(note for e in found for note in e.notes))  # fmt: skip


def agreement_results(
    model: Model, dataset: Dataset, generator: torch.Generator, options: Sampling = Sampling()
) -> list[Result]:
    """Whether the two pictures made of one noise show one thing; [] where the true transform is unknown."""
    names = dataset.items
    made = next((name for name in names if name in FORMS), None)
    if made is None or len(names) != 2 or not isinstance(model, CanSample) or source_of(model, dataset.spec, made):
        return []
    (partner,) = (name for name in names if name != made)
    drawn = draw_both(model, names, PAIRS, generator, options)
    true = FORMS[made].make(drawn[partner]) > 127
    said = drawn[made] > 127
    order = torch.roll(torch.arange(PAIRS), 1)
    results = []
    for key, name, other in (
        ("agreement", f"pixel agreement of pairs ({made})", said),
        ("agreement_mixed", f"pixel agreement of mixed pairs ({made})", said[order]),
    ):
        shares = (other == true).flatten(1).double().mean(1)
        half = 1.96 * float(shares.std()) / PAIRS**0.5
        mean = float(shares.mean())
        protocol = {"interval": "normal, 95%, over pairs"} | ({"floor": 1.0} if key == "agreement" else {})
        better = "higher" if key == "agreement" else ""
        results.append(Result(key, name, mean, (mean - half, mean + half), PAIRS, protocol, CITATION, better))
    return results


@torch.no_grad()
def accuracy_results(model: Model, dataset: Dataset) -> list[Result]:
    """The share of held-out items of each collection whose class the model tells; [] for one that tells none."""
    label = the_class(getattr(model, "spec", {}))
    if not isinstance(model, CanClassify) or label is None:
        return []
    device = next(p.device for p in model.parameters())
    training = model.training
    model.eval()
    results = []
    for name in dataset.items:
        test = dataset.only(name).test
        if label[0] not in test.spec:
            continue
        right = [
            (model.classify(name, batch[name].to(device)).argmax(1).cpu() == batch[label[0]]).double()
            for batch in (test.batch(rows) for rows in spread(len(test), MOST).split(250))
        ]
        shares = torch.cat(right)
        mean, half = float(shares.mean()), 1.96 * float(shares.std()) / len(shares) ** 0.5
        told = "" if label[1].domain == name else ", whose labels it never saw"
        results.append(Result(f"accuracy:{name}", f"accuracy on {name}{told}", mean, (mean - half, mean + half),
                              len(shares), {"interval": "normal, 95%, over items"}, CITATION, "higher"))  # fmt: skip
    model.train(training)
    return results
