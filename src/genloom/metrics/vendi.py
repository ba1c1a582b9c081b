"""The Vendi score (Friedman & Dieng 2023, def. 3.1): how many truly different items a set amounts to.

    exp(-sum_i l_i log l_i),   l_i the eigenvalues of K / n,   K_ij the similarity of items i and j, K_ii = 1

n equal items score 1, n items that have nothing in common score n. Similarity is the cosine of features, so that K =
F F^T and F^T F, which is as small as the features are wide, has the same eigenvalues. The score grows with n: compare
at equal n.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.errors import BadData, BadValue
from genloom.metrics.base import Array, Result, as_matrix

CITATION = (
    "@article{friedman2023vendi, title={The Vendi Score: A Diversity Evaluation Metric for Machine Learning}, "
    "author={Friedman, Dan and Dieng, Adji Bousso}, journal={TMLR}, year={2023}}"
)


def entropy_of_spectrum(matrix: Tensor) -> float:
    """exp of the Shannon entropy of the eigenvalues of a positive semidefinite matrix (N, N) with trace 1."""
    values = torch.linalg.eigvalsh(matrix.double()).clamp_min(0)
    return float(torch.exp(-torch.special.xlogy(values, values).sum()))


def vendi_score(x: Array) -> float:
    """Of features (N, D), by cosine similarity. Raises BadValue for no items, BadData for features of length zero."""
    features = as_matrix(x).double()
    n, d = features.shape
    if not n:
        raise BadValue("a Vendi score needs an item, got none")
    lengths = features.norm(dim=1, keepdim=True)
    if not (lengths > 0).all():
        raise BadData(f"{int((lengths == 0).sum())} of {n} items have features that are all zero: no cosine exists")
    unit = features / lengths
    return entropy_of_spectrum((unit.T @ unit if n > d else unit @ unit.T) / n)


def vendi_result(fake: Array, *, features: str, real: Array | None = None) -> Result:
    """The figure with its protocol. real: as many real items, whose score stands beside it."""
    protocol: dict[str, object] = {"features": features, "similarity": "cosine"}
    if real is not None:
        if len(real) != len(fake):
            raise BadValue(f"Vendi scores compare at equal n only, got {len(fake)} samples and {len(real)} real items")
        protocol["real"] = vendi_score(real)
    return Result("vendi", f"Vendi({features})", vendi_score(fake), None, len(fake), protocol, CITATION, "higher")
