"""Augmentations of what a discriminator sees, real and generated alike (ADA: Karras et al. 2020, "Training Generative
Adversarial Networks with Limited Data").

Differentiable, so that the generator learns through them. Non-leaking: each is applied with a probability p < 1 and
otherwise left out, so that the distribution of the augmented pictures tells that of the pictures themselves (their
section 2.2), and a generator gains nothing by making augmented ones.

What differs from the paper: pictures are resampled bilinearly where the paper filters with wavelets; hues are turned
around the grey axis in one matrix with the saturation. Pictures are (B, C, H, W) in [-1, 1]; colour counts three
channels, of others only brightness and contrast change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

KINDS = ("blit", "geometry", "colour")
UNIFORM, NORMAL = 15, 6  # numbers an item needs
MOST = 0.8  # a p beyond which augmentations begin to leak (their section 3)


def augmented(x: Tensor, uniform: Tensor, normal: Tensor, p: Tensor, kinds: Sequence[str] = KINDS) -> Tensor:
    """x with each augmentation of `kinds` applied with probability p to each item.

    uniform: (B, UNIFORM) in [0, 1); normal: (B, NORMAL). "blit": flips, quarter turns and shifts by whole pixels;
    "geometry": scales, turns, stretches and fractional shifts; "colour": brightness, contrast, inversion, hue and
    saturation.
    """
    if not float(p) > 0:
        return x
    y = x.float()
    if "blit" in kinds or "geometry" in kinds:
        y = moved(y, inverse_moves(y.shape[2:], uniform, normal, p, kinds))
    if "colour" in kinds:
        y = coloured(y, uniform[:, 9:], normal[:, 3:], p)
    return y


def moved(x: Tensor, matrices: Tensor) -> Tensor:
    """Pictures whose pixel at (u, v) comes from the place matrix (u, v, 1), (B, 3, 3), in units of half the longer
    side; outside they are mirrored."""
    height, width = x.shape[2:]
    longer = max(height, width)
    scale = torch.tensor([width / longer, height / longer, 1.0], device=x.device)
    theta = matrices * scale / scale[:, None]  # grid_sample counts each side from -1 to 1
    grid = F.affine_grid(theta[:, :2], list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def jittered(x: Tensor, uniform: Tensor, amount: float) -> Tensor:
    """x (B, C, H, W), each picture turned, slanted, scaled, stretched and shifted a little; differentiable.

    uniform: (B, 6) in [0, 1); amount: the largest turn in radians; slants reach as far, scales and stretches 2^amount
    at most, shifts half of `amount` of half the longer side. Every picture is changed, so this is for what a network
    must not depend on, not for what a discriminator judges.
    """
    turn, slant, size, stretch, right, down = ((2 * uniform - 1) * amount).unbind(1)
    one, zero = torch.ones_like(turn), torch.zeros_like(turn)
    slanted = _matrix([[one, slant, zero], [zero, one, zero], [zero, zero, one]])
    m = _turned(turn) @ slanted @ _scaled(torch.exp2(size + stretch / 2), torch.exp2(size - stretch / 2))
    return moved(x.float(), m @ _shifted(right / 2, down / 2))


def stroked(x: Tensor, uniform: Tensor, amount: float) -> Tensor:
    """x (B, C, H, W), the light parts of each picture made thicker or thinner: on the way, `amount` of it at most, to
    the greatest or the least of each pixel's neighbourhood of 3x3. uniform: (B,) in [0, 1); differentiable."""
    share = ((2 * uniform - 1) * amount)[:, None, None, None]
    x = x.float()
    thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
    return torch.where(share > 0, x + share * (thick - x), x - share * (thin - x))


