"""Shares with exact binomial intervals (Clopper & Pearson 1934), and how often each class occurs among samples."""

from __future__ import annotations

from collections.abc import Sequence

from scipy.stats import beta
from torch import Tensor, bincount

from genloom.errors import BadValue
from genloom.metrics.base import Result

CITATION = (
    "@article{clopper1934use, title={The Use of Confidence or Fiducial Limits Illustrated in the Case of the "
    "Binomial}, author={Clopper, C. J. and Pearson, E. S.}, journal={Biometrika}, volume={26}, "
    "pages={404--413}, year={1934}}"
)


def clopper_pearson(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share of which `count` in `n` independent trials were seen; (0, 1) for n = 0."""
    if not 0 <= count <= n:
        raise BadValue(f"expected a count between 0 and n = {n}, got {count}")
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, count, n - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, n - count)) if count < n else 1.0
    return low, high


def class_shares(
    judged: Tensor,
    classes: Sequence[str],
    *,
    judge: str,
    reference: Tensor | None = None,
    accuracy: float | None = None,
) -> list[Result]:
    """How large a share of the samples the judge puts into each class.

    judged: the judge's class (B,) of each sample; judge: its name; reference: its verdicts on held-out items, from
    which each share's real counterpart comes; accuracy: how often it is right on held-out items. A judge that errs
    moves shares towards each other, for samples and real items alike, so compare with the counterpart, not with truth.
    """
    n, k = len(judged), len(classes)
    counts = bincount(judged.cpu(), minlength=k).tolist()
    real = None if reference is None else (bincount(reference.cpu(), minlength=k).double() / len(reference)).tolist()
    results = []
    for index, label in enumerate(classes):
        protocol = {
            "class": label,
            "judge": judge,
            "judge_accuracy": accuracy,
            "held_out_share": None if real is None else real[index],
            "interval": "Clopper-Pearson, 95%",
        }
        share = counts[index] / n if n else 0.0
        interval = clopper_pearson(counts[index], n)
        results.append(Result(f"share:{label}", f"share of {label}", share, interval, n, protocol, CITATION))
    return results
