"""Answers of a model to held-out prompts, beside the answers that stand there: BLEU, chrF and ROUGE; of short answers
exact match and abstention; of those in their prompts' words how much of them stands there.

Answers are the likeliest ones, token by token, unless another temperature than 1 is asked for. Beside the model's
figures the prompts themselves are scored as answers ("copied"): of summaries and of near languages that is not nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from genloom.core import CanSample, DataSpec, Model, Sampling
from genloom.data.options import DataOptions
from genloom.errors import BadData, GenloomError
from genloom.metrics.base import Result, SplitLike, spread
from genloom.metrics.grounding import flagged, grounding
from genloom.metrics.likelihood import Decodes
from genloom.metrics.questions import abstains, are_short, question_results
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


def answer_results(
    found: Answered, notes: list[str], *, seed: int = 0, abstain: str = DataOptions.abstain
) -> list[Result]:
    """BLEU, chrF and ROUGE of the answers; what the prompts would score stands in the protocol as "copied". Of short
    answers also exact match and abstention; of answers in their prompts' words also grounding, abstentions left out.
    """
    references = [[r] for r in found.references]
    try:
        own = of_pairs(found.texts, references, seed=seed)
        copied = {r.key: r.value for r in of_pairs(found.prompts, references, seed=seed)}
    except GenloomError as error:
        notes.append(f"answers are not scored: {error}")
        return []
    notes.append(_said(found))
    own = [replace(r, protocol={**r.protocol, "copied": round(copied[r.key], 4)}) for r in own]
    if are_short(found.references, abstain):
        own = question_results(found.texts, found.references, abstain, notes, seed=seed) + own
    return own + grounding_results(found, notes, abstain)


def grounding_results(found: Answered, notes: list[str], abstain: str = DataOptions.abstain) -> list[Result]:
    """How much of the answers stands in their prompts, with a note that shows those that say most beyond them; nothing
    where people's answers repeat nothing of their prompts: those are of another kind, or language."""
    told: list[str] = []
    result = _grounded(found.texts, found.prompts, found.references, told, abstain)
    if result is None or (result.floor or 0.0) < SAME:
        return []
    notes += told[:3]
    return [replace(result, protocol={**result.protocol, "copied": 1.0})]


def line_results(
    texts: Sequence[str],
    references: Sequence[Sequence[str]] | None,
    sources: Sequence[str] | None,
    notes: list[str],
    *,
    seed: int = 0,
    abstain: str = DataOptions.abstain,
) -> list[Result]:
    """Figures of texts that somebody wrote beside references, sources or both: likeness to the references, of short
    ones exact match and abstention, and how much stands in the sources, with notes on what does not. Raises BadValue,
    BadData."""
    own: list[Result] = []
    first = [one[0] for one in references or ()]
    if references is not None:
        own = of_pairs(texts, references, seed=seed)
        if max(map(len, references)) == 1 and are_short(first, abstain):
            own = question_results(texts, first, abstain, notes, seed=seed) + own
    if sources is not None:
        result = _grounded(texts, sources, first, notes, abstain)
        own += [] if result is None else [result]
    return own


def _grounded(
    texts: Sequence[str], prompts: Sequence[str], references: Sequence[str], notes: list[str], abstain: str
) -> Result | None:
    """The grounding of those texts that are no abstentions, beside that of people's; None where all are."""
    told = [(p, t) for p, t in zip(prompts, texts, strict=True) if not abstains(t, abstain)]
    if not told:
        return None
    result = grounding([t for _, t in told], [p for p, _ in told])
    known = [(p, r) for p, r in zip(prompts, references, strict=False) if not abstains(r, abstain)]
    if known:
        floor = grounding([r for _, r in known], [p for p, _ in known]).value
        result = replace(result, protocol={**result.protocol, "floor": round(floor, 4)})
    notes += flagged(["" if abstains(t, abstain) else t for t in texts], prompts)
    return result


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
