"""Molecules that a model draws, measured; and, where it is told a property, whether it heeds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from genloom.core import CanSample, DataSpec, Field, Model, Sampling
from genloom.metrics.base import Result, spread
from genloom.metrics.molecules import MEASURED, molecule_figures, target_results
from genloom.modalities.smiles import strings
from genloom.modalities.table import decode

TARGETS = 1_000
"""Molecules that are drawn for properties of held-out ones."""
_BLOCK = 1 << 14
_CHUNK = 256


class HasSmiles(Protocol):
    """A split of molecules."""

    def __len__(self) -> int: ...

    def smiles(self, index: Tensor) -> list[str]: ...


def lines(split: HasSmiles) -> Iterator[str]:
    """Every molecule of a split, as it stands there."""
    for start in range(0, len(split), _BLOCK):
        yield from split.smiles(torch.arange(start, min(start + _BLOCK, len(split))))


def of_molecules(rows: Tensor, field: Field, train: HasSmiles, held_out: HasSmiles, seed: int = 0) -> list[Result]:
    """The figures of items (n, L) beside held-out ones."""
    drawn = strings(rows.numpy(), field)
    theirs, known = (part.smiles(spread(len(part), MEASURED, seed)) for part in (held_out, train))
    return molecule_figures(drawn, theirs, known, lines(train), seed=seed)


@torch.no_grad()
def heeded(
    model: Model, spec: DataSpec, key: str, targets: Tensor, generator: torch.Generator, options: Sampling
) -> list[Result]:
    """Figures of molecules that are told the numbers `targets` (n, 1) of held-out ones; () where nothing is told."""
    told = next(((k, f) for k, f in spec.items() if f.role == "condition" and f.columns), None)
    if told is None or not isinstance(model, CanSample):
        return []
    name, field = told
    device = next(p.device for p in model.parameters())
    both = []
    for numbers in (targets, torch.full_like(targets, float("nan"))):
        parts = [
            model.sample(len(part), condition={name: part.to(device)}, options=options, generator=generator)[key].cpu()
            for part in numbers.split(_CHUNK)
        ]
        both.append(strings(torch.cat(parts).numpy(), spec[key]))
    return target_results(name, both[0], both[1], decode(targets, field.columns)[:, 0])
