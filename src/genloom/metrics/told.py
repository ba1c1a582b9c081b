"""Class accuracy: how often a sample is what was asked for, by the data set's own classifier (as in Odena et al. 2017).

Only of models that listen to the class. How often the classifier is right about held-out items is as good as it can
tell; chance is one in as many as there are classes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import CanSample, Field, Model, Sampling, the_class
from genloom.metrics.base import Result
from genloom.metrics.extractor import OwnExtractor
from genloom.metrics.features import Extractor
from genloom.metrics.pictured import as_pictures
from genloom.metrics.shares import clopper_pearson
from genloom.metrics.store import DatasetLike, rows_of, split_features

MOST = 1000  # samples that are drawn for it
CHUNK = 256
CITATION = (
    "@inproceedings{odena2017conditional, title={Conditional Image Synthesis with Auxiliary Classifier {GAN}s}, "
    "author={Odena, Augustus and Olah, Christopher and Shlens, Jonathon}, booktitle={ICML}, year={2017}}"
)


@torch.no_grad()
def class_accuracy(
    model: Model,
    dataset: DatasetLike,
    judge: Extractor,
    field: Field,
    generator: torch.Generator,
    *,
    options: Sampling = Sampling(),
    most: int = MOST,
) -> list[Result]:
    """One figure, of samples of all classes in turn; none where the model does not listen or the judge has other
    classes. field: the model's item, which `dataset` holds as pictures."""
    found = the_class(dataset.spec)
    if found is None or judge.classes != found[1].classes or len(judge.classes) < 2:
        return []
    if not isinstance(model, CanSample) or found[0] not in model.listens_to:
        return []
    asked = torch.arange(most) % len(judge.classes)
    item = next(k for k, f in dataset.spec.items() if f.role == "item")
    parts: list[Tensor] = []
    training = model.training
    model.eval()
    try:
        for label in asked.split(CHUNK):
            told = {found[0]: label.to(generator.device)}
            made = model.sample(len(label), condition=told, options=options, generator=generator)[item]
            parts.append(judge.judge(judge.features(as_pictures(made.cpu(), field))))
    finally:
        model.train(training)
    right = int((torch.cat(parts).cpu() == asked).sum())
    protocol = {"judge": judge.identity, "classes": len(judge.classes), "chance": 1 / len(judge.classes)}
    if isinstance(judge, OwnExtractor):
        held_out = judge.judge(split_features(judge, dataset, "test"))
        rows = rows_of(judge, dataset.test)
        truth = torch.cat([dataset.test.batch(part)[found[0]] for part in rows.split(512)])
        protocol["floor"] = float((held_out.cpu() == truth).double().mean())
    return [
        Result(
            "class_accuracy",
            "class accuracy of samples",
            right / most,
            clopper_pearson(right, most),
            most,
            {**protocol, "interval": "Clopper-Pearson, 95%"},
            CITATION,
            "higher",
        )
    ]