def inverse_moves(size: Sequence[int], u: Tensor, n: Tensor, p: Tensor, kinds: Sequence[str]) -> Tensor:
    """From places in the augmented picture to places in the given one, (B, 3, 3): the product of all that apply."""
    height, width = size
    longer = max(height, width)
    m = torch.eye(3, device=u.device).expand(len(u), 3, 3)
    one, zero = torch.ones_like(u[:, 0]), torch.zeros_like(u[:, 0])
    if "blit" in kinds:
        m = m @ _scaled(torch.where((u[:, 0] < p) & (u[:, 1] < 0.5), -one, one), one)
        turns = (u[:, 2] / p * 4).floor() if height == width else (u[:, 2] / p * 2).floor() * 2
        m = m @ _turned(torch.where(u[:, 2] < p, turns * (math.pi / 2), zero))
        far = [((u[:, i] * 2 - 1) * 0.125 * side).round() * 2 / longer for i, side in ((4, width), (5, height))]
        on = u[:, 3] < p
        m = m @ _shifted(torch.where(on, far[0], zero), torch.where(on, far[1], zero))
    if "geometry" in kinds:
        even = torch.where(u[:, 6] < p, torch.exp2(-0.2 * n[:, 0]), one)
        m = m @ _scaled(even, even)
        half = 1 - (1 - p).clamp_min(0).sqrt()  # twice, before and after the stretch: p together
        m = m @ _turned(torch.where(u[:, 7] < half, u[:, 7] / half * 2 * math.pi - math.pi, zero))
        uneven = torch.where(u[:, 8] < p, torch.exp2(-0.2 * n[:, 1]), one)
        m = m @ _scaled(uneven, 1 / uneven)
        m = m @ _turned(torch.where(u[:, 14] < half, u[:, 14] / half * 2 * math.pi - math.pi, zero))
        on = u[:, 13] < p
        shift = torch.where(on, 0.25 * n[:, 2], zero)
        m = m @ _shifted(shift, torch.where(on, 0.25 * n[:, 5], zero))
    return m


def coloured(x: Tensor, u: Tensor, n: Tensor, p: Tensor) -> Tensor:
    """Brightness + 0.2 N, contrast 2^(0.5 N), and of three channels: inversion of lightness, hue, saturation 2^N."""
    one, zero = torch.ones_like(u[:, 0]), torch.zeros_like(u[:, 0])
    contrast = torch.where(u[:, 0] < p, torch.exp2(0.5 * n[:, 0]), one)
    brightness = torch.where(u[:, 1] < p, 0.2 * n[:, 1], zero)
    if x.shape[1] != 3:
        return (x + brightness[:, None, None, None]) * contrast[:, None, None, None]
    axis = torch.full((3,), 3**-0.5, device=x.device)
    grey = torch.outer(axis, axis)  # onto the line of greys
    turned = torch.where(u[:, 2] < p, u[:, 2] / p * 2 * math.pi, zero)[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=x.device) * 3**-0.5
    identity = torch.eye(3, device=x.device)
    hue = turned.cos() * (identity - grey) + turned.sin() * cross  # a turn around that line (Rodrigues)
    saturation = torch.where(u[:, 3] < p, torch.exp2(n[:, 2]), one)[:, None, None]
    inverted = torch.where((u[:, 4] < p) & (u[:, 4] < p / 2), -one, one)[:, None, None]
    matrix = (inverted * grey + saturation * hue) * contrast[:, None, None]
    shifted = x + brightness[:, None, None, None]
    return torch.einsum("bij,bjhw->bihw", matrix, shifted)


def adapted(p: Tensor, verdict: Tensor, target: float, items: float, speed: float) -> Tensor:
    """p moved by items / speed towards r_t = target, where r_t = E sign D(real) (their section 3.1): up where the
    discriminator is surer of real items than that, which is how it overfits; in [0, MOST].

    verdict: r_t; items: that were seen since p was last moved; speed: items in which p may go from 0 to 1.
    """
    return (p + torch.sign(verdict - target) * (items / speed)).clamp(0.0, MOST)


def _matrix(rows: Sequence[Sequence[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(list(row), 1) for row in rows], 1)


def _scaled(x: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrix([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def _turned(angle: Tensor) -> Tensor:
    one, zero = torch.ones_like(angle), torch.zeros_like(angle)
    c, s = angle.cos(), angle.sin()
    return _matrix([[c, -s, zero], [s, c, zero], [zero, zero, one]])


def _shifted(x: Tensor, y: Tensor) -> Tensor:
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    return _matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])
