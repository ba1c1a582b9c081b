"""A network for rows of numbers: residual two-layer blocks that the time and condition scale and shift.

The shape of Gorishniy et al. 2021 (arXiv:2106.11959), as TabDDPM (arXiv:2209.15421) uses for tables.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from genloom.nets.condition import Cond
from genloom.nets.unet import TimeEmbedding, zero


class RowBlock(nn.Module):
    """x + linear(SiLU(FiLM(linear(norm(x))))); the last layer starts at zero."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first, self.last = nn.Linear(width, 2 * width), zero(nn.Linear(2 * width, width))
        self.film = zero(nn.Linear(embedding, 4 * width))

    def forward(self, x_BD: Tensor, e_BE: Tensor) -> Tensor:
        scale, shift = self.film(e_BE).chunk(2, dim=-1)
        return x_BD + self.last(F.silu(self.first(self.norm(x_BD)) * (1 + scale) + shift))


class RowNet(nn.Module):
    """Rows (B, D), a time (B,) and what is told of them -> rows of the same shape.

    numbers: D; width: of the hidden rows; depth: blocks; embedding: width of the time and condition vectors.
    """

    def __init__(self, numbers: int, *, width: int, depth: int, embedding: int = 128) -> None:
        super().__init__()
        self.time = TimeEmbedding(embedding)
        self.enter = nn.Linear(numbers, width)
        self.blocks = nn.ModuleList(RowBlock(width, embedding) for _ in range(depth))
        self.norm, self.leave = nn.LayerNorm(width), zero(nn.Linear(width, numbers))

    def forward(self, x_BD: Tensor, t_B: Tensor, told: Cond = Cond()) -> Tensor:
        e_BE = self.time(t_B)
        e_BE = F.silu(e_BE if told.vector is None else e_BE + told.vector)
        h = self.enter(x_BD)
        for block in self.blocks:
            h = block(h, e_BE)
        return self.leave(self.norm(h))
