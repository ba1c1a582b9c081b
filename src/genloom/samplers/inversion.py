"""From an item back to its latent: gradient descent on the latent, for any function that decodes (Zhu et al. 2016,
"Generative Visual Manipulation on the Natural Image Manifold", section 3.1).

    z* = argmin_z  distance(G(z)) + stay |(z - m) / s|^2 / D

m and s are mean and deviation of each of the prior's D numbers; the second term keeps z among latents the generator was
trained on. Steps are taken in units of s, so that one rate suits every model. Several starts go down side by side, and
the best one is kept: the valley is full of holes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.errors import BadValue

Decode = Callable[[Tensor, Tensor], Tensor]
Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Inverted:
    """latent: (P, ...); loss: (P,) at it; start: (P,) which start led there."""

    latent: Tensor
    loss: Tensor
    start: Tensor


def invert(
    decode: Decode,
    starts: Tensor,
    distance: Distance,
    spread: tuple[Tensor, Tensor],
    *,
    steps: int = 300,
    rate: float = 0.1,
    stay: float = 0.01,
) -> Inverted:
    """The latents at which `distance` is least. starts: (P, K, ...), K for each of P items. decode(latents, rows) and
    distance(items, rows): of a batch whose entries belong to the `rows` (N,) of the P K starts; a number each.
    spread: mean and deviation of the prior, (...) each. Adam, its rate falling to zero along a cosine.

    Raises BadValue where `decode` hands on no gradient.
    """
    count, each = starts.shape[:2]
    mean, deviation = spread[0], spread[1].clamp_min(1e-4)
    u = ((starts.flatten(0, 1) - mean) / deviation).detach().clone().requires_grad_()
    rows = torch.arange(count * each, device=u.device)
    optimizer = torch.optim.Adam([u], lr=rate, betas=(0.9, 0.99))
    best, least = u.detach().clone(), torch.full((len(u),), math.inf, device=u.device)
    with torch.enable_grad():
        for i in range(steps + 1):
            items = decode(mean + deviation * u, rows)
            if not items.requires_grad:
                raise BadValue("this model's decode hands on no gradient, so nothing can be fitted with it")
            losses = distance(items, rows) + stay * u.square().flatten(1).mean(1)
            with torch.no_grad():
                better = losses < least
                least = torch.where(better, losses, least)
                best[better] = u[better]
            if i == steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = rate * (0.5 + 0.5 * math.cos(math.pi * i / steps))
            (u.grad,) = torch.autograd.grad(losses.sum(), u)
            optimizer.step()
    latents = (mean + deviation * best).unflatten(0, (count, each))
    loss, chosen = least.view(count, each).min(1)
    return Inverted(latents[torch.arange(count, device=u.device), chosen], loss, chosen)
