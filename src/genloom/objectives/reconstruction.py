"""How far a copy is from its picture, beyond single pixels; and how to weigh a judge against it. Pure functions.

Pictures are (B, C, H, W); every loss is a scalar mean.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def laplacian_distance(x: Tensor, y: Tensor, levels: int = 3) -> Tensor:
    """Mean absolute difference of the bands of two Laplacian pyramids (Burt and Adelson 1983), summed over levels.

    Each band holds what a picture loses when it is halved, so edges count at every size and not only where pixels
    agree (as in Bojanowski et al. 2018, arXiv:1707.05776). The pyramid is linear: that of x - y is computed once. The
    last level is what remains. Levels that would leave less than 2 pixels are left out.
    """
    rest, total = x - y, (x - y).new_zeros(())
    for _ in range(levels):
        if min(rest.shape[-2:]) < 4:
            break
        small = F.avg_pool2d(rest, 2, ceil_mode=True)
        grown = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
        total = total + (rest - grown[..., : rest.shape[-2], : rest.shape[-1]]).abs().mean()
        rest = small
    return total + rest.abs().mean()


def feature_distance(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of a judge's features (B, C, H, W) at every stage, in units of the real item's mean
    there (feature matching: Salimans et al. 2016, section 3.1; Larsen et al. 2016, arXiv:1512.09300)."""
    parts = []
    for r, f in zip(real, fake, strict=True):
        unit_B = r.detach().abs().flatten(1).mean(1).clamp_min(1e-6)
        parts.append(((f - r.detach()).abs().flatten(1).mean(1) / unit_B).mean())
    return torch.stack(parts).mean()


def balance(first: Tensor, second: Tensor, weight: Tensor, most: float = 1e3) -> Tensor:
    """The factor that gives `second` a gradient at the parameter `weight` as long as that of `first`; at most `most`.

    Without gradient of its own (VQGAN: Esser et al. 2021, arXiv:2012.09841, eq. 7).
    """
    (a,) = torch.autograd.grad(first, weight, retain_graph=True)
    (b,) = torch.autograd.grad(second, weight, retain_graph=True)
    return (a.norm() / (b.norm() + 1e-6)).clamp(0, most).detach()
