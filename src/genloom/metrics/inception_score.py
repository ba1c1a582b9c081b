"""The Inception Score (Salimans et al. 2016, eq. 1): exp of the mean KL divergence of p(y | x) from p(y).

1 where a classifier says the same of every sample, K where it is certain of each and all K classes are equally
frequent. It never looks at real items, so it knows nothing of what samples should be: read it beside a distance.
Everything is done with log-probabilities: a confident classifier's softmax underflows to 0, and 0 log 0 has been
printed as NaN before.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.base import Result, as_matrix

CITATION = (
    "@inproceedings{salimans2016improved, title={Improved Techniques for Training {GAN}s}, author={Salimans, Tim and "
    "Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi}, booktitle={NeurIPS}, "
    "year={2016}}"
)


def inception_score(logits: Tensor) -> float:
    """From a classifier's logits (N, K), of any scale. Raises BadValue for no items."""
    if not len(logits):
        raise BadValue("an Inception Score needs a sample, got none")
    log_p = as_matrix(logits, "logits").double().log_softmax(1)
    log_mean = log_p.logsumexp(0) - math.log(len(log_p))
    p = log_p.exp()
    # Where p underflows to 0 its term is 0, however negative the logarithm.
    terms = torch.where(p > 0, p * (log_p - log_mean), 0.0)
    return float(terms.sum(1).mean().exp())


def inception_score_result(logits: Tensor, *, judge: str) -> Result:
    """The figure with its protocol; `judge` names the classifier."""
    protocol = {"judge": judge, "classes": logits.shape[1]}
    return Result("is", f"IS({judge})", inception_score(logits), None, len(logits), protocol, CITATION, "higher")
