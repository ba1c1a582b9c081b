"""Choosing tokens: every strategy written once, as pure functions over `genloom.core.CanContinue`.

filters.py      logits to the logits that are drawn from          choose.py       one token of each row
prompts.py      prompts of any lengths                            written.py      what comes out
drawing.py      sampling and greedy, grammars                     beam.py         beam and diverse beam search
contrastive.py  contrastive search                                speculative.py  with a smaller model, exactly
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import Batch, CanContinue, Field, Sampling, opening
from genloom.core.capabilities import Callback
from genloom.errors import BadValue
from genloom.samplers.decoding.beam import beam
from genloom.samplers.decoding.choose import Generators, draw, next_token
from genloom.samplers.decoding.contrastive import contrastive
from genloom.samplers.decoding.drawing import write
from genloom.samplers.decoding.filters import STRATEGIES, check, min_p, penalised, shaped, top_k, top_p, typical
from genloom.samplers.decoding.prompts import check_prompts
from genloom.samplers.decoding.speculative import speculative
from genloom.samplers.decoding.written import NOTHING, Chosen, Ended, Grammar, Written, gathered, never

__all__ = [
    "NOTHING",
    "STRATEGIES",
    "Chosen",
    "Ended",
    "Generators",
    "Grammar",
    "Written",
    "check",
    "checked",
    "draw",
    "min_p",
    "never",
    "next_token",
    "penalised",
    "sampled",
    "shaped",
    "streamed",
    "texts",
    "tokens",
    "top_k",
    "top_p",
    "typical",
]


@torch.no_grad()
def tokens(
    model: CanContinue,
    prompts: Sequence[Tensor],
    options: Sampling,
    generator: Generators,
    *,
    ended: Ended = never,
    grammar: Grammar | None = None,
    small: CanContinue | None = None,
) -> Iterator[Chosen]:
    """What follows each of the prompts (L_i,), token by token as it is chosen. Beam search has its texts at the end
    only.

    generator: one for all texts, or one for each, which makes a text independent of those beside it; ended: whether a
    text ends; grammar: what it must be; small: a model that drafts. Raises BadValue for what does not go together.
    """
    yield from _tokens(model, prompts, options, generator, ended, grammar, small)


def _tokens(
    model: CanContinue,
    prompts: Sequence[Tensor],
    options: Sampling,
    generator: Generators,
    ended: Ended,
    grammar: Grammar | None,
    small: CanContinue | None,
) -> Iterator[Chosen]:
    """`tokens`, where gradients are off already: turning them off for each token costs a twentieth of a small one."""
    length = checked(model, prompts, options, grammar)
    d = options.decoding
    if small is not None and (d.strategy not in ("sample", "greedy") or grammar is not None):
        raise BadValue("a drafting model goes with strategies sample and greedy, and without a grammar")
    if not prompts:
        return
    if d.strategy in ("beam", "diverse-beam"):
        yield from _spelled(texts(model, prompts, options, generator, ended=ended, grammar=grammar), model, prompts)
    elif d.strategy == "contrastive":
        if grammar is not None:
            raise BadValue("contrastive search takes no grammar: choose sample, greedy or beam")
        yield from contrastive(model, prompts, length, options, ended)
    elif small is not None:
        yield from speculative(model, small, prompts, length, options, generator, ended)
    else:
        yield from write(model, prompts, length, options, generator, ended, grammar)


@torch.no_grad()
def texts(
    model: CanContinue,
    prompts: Sequence[Tensor],
    options: Sampling,
    generator: Generators,
    *,
    ended: Ended = never,
    grammar: Grammar | None = None,
    small: CanContinue | None = None,
    top: int | None = None,
) -> list[Written]:
    """The whole text of each prompt; of beam search the best one. top: how many of the likeliest tokens are
    told at each place, with log-probabilities; None: neither."""
    if options.decoding.strategy in ("beam", "diverse-beam"):
        length = checked(model, prompts, options, grammar)
        return [beam(model, prompt, length, options, ended, grammar)[0] for prompt in prompts]
    chosen = _tokens(model, prompts, options, generator, ended, grammar, small)
    return gathered(chosen, len(prompts), top)


def checked(model: CanContinue, prompts: Sequence[Tensor], options: Sampling, grammar: Grammar | None = None) -> int:
    """How many tokens are to be written. Raises BadValue for choices, prompts and grammars that cannot be."""
    check(options)
    length = options.length or model.context or 1
    check_prompts(model, prompts, length, options)
    if grammar is not None and not grammar.complete(grammar.start) and not grammar.allowed(grammar.start, length).any():
        raise BadValue(f"no text of at most {length} tokens meets the grammar: allow more with --length")
    return length


def _spelled(found: Sequence[Written], model: CanContinue, prompts: Sequence[Tensor]) -> Iterator[Chosen]:
    """Finished texts as if they came token by token."""
    for row, (one, prompt) in enumerate(zip(found, prompts, strict=True)):
        for i, token in enumerate(one.ids):
            last = one.why if i + 1 == len(one.ids) and one.why != "length" else ""
            ids = torch.tensor([token], device=prompt.device)
            yield Chosen([row], ids, torch.zeros(1, model.vocabulary), [last])


def sampled(
    model: CanContinue,
    n: int,
    condition: Batch | None,
    options: Sampling,
    generator: torch.Generator,
    callback: Callback | None,
    device: torch.device,
    field: Field | None = None,
) -> Batch:
    """`CanSample.sample` of any model that continues: prompts (n, P) of `condition` and options.length new tokens, by
    default as many as the context holds.

    field: of the item. Whole items are filled up behind their end; where nobody gives a prompt and pieces are parted by
    a symbol, that stands before the first token, unseen.
    """
    asked = condition or {}
    if model.item not in asked and field is not None and (before := opening(field, n)).shape[1]:
        drawn = sampled(model, n, {model.item: before}, options, generator, callback, device)
        return {model.item: drawn[model.item][:, before.shape[1] :]}
    prompt_BL = asked.get(model.item, torch.zeros(n, 0, dtype=torch.int64)).to(device)
    if prompt_BL.ndim != 2 or len(prompt_BL) != n:
        raise BadValue(f"expected prompts of shape ({n}, tokens), got {tuple(prompt_BL.shape)}: give one for each text")
    length = checked(model, list(prompt_BL), options)
    if options.decoding.strategy not in ("sample", "greedy") and n:
        found = texts(model, list(prompt_BL), options, generator)
        return {model.item: torch.cat((prompt_BL, torch.tensor([t.ids for t in found], device=device)), 1)}
    ids_BL = prompt_BL
    end = field.end if field is not None and field.whole else NOTHING
    ended = never if end == NOTHING else lambda ids: ids[-1] == end
    for i, chosen in enumerate(tokens(model, list(prompt_BL), options, generator, ended=ended)):
        column_B1 = torch.full((n, 1), end, device=device)
        column_B1[chosen.rows, 0] = chosen.token_R
        ids_BL = torch.cat((ids_BL, column_B1), 1)
        if callback is not None:
            callback({"i": i, "of": length, "x": ids_BL})
    if not n:
        return {model.item: ids_BL.new_zeros(0, prompt_BL.shape[1] + length)}
    missing = prompt_BL.shape[1] + length - ids_BL.shape[1]  # where all items have ended before
    return {model.item: F.pad(ids_BL, (0, missing), value=end)}


def streamed(model: CanContinue, prompt_L: Tensor, options: Sampling, generator: torch.Generator) -> Iterator[Tensor]:
    """`CanStream.stream` of any model that continues: one token (a 0-d tensor) at a time."""
    for chosen in tokens(model, [prompt_L], options, generator):
        yield chosen.token_R[0]
