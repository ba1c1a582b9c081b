"""Answers of a model to held-out prompts, beside the answers that stand there: BLEU, chrF and ROUGE.

Answers are the likeliest ones, token by token, unless another temperature than 1 is asked for. Beside the model's
figures the prompts themselves are scored as answers ("copied"): of summaries and of near languages that is not nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from genloom.core import CanSample, DataSpec, Model, Sampling
from genloom.errors import BadData, GenloomError
from genloom.metrics.base import Result, SplitLike, spread
from genloom.metrics.grounding import grounding
from genloom.metrics.likelihood import Decodes
from genloom.metrics.texts import of_pairs

MOST = 1_000  # prompts that are answered
CHUNK = 128
SAME = 0.3
"""The share of their words that people's answers take from the prompt, from which grounding is measured."""


@dataclass(frozen=True)
class Answered:
    """Held-out prompts, the model's answers to them, the answers that stand in the data."""

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    references: tuple[str, ...]


def told(spec: DataSpec) -> str | None:
    """The name of the text that a model of texts answers, None where it answers none."""
    texts = [k for k, f in spec.items() if f.role == "item" and f.modality == "text" and f.end >= 0]
    found = [k for k, f in spec.items() if f.role == "condition" and f.modality == "text"]
    return found[0] if texts and found else None


def greedy(options: Sampling) -> Sampling:
    """The options with temperature 0 where nobody asked for one."""
    return replace(options, temperature=0.0) if options.temperature == 1.0 else options


@torch.no_grad()
def answered(
    model: Model,
    split: SplitLike,
    key: str,
    prompt: str,
    tokenizer: Decodes,
    generator: torch.Generator,
    options: Sampling = Sampling(),
    most: int = MOST,
) -> Answered:
    """The model's answers to up to `most` prompts of `split`, spread evenly over it. Raises BadData."""
    if not isinstance(model, CanSample):
        raise BadData(f"{type(model).__name__} writes no answers")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    sides: tuple[list[str], list[str], list[str]] = ([], [], [])
    try:
        for rows in spread(len(split), most).split(CHUNK):
            batch = split.batch(rows)
            made = model.sample(
                len(rows), condition={prompt: batch[prompt].to(device)}, options=greedy(options), generator=generator
            )[key]
            for side, ids in zip(sides, (batch[prompt], made.cpu(), batch[key]), strict=True):
                side += [tokenizer.decode(row.tolist()) for row in ids]
    finally:
        model.train(training)
    return Answered(tuple(sides[0]), tuple(sides[1]), tuple(sides[2]))


def answer_results(found: Answered, notes: list[str], *, seed: int = 0) -> list[Result]:
    """BLEU, chrF and ROUGE of the answers; what the prompts would score stands in the protocol as "copied"."""
    references = [[r] for r in found.references]
    try:
        own = of_pairs(found.texts, references, seed=seed)
        copied = {r.key: r.value for r in of_pairs(found.prompts, references, seed=seed)}
    except GenloomError as error:
        notes.append(f"answers are not scored: {error}")
        return []
    notes.append(_said(found))
    said = grounding(found.texts, found.prompts, found.references)
    if said.protocol["floor"] >= SAME:  # answers that repeat nothing of their prompts are of another kind, or language
        own.append(said)
        copied[said.key] = 1.0
    return [replace(r, protocol={**r.protocol, "copied": round(copied[r.key], 4)}) for r in own]


def _said(found: Answered) -> str:
    """A line with how many answers are empty or the same as others."""
    empty, distinct = sum(not t.strip() for t in found.texts), len(set(found.texts))
    return f"{len(found.texts):,} held-out prompts answered: {distinct:,} different answers, {empty:,} empty"


def shown(found: Answered, n: int = 3) -> Sequence[str]:
    """The first n, for a person: prompt, answer, what stands in the data."""
    return [
        f"{p}\n  -> {t}\n  == {r}"
        for p, t, r in list(zip(found.prompts, found.texts, found.references, strict=True))[:n]
    ]
