"""Paths through a latent space: between two points, around several, over a plane. All pure functions."""

from __future__ import annotations

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Straight lines from a to b. a, b: (N, ...); t: (K,) in [0, 1]. Returns (K, N, ...)."""
    t = t.to(a.dtype).reshape(-1, *[1] * a.dim())
    return a + t * (b - a)


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Great-circle arcs from a to b, whose lengths go evenly from |a| to |b| (Shoemake 1985; White 2016).

    High-dimensional normal draws lie near a sphere; a straight line between two would cut through its empty inside.
    a, b: (N, ...), an item's elements taken as one vector; t: (K,) in [0, 1]. Returns (K, N, ...).
    Where an arc is not defined (parallel, opposite or zero vectors) the straight line is returned.
    """
    shape, a, b = a.shape, a.reshape(len(a), -1), b.reshape(len(b), -1)
    t_K11 = t.to(a.dtype).reshape(-1, 1, 1)
    length_a, length_b = a.norm(dim=1, keepdim=True), b.norm(dim=1, keepdim=True)
    unit_a, unit_b = a / length_a.clamp_min(1e-12), b / length_b.clamp_min(1e-12)
    angle = torch.arccos((unit_a * unit_b).sum(1, keepdim=True).clamp(-1, 1))
    sine = torch.sin(angle)
    direction = (torch.sin((1 - t_K11) * angle) * unit_a + torch.sin(t_K11 * angle) * unit_b) / sine.clamp_min(1e-12)
    arc = direction * (length_a + t_K11 * (length_b - length_a))
    defined = (sine > 1e-4) & (length_a > 0) & (length_b > 0)
    return torch.where(defined, arc, lerp(a, b, t)).reshape(len(t), *shape)


def walk(points: Tensor, steps: int, *, closed: bool = False) -> Tensor:
    """A path by `slerp` through points (P, ...), `steps` frames per leg; `closed` returns to the first point.

    Returns ((P - 1) * steps + 1, ...) open, (P * steps, ...) closed (its last frame leads back to its first).
    """
    t = torch.arange(steps, dtype=torch.float32, device=points.device) / steps
    ends = torch.roll(points, -1, 0) if closed else points[1:]
    starts = points if closed else points[:-1]
    legs = slerp(starts, ends, t).transpose(0, 1).reshape(-1, *points.shape[1:])
    return legs if closed else torch.cat([legs, points[-1:]])


def plane(side: int) -> Tensor:
    """side x side points of a 2-D standard normal, evenly spread by probability: (side * side, 2), rows from the top.

    Neighbours enclose equal mass, so that a map drawn at these points shows what sampling shows (Kingma and
    Welling 2014, appendix A).
    """
    quantiles = torch.special.ndtri((torch.arange(side) + 0.5) / side)
    y, x = torch.meshgrid(-quantiles, quantiles, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], 1)
