"""Molecules written in another order of their atoms: SMILES enumeration (Bjerrum 2017, arXiv:1703.07076)."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import Field, Step
from genloom.modalities import chemistry, smiles


def rewritten(ids_BL: Tensor, field: Field, step: Step) -> Tensor:
    """Every molecule as another of its strings; one that would be too long, or need an unknown token, stays."""
    seeds = step.randint(2**31 - 1, len(ids_BL)).tolist()
    numbers = {t: i for i, t in enumerate(field.classes) if i}
    out = ids_BL.clone()
    for row, seed in enumerate(seeds):
        found = smiles.split(chemistry.randomised(smiles.decode(ids_BL[row].tolist(), field.classes), seed))
        ids = None if found is None else smiles.encode(found, numbers, ids_BL.shape[1])
        if ids is not None:
            out[row] = torch.tensor(ids, device=ids_BL.device)
    return out
