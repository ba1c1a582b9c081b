"""One token out of each row of logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genloom.core import Sampling
from genloom.samplers.decoding.filters import Tally, penalised, shaped

Generators = torch.Generator | Sequence[torch.Generator]
"""One for all rows, whose draws depend on how many rows there are; or one for each row, whose draws do not."""


def waiting(shape: torch.Size, generator: Generators, device: torch.device) -> Tensor:
    """Exponential waiting times of rate one, (B, V)."""
    times = torch.empty(shape, device=device)
    if isinstance(generator, torch.Generator):
        times.exponential_(generator=generator)
    else:
        for row, own in zip(times, generator, strict=True):
            row.exponential_(generator=own)
    return times.clamp_min_(torch.finfo(torch.float32).tiny)


def draw(logits_BV: Tensor, generator: Generators) -> Tensor:
    """One token a row (B,), with the probabilities softmax(logits).

    Of independent waiting times, exponential with rates p, the shortest is that of token i with probability p_i; so the
    greatest p / Exp(1) is a draw, without sorting, summing or waiting for the device.
    """
    probability = logits_BV.float().softmax(-1)
    return (probability / waiting(probability.shape, generator, probability.device)).argmax(-1)


def next_token(logits_BV: Tensor, options: Sampling, generator: Generators, tally: Tally | None = None) -> Tensor:
    """The next token of each row (B,): penalties, temperature, the filters, then a draw. Temperature 0 and strategy
    "greedy" take the likeliest one and draw nothing."""
    if options.temperature == 0 or options.decoding.strategy == "greedy":
        return penalised(logits_BV, tally, options).argmax(-1)
    return draw(shaped(logits_BV, options, tally), generator)
