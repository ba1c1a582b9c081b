"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


def mlp(widths: Sequence[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Linear layers from widths[0] inputs to widths[-1] outputs (B, D), with `activation()` between them, none after.

    Weights start as PyTorch's default for nn.Linear.
    """
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        layers += ([activation()] if i else []) + [nn.Linear(before, after)]
    return nn.Sequential(*layers)


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of features (B, D) as nn.BatchNorm1d computes it, made for a game
    in which a loss must change nothing and every process must see the whole batch.

    While training, `forward` normalises by the statistics of `gather(x)`, all processes' rows, and leaves the running
    ones alone; `update` moves those afterwards, from the inputs the model handed on in its memo.
    eps: added to the variance. momentum: share of the newest batch in the running statistics.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, width: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_variance", torch.ones(width))

    def forward(self, x: Tensor, gather: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """gather: given while training; None normalises by the running statistics."""
        if gather is None:
            mean, variance = self.running_mean, self.running_variance
        else:
            rows = gather(x).float()
            mean = rows.mean(0)
            variance = rows.var(0, correction=0)
        scale = self.weight * (variance + self.eps).rsqrt()
        return x * scale + (self.bias - mean * scale)

    def update(self, rows: Tensor) -> None:
        """rows (B, D): the inputs of one training batch, of all processes. One row has no spread: nothing changes."""
        if len(rows) > 1:
            rows = rows.float()
            self.running_mean.lerp_(rows.mean(0), self.momentum)
            self.running_variance.lerp_(rows.var(0), self.momentum)
