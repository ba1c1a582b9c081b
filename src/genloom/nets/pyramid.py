"""The Laplacian pyramid of a picture (Burt and Adelson 1983): a small picture, and what each doubling of size lacks.

With d(.) the mean over 2x2 pixels and u(.) the bilinear enlargement to twice the size,

    I_0 = I,   I_k+1 = d(I_k),   h_k = I_k - u(I_k+1)        and back:   I_k = u(I_k+1) + h_k.

The way back adds what the way there subtracted, so it is exact for any d and u (in fp32 up to rounding).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F


def smaller(x: Tensor) -> Tensor:
    """d: means over 2x2 pixels of pictures (B, C, H, W) with even sides."""
    return F.avg_pool2d(x, 2)


def larger(x: Tensor) -> Tensor:
    """u: twice as high and as wide."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def pyramid(x: Tensor, levels: int) -> list[Tensor]:
    """[h_0, ..., h_(levels - 1), I_levels] of pictures (B, C, H, W) whose sides 2^levels divides."""
    parts = []
    for _ in range(levels):
        below = smaller(x)
        parts.append(x - larger(below))
        x = below
    return [*parts, x]


def collapse(parts: Sequence[Tensor]) -> Tensor:
    """The pictures whose pyramid this is."""
    *differences, x = parts
    for h in reversed(differences):
        x = larger(x) + h
    return x
