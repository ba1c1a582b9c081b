"""Losses of two players who judge each other, and the penalties that keep the game stable. All pure functions.

Logits are what a discriminator returns before any sigmoid, shape (B,) or (B, 1); every loss is a scalar mean.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def bce_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log s(real) - log(1 - s(fake)), the two means summed (Goodfellow et al. 2014, eq. 1; s: the sigmoid).

    Computed from logits, so that it stays finite where a sigmoid has rounded to 0 or 1.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def bce_generator(fake: Tensor) -> Tensor:
    """-log s(fake): the non-saturating form (Goodfellow et al. 2014, section 3, last paragraph)."""
    return F.softplus(-fake).mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 + exp(-(real - fake))) over pairs (Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024, eq. 2)."""
    return F.softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The mirror of `relativistic_discriminator`: the fake of each pair is to look more real than the real one."""
    return F.softplus(real - fake).mean()


def squared_gradient(logits: Tensor, inputs: Tensor) -> Tensor:
    """|d logit / d input|^2 of each item, shape (B,), differentiable: R1 on real inputs, R2 on generated ones
    (Mescheder et al. 2018, eq. 9 and 10). The sum runs over all elements of an item; weigh it with gamma / 2.

    Raises RuntimeError where `inputs` did not require a gradient when the logits were computed.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
    return gradient.float().square().flatten(1).sum(1)
