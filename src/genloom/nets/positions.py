"""How a transformer, which sees a set of vectors, is told their order: four ways, each a function of the position.

sinusoidal   waves of many lengths added to the embeddings (Vaswani et al. 2017, arXiv:1706.03762, section 3.5)
rotary       queries and keys turned by an angle that grows with the position (Su et al. 2021, arXiv:2104.09864)
ALiBi        scores lowered in proportion to the distance (Press et al. 2022, arXiv:2108.12409)
learnt       a table with a vector a position, `nn.Embedding`, needs no function
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

BASE = 10_000.0


def sinusoidal(context: int, width: int, base: float = BASE) -> Tensor:
    """(context, width): sin(t * base^(-2i / width)) in component 2i, the cosine in 2i + 1."""
    angle = torch.arange(context)[:, None] * base ** (-torch.arange(0, width, 2) / width)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :width]


def rotary(context: int, width: int, base: float = BASE) -> tuple[Tensor, Tensor]:
    """Cosines and sines (context, 1, width) for `rotate` (arXiv:2104.09864 eq. 34): the angle of pair i at position t
    is t * base^(-2i / width); a pair is a component of the first half and the one half a width further."""
    angle = torch.arange(context)[:, None] * base ** (-torch.arange(0, width, 2) / width)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((cos, cos), -1)[:, None], torch.cat((-sin, sin), -1)[:, None]


def rotate(x_BLHK: Tensor, cos_L1K: Tensor, sin_L1K: Tensor) -> Tensor:
    """Queries or keys turned by their position's angles."""
    return x_BLHK * cos_L1K + x_BLHK.roll(x_BLHK.shape[-1] // 2, -1) * sin_L1K


def alibi_slopes(heads: int) -> Tensor:
    """(heads,): 2^(-8/n), 2^(-16/n) ... 2^-8 for n heads, a power of two; for other numbers those of the power below,
    then every second one of twice that power (arXiv:2108.12409, section 3 and its footnote)."""
    power = 2 ** math.floor(math.log2(heads))

    def slopes(n: int) -> Tensor:
        return 2.0 ** (-8.0 / n * torch.arange(1, n + 1))

    return torch.cat((slopes(power), slopes(2 * power)[::2][: heads - power]))


def alibi(heads: int, start: int, stop: int) -> Tensor:
    """(heads, stop - start, stop): minus the slope times the distance of queries start .. stop - 1 to keys 0 .. stop -
    1. Keys ahead of their query get a positive number: a causal mask hides them."""
    distance = torch.arange(start, stop)[:, None] - torch.arange(stop)
    return -alibi_slopes(heads)[:, None, None] * distance
