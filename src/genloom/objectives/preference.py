"""Learning from preferences: losses over scores and log-probabilities of answers. All pure functions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def bradley_terry(better_B: Tensor, worse_B: Tensor) -> Tensor:
    """-log sigma(r(better) - r(worse)), (B,): the preferred answer wins with that probability (Bradley and Terry 1952;
    Ouyang et al. 2022, arXiv:2203.02155, eq. 1)."""
    return -F.logsigmoid(better_B - worse_B)


def dpo(better_B: Tensor, worse_B: Tensor, known_better_B: Tensor, known_worse_B: Tensor, beta: float) -> Tensor:
    """-log sigma(beta (log-ratio of the better answer - that of the worse)), (B,): Rafailov et al. 2023
    (arXiv:2305.18290), eq. 7. Each is log p of a whole answer: under the model, and under the reference ("known")."""
    return bradley_terry(beta * (better_B - known_better_B), beta * (worse_B - known_worse_B))


def advantage(reward_BG: Tensor, least: float = 1e-4) -> Tensor:
    """How much better each of a group's answers is than the group: (r - mean) / deviation (Shao et al. 2024,
    arXiv:2402.03300, section 4.1.2); 0 where all are worth the same."""
    mean = reward_BG.mean(1, keepdim=True)
    return (reward_BG - mean) / reward_BG.std(1, keepdim=True, correction=0).clamp_min(least)


def kl_estimate(logp: Tensor, reference: Tensor) -> Tensor:
    """An estimate of KL(model || reference) at each token drawn from the model, never below 0: q/p - log(q/p) - 1 with
    q the reference (arXiv:2402.03300, eq. 4)."""
    ratio = reference - logp
    return ratio.exp() - ratio - 1


def clipped(logp: Tensor, before: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """The clipped surrogate to be minimised, at each token (PPO, arXiv:1707.06347, eq. 7): -min(ratio A, clip(ratio)
    A), with ratio = p / p when the answer was drawn."""
    ratio = (logp - before).exp()
    return -torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
