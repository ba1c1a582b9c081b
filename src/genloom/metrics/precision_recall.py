"""Improved precision and recall (Kynkaanniemi et al. 2019, eqs. 1-3).

Around each item of a set lies a ball that reaches to its k-th nearest neighbour in the same set. Precision is the share
of samples inside some ball of real items (are samples good?), recall the share of real items inside some ball of
samples (is everything covered?). Squared distances come from one fp32 matrix product a chunk.

Given the balls, the items tested are independent trials, hence the Clopper-Pearson intervals; they do not cover the
chance in the balls themselves. Recall can be fooled by a few outliers with huge balls: read it beside the samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Array, Result, pair
from genloom.metrics.shares import clopper_pearson

CITATION = (
    "@inproceedings{kynkaanniemi2019improved, title={Improved Precision and Recall Metric for Assessing Generative "
    'Models}, author={Kynk{\\"a}{\\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, '
    "Timo}, booktitle={NeurIPS}, year={2019}}"
)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i - y_j|^2 for x (N, D) and y (M, D) in their own precision, shape (N, M), at least 0."""
    products = torch.addmm(y.square().sum(1), x, y.T, alpha=-2)
    return products.add_(x.square().sum(1, keepdim=True)).clamp_min_(0)


def radii(x: Tensor, k: int, chunk: int = 1024) -> Tensor:
    """The squared distance of each row of x (N, D) to its k-th nearest other row, shape (N,)."""
    parts = []
    for start in range(0, len(x), chunk):
        distances = squared_distances(x[start : start + chunk], x)
        rows = torch.arange(len(distances))
        distances[rows, start + rows] = torch.inf  # not itself; copies of it do count
        parts.append(torch.topk(distances, k, largest=False, sorted=True).values[:, -1])
    return torch.cat(parts)


def precision_recall(real: Array, fake: Array, *, k: int = 5, chunk: int = 1024) -> tuple[float, float]:
    """Precision and recall of `fake` (M, D) against `real` (N, D); an item on a ball's edge is inside.

    Raises BadValue unless both sets hold more than k items.
    """
    a, b = (t.float() for t in pair(real, fake))
    if k < 1 or min(len(a), len(b)) <= k:
        raise BadValue(
            f"precision and recall with k = {k} need more than k items on each side, got {len(a)} and {len(b)}"
        )
    # Centring keeps the norms, and so the rounding of |x|^2 + |y|^2 - 2xy, as small as the data allow.
    centre = a.mean(0)
    a, b = a - centre, b - centre
    slack = 8 * torch.finfo(torch.float32).eps * max(float(a.square().sum(1).max()), float(b.square().sum(1).max()))
    radius_a, radius_b = radii(a, k, chunk), radii(b, k, chunk)
    inside_b, inside_a = [], torch.full((len(a),), torch.inf)
    for start in range(0, len(b), chunk):
        distances = squared_distances(b[start : start + chunk], a)
        inside_b.append((distances - radius_a).amin(1))
        gap = distances.sub_(radius_b[start : start + chunk, None]).amin(0)
        inside_a = torch.minimum(inside_a, gap)
    precision = (torch.cat(inside_b) <= slack).double().mean()
    recall = (inside_a <= slack).double().mean()
    return float(precision), float(recall)


def precision_recall_results(
    real: Array, fake: Array, *, k: int = 5, features: str, known: tuple[float, ...] | None = None
) -> tuple[Result, Result]:
    """Both figures with their protocol; `features` names the extractor; known: the two values, where they are known."""
    n, m = len(real), len(fake)
    precision, recall = known or precision_recall(real, fake, k=k)

    def result(key: str, value: float, tested: int, balls: int) -> Result:
        protocol = {
            "k": k,
            "features": features,
            "n_other_side": balls,
            "interval": "Clopper-Pearson, 95%, given the other side",
        }
        interval = clopper_pearson(round(value * tested), tested)
        return Result(key, f"{key}({features})", value, interval, tested, protocol, CITATION, "higher")

    return result("precision", precision, m, n), result("recall", recall, n, m)
