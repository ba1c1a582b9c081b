"""Sequences drawn around given tokens: a particle filter over a model that reads from left to right.

Wanted is a draw from p(x_unknown | x_known) where p(x) = prod_t p(x_t | x_<t). Drawing the unknown tokens one by one
and writing the known ones down would take no notice of what is known further on. So several particles go through each
sequence: at a known token each is weighted by how likely that token was for it, and where the weights have become too
unequal, particles are drawn anew in proportion to them (sequential importance resampling; Gordon, Salmond and Smith
1993).
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import CanContinue, Sampling
from genloom.samplers.decoding.choose import next_token
from genloom.samplers.decoding.filters import check

UNKNOWN = -1
PARTICLES = 16


@torch.no_grad()
def fill(
    model: CanContinue,
    given_BL: Tensor,
    options: Sampling,
    generator: torch.Generator,
    *,
    before_BP: Tensor | None = None,
    particles: int = PARTICLES,
) -> Tensor:
    """given_BL (B, L), ids and UNKNOWN where nothing is known, with the unknown tokens drawn; the same generator gives
    the same tokens. before_BP: what stands before the first token. Raises BadValue for choices that mean nothing."""
    check(options)
    (b, length), device = given_BL.shape, given_BL.device
    unknown = given_BL == UNKNOWN
    if not bool(unknown.any()):
        return given_BL
    first = int(unknown.any(0).float().argmax())
    later = bool((unknown.cumsum(1) > 0).logical_and(~unknown).any())
    k = max(1, particles) if later else 1  # where nothing is known further on, all are one another's equals
    before = given_BL[:, :0] if before_BP is None else before_BP.to(device)
    reading, logits = model.begin(torch.cat((before, given_BL[:, :first]), 1))
    copies = torch.arange(b, device=device).repeat_interleave(k)
    reading.select(copies)
    logits, ids = logits[copies], given_BL[copies]
    weight = torch.zeros(b, k, device=device)  # logarithms, of each item's particles
    for t in range(first, length):
        drawn = next_token(logits, options, generator)
        ids[:, t] = torch.where(ids[:, t] == UNKNOWN, drawn, ids[:, t])
        told = logits.float().log_softmax(-1).gather(1, ids[:, t : t + 1])[:, 0].view(b, k)
        weight = weight + torch.where(unknown[:, t : t + 1], torch.zeros_like(told), told)
        if t + 1 == length:
            break
        share = weight.softmax(1)
        poor = 1 / share.square().sum(1) < k / 2  # the effective number of particles
        if bool(poor.any()):
            rows = torch.arange(b * k, device=device).view(b, k)
            chosen = torch.multinomial(share, k, replacement=True, generator=generator)
            rows = torch.where(poor[:, None], rows.gather(1, chosen), rows).flatten()
            weight = torch.where(poor[:, None], torch.zeros_like(weight), weight)
            ids = ids[rows]
            reading.select(rows)
        logits = reading.read(ids[:, t : t + 1])[:, -1]
    best = torch.multinomial(weight.softmax(1), 1, generator=generator)[:, 0]
    return ids.view(b, k, length)[torch.arange(b, device=device), best]
