"""Dropout (Srivastava et al. 2014): in training each number is 0 with probability p, and 1 / (1 - p) times itself else.

On a CPU, PyTorch draws one Bernoulli number for each, at 8 ns: a sixth of a small transformer's step. Here sixteen
random bits decide, four numbers to a draw, so p is kept to 1 / 65,536. Elsewhere PyTorch's own does it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadValue

LEVELS = 2**16


class Dropout(nn.Module):
    """x -> x with a share p of its numbers dropped; outside training x itself. Raises BadValue for a p that is none."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise BadValue(f"dropout is a share from 0 up to, not including, 1, got {p:g}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.p):
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.p)
        return x * kept(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:g}"


def kept(x: Tensor, p: float) -> Tensor:
    """0 with probability p and 1 / (1 - p) otherwise, of the shape and type of x."""
    draws = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)  # all 64 bits
    bits = draws.view(torch.int16)[: x.numel()].view(x.shape)
    return (bits >= round(p * LEVELS) - LEVELS // 2).to(x.dtype).mul_(1 / (1 - p))
