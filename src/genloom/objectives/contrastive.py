"""The contrastive loss of two encoders: what belongs together is to be more alike than what does not."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive(a_BD: Tensor, b_BD: Tensor, scale: Tensor, same_BB: Tensor | None = None) -> Tensor:
    """The mean cross-entropy of finding a's partner among all b, and b's among all a (CLIP: Radford et al. 2021,
    arXiv:2103.00020, figure 3).

    a_BD, b_BD: unit vectors, row i of one belongs to row i of the other; scale: inverse temperature; same_BB: which
    rows count as partners, symmetric, where there is more than one; they share the probability evenly.
    """
    logits_BB = scale * a_BD @ b_BD.T
    same_BB = torch.eye(len(a_BD), device=a_BD.device) if same_BB is None else same_BB.to(logits_BB.dtype)
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB))
