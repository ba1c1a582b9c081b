"""The same noise at every step count: one Brownian path, looked up at any pair of times.

A stochastic solver that goes from time t to s adds noise that is, up to a factor, the increment of a Brownian motion W
whose clock is the signal-to-noise ratio ((1 - t) / t)^2 (see `genloom.samplers.stochastic`). Where every step draws
afresh, twice as many steps mean another picture. Here W is one path, made as far as it is asked for: its values at two
times fix those between them up to a Brownian bridge, halved again and again, and each half has a seed of its own.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

LEAST = 1e-5  # times below it count as this one: noise there is far below any data's resolution
DEPTH = 14  # halvings of [0, 1] before a last bridge within an interval


class BrownianTree:
    """Standard normal increments of one Brownian path for items shaped like `like`; `tree(t, s)` for times t > s.

    seed: of the path. Increments over neighbouring steps add up to that over both, whoever asks in which order.
    """

    def __init__(self, like: Tensor, seed: int) -> None:
        self.like, self.seed = like, seed
        self._way: dict[tuple[int, int], Tensor] = {}  # the values met on the way to the last time: the next is near it
        self._last: tuple[float, Tensor] = (1.0, torch.zeros_like(like))  # where the last step ended

    def __call__(self, t: float, s: float) -> Tensor:
        before = self._last[1] if self._last[0] == t else self.at(t)
        after = self.at(s)
        self._last = (s, after)
        return (after - before) / math.sqrt(max(_clock(s) - _clock(t), 1e-300))

    def at(self, t: float) -> Tensor:
        """W at time t; 0 at t = 1."""
        if t >= 1:
            return torch.zeros_like(self.like)
        t = max(t, LEAST)
        known, self._way = self._way, {}
        upper, lower = 1.0, LEAST  # the clock runs from the noise (upper) to the data (lower)
        first, last = torch.zeros_like(self.like), known.get((0, 0))
        if last is None:
            last = math.sqrt(_clock(LEAST)) * self._normal(0, 0)
        self._way[0, 0] = last
        place = 0
        for depth in range(1, DEPTH + 1):
            middle = (upper + lower) / 2
            place *= 2
            between = known.get((depth, place))
            if between is None:
                between = self._bridge(self._normal(depth, place), middle, (upper, first), (lower, last))
            self._way[depth, place] = between
            if t > middle:
                lower, last = middle, between
            else:
                upper, first, place = middle, between, place + 1
        return self._bridge(self._normal(DEPTH + 1, place), t, (upper, first), (lower, last))

    def _bridge(self, normal: Tensor, t: float, first: tuple[float, Tensor], last: tuple[float, Tensor]) -> Tensor:
        """W at t, given W at the two times around it."""
        a, b, now = _clock(first[0]), _clock(last[0]), _clock(t)
        share = (now - a) / (b - a)
        return first[1] + share * (last[1] - first[1]) + math.sqrt(max((b - now) * share, 0.0)) * normal

    def _normal(self, depth: int, place: int) -> Tensor:
        digest = hashlib.blake2b(f"{self.seed} {depth} {place}".encode(), digest_size=8).digest()
        generator = torch.Generator(self.like.device).manual_seed(int.from_bytes(digest, "little") >> 1)
        return torch.randn(self.like.shape, generator=generator, device=self.like.device, dtype=self.like.dtype)


def _clock(t: float) -> float:
    """The signal-to-noise ratio at time t."""
    t = max(t, LEAST)
    return ((1 - t) / t) ** 2
