"""Texts drawn or taken greedily, token by token, all of them at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genloom.core import CanContinue, Sampling
from genloom.samplers.decoding.choose import Generators, next_token
from genloom.samplers.decoding.filters import Tally, penalises
from genloom.samplers.decoding.prompts import begin
from genloom.samplers.decoding.written import NOTHING, Chosen, Ended, Grammar, never


def write(
    model: CanContinue,
    prompts: Sequence[Tensor],
    length: int,
    options: Sampling,
    generator: Generators,
    ended: Ended = never,
    grammar: Grammar | None = None,
) -> Iterator[Chosen]:
    """At most `length` tokens after each of the prompts (L_i,). Texts that have ended are no longer read."""
    reading, logits_RV = begin(model, prompts)
    tally = Tally.of(prompts, model.vocabulary) if penalises(options) else None
    rows = list(range(len(prompts)))
    ids: list[list[int]] = [[] for _ in prompts]
    states = [0 if grammar is None else grammar.start for _ in prompts]
    watched = ended is not never or grammar is not None
    for left in range(length, 0, -1):
        own = generator if isinstance(generator, torch.Generator) else [generator[r] for r in rows]
        if grammar is None:
            token_R = next_token(logits_RV, options, own, tally)
        else:
            token_R = within(grammar, [states[r] for r in rows], left, logits_RV, options, own, tally)
        over = [""] * len(rows)
        if watched:
            for j, (r, token) in enumerate(zip(rows, token_R.tolist(), strict=True)):
                if token == NOTHING:
                    over[j] = "grammar"
                    continue
                ids[r].append(token)
                over[j] = "stop" if ended(ids[r]) else ""
                if grammar is not None:
                    states[r] = grammar.follow(states[r], token)
                    if grammar.complete(states[r]) and not grammar.allowed(states[r], left - 1).any():
                        over[j] = "grammar"
        yield Chosen(rows, token_R, logits_RV, over)
        if left == 1 or all(over):
            return
        if any(over):
            kept = torch.tensor([j for j, o in enumerate(over) if not o], device=token_R.device)
            reading.select(kept)
            rows, token_R = [rows[j] for j in kept.tolist()], token_R[kept]
            tally = None if tally is None else tally.take(kept)
        if tally is not None:
            tally.add(token_R)
        logits_RV = reading.read(token_R.unsqueeze(1)).select(1, -1)


def within(
    grammar: Grammar,
    states: Sequence[int],
    left: int,
    logits_RV: Tensor,
    options: Sampling,
    generator: Generators,
    tally: Tally | None = None,
) -> Tensor:
    """The next token of each row that its grammar allows, or NOTHING where the text ends.

    Models of texts know no end. Where a text may be complete, a token is drawn as if there were no grammar, and the
    text ends if the grammar refuses it: with the probability of all that is refused.
    """
    allowed_RV = torch.stack([grammar.allowed(s, left) for s in states]).to(logits_RV.device)
    may_end_R = torch.tensor([grammar.complete(s) for s in states], device=logits_RV.device)
    free_RV = torch.where(may_end_R[:, None], logits_RV, logits_RV.masked_fill(~allowed_RV, -math.inf))
    token_R = next_token(free_RV, options, generator, tally)
    refused_R = ~allowed_RV.gather(1, token_R[:, None])[:, 0]
    return torch.where(refused_R, NOTHING, token_R)
