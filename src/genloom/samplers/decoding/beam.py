"""Beam search: of all texts, the likeliest that K beginnings kept at a time lead to; and diverse beam search.

A finished text's score is log p / length^a (Wu et al. 2016, arXiv:1609.08144, without the constant 5 of eq. 14).
Diverse beam search (Vijayakumar et al. 2018, arXiv:1610.02424, with Hamming diversity, its section 4.3) keeps G groups
of K/G beginnings; a token's score falls by the diversity for every beginning of an earlier group that chose it in the
same step; that decides what is kept, and is no part of a text's score. Log-probabilities are the model's own:
temperature and filters do not apply; penalties do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from genloom.core import CanContinue, Sampling
from genloom.samplers.decoding.filters import Tally, penalised, penalises
from genloom.samplers.decoding.prompts import begin
from genloom.samplers.decoding.written import Ended, Grammar, Written, never


@dataclass(frozen=True)
class _Beam:
    """A beginning: its tokens, their log-probabilities, the sum of the scores that chose them, its grammar's state."""

    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    score: float = 0.0
    state: int = 0


@dataclass
class _Group:
    """Beginnings that compete, and texts that are finished."""

    beams: list[_Beam]
    done: list[Written] = field(default_factory=list)


def beam(
    model: CanContinue,
    prompt_L: Tensor,
    length: int,
    options: Sampling,
    ended: Ended = never,
    grammar: Grammar | None = None,
) -> list[Written]:
    """The `beams` best texts after a prompt, best first. Nothing is drawn."""
    d = options.decoding
    count = d.groups if d.strategy == "diverse-beam" else 1
    size = d.beams // count
    reading, logits_RV = begin(model, [prompt_L])
    groups = [_Group([_Beam(state=0 if grammar is None else grammar.start)]) for _ in range(count)]
    row_of = [[0] for _ in groups]  # the reading's row of each beam
    tally = Tally.of([prompt_L], model.vocabulary) if penalises(options) else None
    for left in range(length, 0, -1):
        logprob_RV = penalised(logits_RV, tally, options).log_softmax(-1)
        own_RV = logprob_RV if tally is None else logits_RV.log_softmax(-1)
        chosen = torch.zeros(logprob_RV.shape[-1], device=logprob_RV.device)  # by earlier groups, in this step
        parents: list[int] = []
        tokens: list[int] = []
        rows: list[list[int]] = []
        for group, at in zip(groups, row_of, strict=True):
            if not group.beams:
                rows.append([])
                continue
            scores_KV = logprob_RV[at]
            if grammar is not None:
                scores_KV = _limited(scores_KV, group, grammar, left, d.length_penalty)
            shunned_KV = scores_KV - d.diversity * chosen if count > 1 else scores_KV
            kept: list[_Beam] = []
            mine: list[int] = []
            for k, token in _best(shunned_KV, [b.score for b in group.beams], 2 * size):
                if len(kept) == size:
                    break
                old = group.beams[k]
                ids = (*old.ids, token)
                new = _Beam(
                    ids,
                    (*old.logprobs, float(own_RV[at[k], token])),
                    old.score + float(scores_KV[k, token]),
                    0 if grammar is None else grammar.follow(old.state, token),
                )
                if ended(ids):
                    group.done.append(_finished(new, "stop", d.length_penalty))
                    continue
                kept.append(new)
                mine.append(len(parents))
                parents.append(at[k])
                tokens.append(token)
                if count > 1:
                    chosen[token] += 1
            group.beams = kept
            rows.append(mine)
            _settle(group, size, d.length_penalty)
        row_of = [mine if group.beams else [] for mine, group in zip(rows, groups, strict=True)]
        if left == 1 or not any(group.beams for group in groups):
            break
        index = torch.tensor(parents, device=logits_RV.device)
        token_R = torch.tensor(tokens, device=logits_RV.device)
        reading.select(index)
        if tally is not None:
            tally = tally.take(index)
            tally.add(token_R)
        logits_RV = reading.read(token_R[:, None])[:, -1]
    for group in groups:
        for one in group.beams:
            if grammar is None or grammar.complete(one.state):
                group.done.append(_finished(one, "length", d.length_penalty))
        group.done = sorted(group.done, key=lambda t: -(t.score or 0.0))[:size]
    return sorted((t for g in groups for t in g.done), key=lambda t: -(t.score or 0.0))


def _finished(one: _Beam, why: str, power: float) -> Written:
    return Written(one.ids, one.logprobs, why=why, score=one.score / max(1, len(one.ids)) ** power)


def _best(scores_KV: Tensor, sums: list[float], count: int) -> list[tuple[int, int]]:
    """The `count` best (beam, token), best first, without those that cannot come."""
    total = scores_KV + torch.tensor(sums, device=scores_KV.device, dtype=scores_KV.dtype)[:, None]
    found = total.flatten().topk(min(count, total.numel()))
    v = scores_KV.shape[-1]
    return [
        (i // v, i % v)
        for i, s in zip(found.indices.tolist(), found.values.tolist(), strict=True)
        if s > -math.inf
    ]  # fmt: skip


def _limited(scores_KV: Tensor, group: _Group, grammar: Grammar, left: int, power: float) -> Tensor:
    """The scores of what the grammar allows. A beginning that is complete is finished too, with the probability of all
    that is refused, see `drawing.within`; one that is not shares its probability among what is allowed."""
    out = []
    for one, score_V in zip(group.beams, scores_KV, strict=True):
        allowed = grammar.allowed(one.state, left).to(score_V.device)
        inside = score_V.masked_fill(~allowed, -math.inf)
        if grammar.complete(one.state):
            refused = score_V.masked_fill(allowed, -math.inf).logsumexp(0)
            end = _Beam(one.ids, one.logprobs, one.score + float(refused))
            group.done.append(_finished(end, "grammar", power))
        elif bool(allowed.any()):
            inside = inside - inside.logsumexp(0)
        out.append(inside)
    return torch.stack(out)


def _settle(group: _Group, size: int, power: float) -> None:
    """Keeps the best finished texts. A group ends when none of its beginnings, scored as if it ended now, beats the
    worst of `size` finished ones."""
    group.done = sorted(group.done, key=lambda t: -(t.score or 0.0))[:size]
    if len(group.done) < size or not group.beams:
        return
    worst = group.done[-1].score or 0.0
    if all(b.score / max(1, len(b.ids)) ** power <= worst for b in group.beams):
        group.beams = []
