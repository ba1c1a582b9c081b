"""Averages of the weights along a run: power functions of time, whose width is a share of the run at any length.

Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models" (EDM2, 2024), section 3.
A profile of exponent g weighs the weights of time s by s^g; its relative width is sigma_rel (equation 4).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


def exponent(sigma_rel: float) -> float:
    """g with sigma_rel = sqrt(g + 1) / ((g + 2) sqrt(g + 3)): the real root of g^3 + 7 g^2 + (16 - w) g + 12 - w, where
    w = sigma_rel^-2 (appendix C)."""
    w = sigma_rel**-2
    return float(np.roots([1.0, 7.0, 16.0 - w, 12.0 - w]).real.max())


class PowerEMA:
    """An average in fp32 of all floating-point parameters; buffers are copied. `sigma_rel`: its relative width."""

    def __init__(self, model: nn.Module, sigma_rel: float) -> None:
        self.gamma = exponent(sigma_rel)
        self.averaged = {n: p.detach().float().clone() for n, p in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, steps: int) -> None:
        """After step number `steps` (from 1): average <- beta * average + (1 - beta) * weights (equation 2)."""
        keep = (1.0 - 1.0 / steps) ** (self.gamma + 1.0)
        weights = [p.detach().float() for p in model.parameters()]
        torch._foreach_lerp_(list(self.averaged.values()), weights, 1.0 - keep)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """A complete state dict: averaged parameters, the model's buffers."""
        return {n: self.averaged.get(n, t) for n, t in model.state_dict().items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes back the averages from what `state` returned."""
        for name, average in self.averaged.items():
            average.copy_(state[name])

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model's parameters are the averages."""
        raw = {}
        try:
            for name, p in model.named_parameters():
                raw[name] = p.data
                p.data = torch.empty_like(p.data).copy_(self.averaged[name])
            yield
        finally:
            for name, p in model.named_parameters():
                p.data = raw.get(name, p.data)


def inner_product(t_a: float, gamma_a: float, t_b: float, gamma_b: float) -> float:
    """The integral over [0, min(t_a, t_b)] of the two normalised profiles that end at t_a and t_b (appendix C)."""
    log = (
        (gamma_a + gamma_b + 1.0) * np.log(min(t_a, t_b))
        - (gamma_a + 1.0) * np.log(t_a)
        - (gamma_b + 1.0) * np.log(t_b)
    )
    return float((gamma_a + 1.0) * (gamma_b + 1.0) / (gamma_a + gamma_b + 1.0) * np.exp(log))


def post_hoc_weights(stored: Sequence[tuple[float, float]], t: float, sigma_rel: float) -> np.ndarray:
    """How much of each stored average (time, sigma_rel) to take for the profile of width sigma_rel that ends at time t:
    the least-squares fit of profiles (appendix C)."""
    profiles = [(time, exponent(s)) for time, s in stored]
    target = (t, exponent(sigma_rel))
    a = np.array([[inner_product(*p, *q) for q in profiles] for p in profiles])
    b = np.array([inner_product(*p, *target) for p in profiles])
    return np.linalg.lstsq(a, b, rcond=None)[0]
