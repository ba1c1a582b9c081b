"""Speculative decoding: a small model proposes, the large one reads all proposals at once, and what is written is
distributed exactly as if the large one had drawn every token itself (Leviathan et al. 2023, arXiv:2211.17192, algorithm
1).

A proposal x, drawn from q, is kept with probability min(1, p(x) / q(x)); the first that is not is drawn anew from
max(0, p - q), normalised; after all were kept, one more comes from p. Both p and q are taken after temperature, filters
and penalties, so that these keep their meaning; at temperature 0 all mass is on the likeliest token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from genloom.core import CanContinue, Reading, Sampling
from genloom.errors import BadValue
from genloom.samplers.decoding.choose import Generators
from genloom.samplers.decoding.filters import Tally, penalises, shaped
from genloom.samplers.decoding.written import Chosen, Ended, never


def speculative(
    model: CanContinue,
    small: CanContinue,
    prompts: Sequence[Tensor],
    length: int,
    options: Sampling,
    generator: Generators,
    ended: Ended = never,
) -> Iterator[Chosen]:
    """At most `length` tokens after each prompt, one text after another."""
    if small.vocabulary != model.vocabulary:
        raise BadValue(
            f"the drafting model knows {small.vocabulary} tokens and this one {model.vocabulary}: "
            "train both with the same tokenizer"
        )
    for row, prompt_L in enumerate(prompts):
        own = generator if isinstance(generator, torch.Generator) else generator[row]
        ids: list[int] = []
        for chosen in _one(model, small, prompt_L, length, options, own):
            ids.append(int(chosen.token_R))
            over = "stop" if ended(ids) else ""
            yield chosen._replace(rows=[row], over=[over])
            if over:
                break


def _one(
    model: CanContinue,
    small: CanContinue,
    prompt_L: Tensor,
    length: int,
    options: Sampling,
    generator: torch.Generator,
) -> Iterator[Chosen]:
    large, logits_1V = model.begin(prompt_L[None])
    drafter, draft_1V = small.begin(prompt_L[None])
    said: list[Tensor] = [logits_1V]  # what the large model says of the next token, where it has read the last one
    unread: list[Tensor] = []
    tally = Tally.of([prompt_L], model.vocabulary) if penalises(options) else None
    left = length
    while left:
        count = min(options.decoding.draft, left)
        proposed, q = _draft(drafter, draft_1V, count, options, tally, generator)
        new_LV = large.read(torch.cat((*unread, *proposed))[None])[0]
        said_LV = torch.cat((*said, new_LV))  # before each proposal, and after the last
        kept = 0
        for i in range(count + 1):
            p_V = shaped(said_LV[i : i + 1], options, tally)[0].softmax(-1)
            if i == count:
                token = torch.multinomial(p_V, 1, generator=generator)
            elif torch.rand((), generator=generator, device=p_V.device) * q[i][proposed[i]] < p_V[proposed[i]]:
                token, kept = proposed[i], kept + 1
            else:
                rest_V = (p_V - q[i]).clamp_min(0)
                token = torch.multinomial(rest_V if rest_V.sum() > 0 else p_V, 1, generator=generator)
            if tally is not None:
                tally.add(token)
            yield Chosen([0], token, said_LV[i : i + 1], [""])
            left -= 1
            if not left:
                return
            if kept <= i:  # this one was no proposal: the round is over
                break
        large.forget(count - kept)
        said, unread = [], [token]
        if kept == count:
            drafter.read(proposed[-1][:, None])
        else:
            drafter.forget(count - 1 - kept)
        draft_1V = drafter.read(token[:, None])[:, -1]


def _draft(
    drafter: Reading,
    logits_1V: Tensor,
    count: int,
    options: Sampling,
    tally: Tally | None,
    generator: torch.Generator,
) -> tuple[list[Tensor], list[Tensor]]:
    """`count` tokens (1,), and the probabilities (V,) that each was drawn from. The last one is not read."""
    tally = Tally(tally.seen_BV.clone(), tally.written_BV.clone()) if tally is not None else None
    proposed: list[Tensor] = []
    q: list[Tensor] = []
    for i in range(count):
        q.append(shaped(logits_1V, options, tally)[0].softmax(-1))
        proposed.append(torch.multinomial(q[-1], 1, generator=generator))
        if tally is not None:
            tally.add(proposed[-1])
        if i + 1 < count:
            logits_1V = drafter.read(proposed[-1][:, None])[:, -1]
    return proposed, q
