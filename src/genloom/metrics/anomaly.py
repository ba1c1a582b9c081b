"""How unusual items are to a model, and how well that tells a class it has never seen from those it knows.

Scores are higher for what is more unusual: the squared error of an item's copy (what a model cannot copy it has not
learnt; Sakurada and Yairi 2014), the same relative to how much there is to copy, and the negative log-likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, CanDecode, CanEncode, HasLikelihood, Model
from genloom.errors import BadData, BadValue
from genloom.metrics.base import Result
from genloom.metrics.tables import area_interval

CITATION = (
    "@inproceedings{sakurada2014anomaly, title={Anomaly Detection Using Autoencoders with Nonlinear Dimensionality "
    "Reduction}, author={Sakurada, Mayu and Yairi, Takehisa}, booktitle={MLSDA Workshop}, year={2014}}"
)
HANLEY = (
    "@article{hanley1982meaning, title={The Meaning and Use of the Area under a Receiver Operating Characteristic "
    "({ROC}) Curve}, author={Hanley, James A. and McNeil, Barbara J.}, journal={Radiology}, year={1982}}"
)
BATCH = 256


def can_copy(model: Model) -> bool:
    """Whether copies by this model say anything: not where a code holds everything, as those of flows do."""
    return isinstance(model, CanEncode) and isinstance(model, CanDecode) and model.quick


@torch.no_grad()
def copy_errors(
    model: Model, take: Callable[[Tensor], Batch], key: str, n: int, device: torch.device | str = "cpu"
) -> Tensor:
    """The squared error of each number of each item's copy, (n, D) in the model's range; codes are its `encode`'s."""
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    parts = [torch.empty(0, 0)]
    for index in torch.arange(n).split(BATCH):
        x = take(index)[key].to(device)
        parts.append((model.decode(model.encode({key: x}))[key] - x).square().flatten(1).cpu())
    return torch.cat([p for p in parts if len(p)]) if n else parts[0]


def relative(errors_ND: Tensor, items_ND: Tensor) -> Tensor:
    """The share of an item's own variance that its copy misses, (N,): 1 - R^2. Bright and detailed pictures have more
    to copy than dark ones, and larger errors, whatever they show; here that cancels."""
    spread = (items_ND - items_ND.mean(1, keepdim=True)).square().sum(1)
    return errors_ND.sum(1) / spread.clamp_min(1e-6 * items_ND.shape[1])


@torch.no_grad()
def surprises(model: Model, take: Callable[[Tensor], Batch], key: str, n: int, generator: torch.Generator) -> Tensor:
    """The negative log-likelihood of each item in nats, (n,)."""
    assert isinstance(model, HasLikelihood)
    device = generator.device
    return torch.cat(
        [model.nll({key: take(i)[key].to(device)}, generator=generator).cpu() for i in torch.arange(n).split(BATCH)]
    )


def detection(scores: Tensor | np.ndarray, unusual: Sequence[bool] | np.ndarray, score: str = "score") -> list[Result]:
    """How well scores tell unusual items from usual ones: the area under the ROC curve with its interval, and the
    average precision beside its chance level, the share of unusual items. Raises BadData where all are of one kind."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    values, truth = np.asarray(scores, np.float64), np.asarray(unusual, bool)
    found, n = int(truth.sum()), len(truth)
    if found in (0, n):
        kind = "unusual" if found else "usual"
        raise BadData(f"all {n:,} items are {kind}: an area under the ROC curve needs both kinds")
    if not np.isfinite(values).all():
        raise BadValue(f"{int((~np.isfinite(values)).sum())} of {n:,} scores are not finite: the model is ill")
    area = float(roc_auc_score(truth, values))
    told = {"score": score, "unusual": found, "usual": n - found}
    low, high = area_interval(area, found, n - found)
    how = {"interval": "Hanley and McNeil, 95%"}
    precision = float(average_precision_score(truth, values))
    return [
        Result("auroc", "area under the ROC curve", area, (low, high), n, {**told, **how}, HANLEY, "higher"),
        Result("average_precision", "average precision", precision, None, n, {**told, "by_chance": found / n}, HANLEY,
               "higher"),
    ]  # fmt: skip
