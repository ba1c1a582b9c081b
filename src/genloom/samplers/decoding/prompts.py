"""Prompts of any lengths, read by models that read texts of one length at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from genloom.core import CanContinue, Reading, Sampling
from genloom.errors import BadValue


class Together(Reading):
    """Texts of several lengths: those of one length are read by one reading, the others by others. Nothing is padded,
    so a text's logits are those it has alone."""

    def __init__(self, parts: Sequence[tuple[Tensor, Reading]]) -> None:
        self.parts = list(parts)  # the rows of each part, and who reads them

    def _gathered(self, values: Sequence[Tensor]) -> Tensor:
        rows = torch.cat([rows for rows, _ in self.parts])
        return torch.cat(list(values))[rows.argsort()]

    def read(self, ids_BL: Tensor) -> Tensor:
        return self._gathered([part.read(ids_BL[rows]) for rows, part in self.parts])

    def select(self, rows_N: Tensor) -> None:
        kept = []
        for rows, part in self.parts:
            at = torch.full((int(max(rows.max(), rows_N.max())) + 1,), -1, device=rows.device)
            at[rows] = torch.arange(len(rows), device=rows.device)
            inside = at[rows_N]
            new = (inside >= 0).nonzero()[:, 0]
            if len(new):
                part.select(inside[new])
                kept.append((new, part))
        self.parts = kept

    def forget(self, count: int) -> None:
        for _, part in self.parts:
            part.forget(count)


def begin(model: CanContinue, prompts: Sequence[Tensor]) -> tuple[Reading, Tensor]:
    """Reads prompts (L_i,); the logits of what follows them, (B, V). The same prompt many times is read once."""
    first = prompts[0]
    if model.alike and all(p is first or torch.equal(p, first) for p in prompts[1:]):
        reading, logits_BV = model.begin(first[None])
        if len(prompts) > 1:
            copies = torch.zeros(len(prompts), dtype=torch.int64, device=logits_BV.device)
            reading.select(copies)
            logits_BV = logits_BV[copies]
        return reading, logits_BV
    lengths: dict[int, list[int]] = {}
    for i, prompt in enumerate(prompts):
        lengths.setdefault(len(prompt), []).append(i)
    parts, seen = [], []
    for rows in lengths.values():
        reading, logits_BV = model.begin(torch.stack([prompts[i] for i in rows]))
        parts.append((torch.tensor(rows, device=logits_BV.device), reading))
        seen.append(logits_BV)
    if len(parts) == 1:
        return parts[0][1], seen[0]
    together = Together(parts)
    return together, together._gathered(seen)


def check_prompts(model: CanContinue, prompts: Sequence[Tensor], length: int, options: Sampling) -> None:
    """Raises BadValue for ids outside the vocabulary, and for texts that outgrow the context where that is refused."""
    for ids in prompts:
        if ids.ndim != 1:
            raise BadValue(f"expected prompts of shape (tokens,), got {tuple(ids.shape)}: give one for each text")
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < model.vocabulary:
            raise BadValue(
                f"expected prompt ids from 0 to {model.vocabulary - 1}, got {int(ids.min())} to {int(ids.max())}: "
                "encode the prompt with the run's own tokenizer"
            )
        if options.decoding.overflow == "refuse" and model.context is not None and len(ids) + length > model.context:
            raise BadValue(
                f"a prompt of {len(ids)} tokens and {length} new ones exceed the model's context of {model.context}: "
                "shorten them, or let the oldest be forgotten with --overflow slide"
            )
