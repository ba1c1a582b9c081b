"""How dense a flow's data are at given items: the change of variables along dx/dt = v(x, t).

d log p(x_t) / dt = -div v, so log p at the data is log p at the noise plus the integral of div v along the way (Chen
et al. 2018, arXiv:1806.07366; Song et al. 2021, arXiv:2011.13456, section 4.3). The divergence is estimated without
bias as probe . (dv/dx probe) with random signs (Hutchinson 1990; Grathwohl et al. 2019, arXiv:1810.01367).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from genloom.samplers.base import Velocity
from genloom.samplers.solvers import sample_adams


def signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Random signs, -1 or 1 with equal chance (Rademacher), shaped like `like`."""
    return torch.randint(0, 2, like.shape, generator=generator, device=like.device).to(like.dtype) * 2 - 1


def rising_grid(steps: int, low: float, high: float, rho: float = 3.0) -> list[float]:
    """steps + 1 times from low to high, even in t^(1/rho): denser towards the data, where densities change fastest."""
    a, b = low ** (1 / rho), high ** (1 / rho)
    return [(a + (b - a) * i / steps) ** rho for i in range(steps)] + [high]


def density_change(model: Velocity, x: Tensor, times: Sequence[float], probe: Tensor) -> tuple[Tensor, Tensor]:
    """(noise (B, ...), change (B,)): where items x at times[0] flow to at times[-1], and
    log p(x at times[0]) - log p(noise at times[-1]) in nats.

    probe: (B, ...) random signs of each item. One evaluation and one gradient of the model a step.
    """
    n, shape = len(x), x.shape

    def augmented(state: Tensor, t: float) -> Tensor:
        with torch.enable_grad():
            at = state[:, :-1].detach().reshape(shape).requires_grad_()
            v = model(at, t)
            (pulled,) = torch.autograd.grad(v, at, probe)
        divergence = (pulled * probe).reshape(n, -1).sum(1, keepdim=True)
        return torch.cat([v.detach().reshape(n, -1), divergence], 1)

    state = torch.cat([x.reshape(n, -1), x.new_zeros(n, 1)], 1)
    state = sample_adams(augmented, state, times)
    return state[:, :-1].reshape(shape), state[:, -1]


def normal_log_density(x: Tensor, std: float = 1.0) -> Tensor:
    """log N(x; 0, std^2) in nats, summed over an item: (B,)."""
    flat = x.reshape(len(x), -1) / std
    return -flat.square().sum(1) / 2 - flat.shape[1] * (math.log(std) + math.log(2 * math.pi) / 2)
