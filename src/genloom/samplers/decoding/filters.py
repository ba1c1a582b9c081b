"""From logits (B, V) to the logits that are drawn from: penalties, temperature, top-k, top-p, min-p, typical. Pure;
-inf marks what cannot come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from genloom.core import Decoding, Reading, Sampling
from genloom.errors import BadValue

STRATEGIES = ("sample", "greedy", "beam", "diverse-beam", "contrastive")


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
    _check_decoding(options.decoding)


def _check_decoding(d: Decoding) -> None:
    if d.strategy not in STRATEGIES:
        raise BadValue(f"strategy must be one of {', '.join(STRATEGIES)}, got {d.strategy!r}")
    if not 0 <= d.min_p <= 1:
        raise BadValue(f"min_p must lie from 0 (off) to 1 (only the likeliest), got {d.min_p}")
    if not 0 < d.typical <= 1:
        raise BadValue(f"typical must lie above 0 and be at most 1 (1: all tokens), got {d.typical}")
    if not (math.isfinite(d.repetition) and d.repetition > 0):
        raise BadValue(f"repetition must be above 0 (1: off; above: repeats less), got {d.repetition}")
    for name in ("presence", "frequency", "diversity", "length_penalty"):
        if not math.isfinite(getattr(d, name)):
            raise BadValue(f"{name} must be a finite number, got {getattr(d, name)}")
    if d.beams < 1:
        raise BadValue(f"beams must be at least 1, got {d.beams}")
    if d.strategy == "diverse-beam" and (d.groups < 1 or d.beams % d.groups):
        raise BadValue(f"groups must divide the {d.beams} beams, got {d.groups}")
    if not 0 <= d.alpha <= 1:
        raise BadValue(f"alpha must lie from 0 (likelihood alone) to 1 (unlikeness alone), got {d.alpha}")
    if not 1 <= d.draft < Reading.reach:
        raise BadValue(f"draft must be from 1 to {Reading.reach - 1} tokens at a time, got {d.draft}")
    if d.overflow not in ("slide", "refuse"):
        raise BadValue(f"overflow must be slide or refuse, got {d.overflow!r}")


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
    return _first_of(logits_BV, -logits_BV, p)


def min_p(logits_BV: Tensor, p: float) -> Tensor:
    """Keeps tokens at least p times as likely as the likeliest (Nguyen et al. 2025, arXiv:2407.01082); 0 keeps all."""
    if p <= 0:
        return logits_BV
    return logits_BV.masked_fill(logits_BV < logits_BV.amax(-1, keepdim=True) + math.log(p), -math.inf)


def typical(logits_BV: Tensor, p: float) -> Tensor:
    """Keeps the tokens whose surprise is nearest to the expected surprise, until their probabilities add up to p
    (Meister et al. 2023, arXiv:2202.00666, eq. 10), at least one; 1 keeps all."""
    if p >= 1:
        return logits_BV
    logp = logits_BV.log_softmax(-1)
    entropy = -(logp.exp() * logp).nan_to_num(0.0).sum(-1, keepdim=True)
    return _first_of(logits_BV, (-logp - entropy).abs(), p)


def _first_of(logits_BV: Tensor, rank_BV: Tensor, p: float) -> Tensor:
    """Keeps the tokens of lowest rank whose probabilities first add up to p, and at least one."""
    order = rank_BV.argsort(dim=-1, stable=True)
    ordered = logits_BV.gather(-1, order)
    probability = ordered.softmax(-1)
    before = probability.cumsum(-1) - probability  # what those in front already hold; exactly 0 for the first
    ordered = ordered.masked_fill(before >= p, -math.inf)
    return torch.empty_like(logits_BV).scatter_(-1, order, ordered)


@dataclass
class Tally:
    """What each text holds so far. seen_BV: whether a token occurs in prompt or text; written_BV: how often in the text
    alone, without the prompt."""

    seen_BV: Tensor
    written_BV: Tensor

    @classmethod
    def of(cls, prompts: Sequence[Tensor], vocabulary: int) -> Tally:
        """Of texts that begin after these prompts."""
        seen = torch.zeros(len(prompts), vocabulary, dtype=torch.bool, device=prompts[0].device if prompts else None)
        for row, prompt in zip(seen, prompts, strict=True):
            row[prompt] = True
        return cls(seen, torch.zeros_like(seen, dtype=torch.float32))

    def add(self, token_B: Tensor) -> None:
        """One more token of each text."""
        self.seen_BV.scatter_(1, token_B[:, None], True)
        self.written_BV.scatter_add_(1, token_B[:, None], torch.ones_like(token_B[:, None], dtype=torch.float32))

    def take(self, rows_N: Tensor) -> Tally:
        """That of these rows."""
        return Tally(self.seen_BV[rows_N], self.written_BV[rows_N])


def penalises(options: Sampling) -> bool:
    """Whether what was written changes what may come."""
    d = options.decoding
    return d.repetition != 1 or d.presence != 0 or d.frequency != 0


def penalised(logits_BV: Tensor, tally: Tally | None, options: Sampling) -> Tensor:
    """Logits lowered for tokens that occurred: of prompt and text by `repetition` (Keskar et al. 2019,
    arXiv:1909.05858, section 4.1), of the text alone by `presence` and `frequency`."""
    if tally is None:
        return logits_BV
    d = options.decoding
    if d.repetition != 1:
        lowered = torch.where(logits_BV > 0, logits_BV / d.repetition, logits_BV * d.repetition)
        logits_BV = torch.where(tally.seen_BV, lowered, logits_BV)
    return logits_BV - d.presence * (tally.written_BV > 0) - d.frequency * tally.written_BV


def shaped(logits_BV: Tensor, options: Sampling, tally: Tally | None = None) -> Tensor:
    """The logits that are drawn from: penalties first, then temperature, top-k, top-p, min-p, typical. Temperature 0
    and strategy "greedy" leave the likeliest token alone."""
    logits_BV = penalised(logits_BV, tally, options)
    if options.temperature == 0 or options.decoding.strategy == "greedy":
        best = logits_BV.argmax(-1, keepdim=True)
        return torch.full_like(logits_BV, -math.inf).scatter_(-1, best, 0.0)
    logits_BV = top_k(logits_BV if options.temperature == 1 else logits_BV / options.temperature, options.top_k)
    logits_BV = min_p(top_p(logits_BV, options.top_p), options.decoding.min_p)
    return typical(logits_BV, options.decoding.typical)
