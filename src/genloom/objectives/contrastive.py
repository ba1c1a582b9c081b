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


def mutual_information(a_BK: Tensor, b_BK: Tensor) -> Tensor:
    """What two views of the same items tell of each other, in nats: of K cluster probabilities each (IIC: Ji, Henriques
    and Vedaldi 2019, arXiv:1807.06653, equations 2 and 3). At most log K: all clusters alike in size, all views agreed.
    """
    # In double precision, which autocast leaves alone on the way back too: in bf16 an untrained network's groups, all
    # nearly alike, have no gradient at all.
    joint_KK = a_BK.double().T @ b_BK.double() / len(a_BK)
    joint_KK = (0.5 * (joint_KK + joint_KK.T)).clamp_min(1e-9)
    one_K = joint_KK.sum(1).log()
    return (joint_KK * (joint_KK.log() - one_K[:, None] - one_K[None, :])).sum().float()
