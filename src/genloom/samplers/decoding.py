"""Choosing the next token from logits (B, V): temperature, top-k, top-p. Pure; -inf marks what cannot come."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genloom.core import Sampling
from genloom.errors import BadValue


def check(options: Sampling) -> None:
    """Raises BadValue for choices that mean nothing."""
    if not (math.isfinite(options.temperature) and options.temperature >= 0):
        raise BadValue(f"temperature must be at least 0 (0: always the likeliest token), got {options.temperature}")
    if options.top_k < 0:
        raise BadValue(f"top_k must be a number of tokens, or 0 for all, got {options.top_k}")
    if not 0 < options.top_p <= 1:
        raise BadValue(f"top_p must lie above 0 and be at most 1 (1: all tokens), got {options.top_p}")
    if options.length is not None and options.length < 1:
        raise BadValue(f"length must be at least 1 token, got {options.length}")


def top_k(logits_BV: Tensor, k: int) -> Tensor:
    """Keeps the k greatest logits of each row, and those equal to the k-th; 0 keeps all."""
    if k == 0 or k >= logits_BV.shape[-1]:
        return logits_BV
    least = logits_BV.topk(k, dim=-1).values[..., -1:]
    return logits_BV.masked_fill(logits_BV < least, -math.inf)


def top_p(logits_BV: Tensor, p: float) -> Tensor:
    """Keeps the likeliest tokens whose probabilities first add up to p (Holtzman et al. 2020, arXiv:1904.09751), always
    at least one; 1 keeps all."""
    if p >= 1:
        return logits_BV
    ordered, order = logits_BV.sort(dim=-1, descending=True, stable=True)
    probability = ordered.softmax(-1)
    before = probability.cumsum(-1) - probability  # what the likelier ones already hold; exactly 0 for the first
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits_BV).scatter_(-1, order, ordered)


def draw(logits_BV: Tensor, generator: torch.Generator) -> Tensor:
    """One token a row (B,), with the probabilities softmax(logits).

    Of independent waiting times, exponential with rates p, the shortest is that of token i with probability p_i; so the
    greatest p / Exp(1) is a draw, without sorting, summing or waiting for the device.
    """
    probability = logits_BV.float().softmax(-1)
    waiting = torch.empty_like(probability).exponential_(generator=generator)
    return (probability / waiting.clamp_min_(torch.finfo(torch.float32).tiny)).argmax(-1)


def next_token(logits_BV: Tensor, options: Sampling, generator: torch.Generator) -> Tensor:
    """The next token of each row (B,): temperature first, then top-k, then top-p, then a draw. Temperature 0 takes the
    likeliest one and draws nothing."""
    if options.temperature == 0:
        return logits_BV.argmax(-1)
    return draw(top_p(top_k(logits_BV / options.temperature, options.top_k), options.top_p), generator)
