"""Items of token ids, whatever they stand for: which tokens count, where an item ends, what stands before a piece."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core.spec import Field


def counted(ids_BL: Tensor, field: Field) -> Tensor:
    """Which tokens are the item's own (B, L): all of a window's; of a whole item's those up to its end and that."""
    if not field.whole:
        return torch.ones_like(ids_BL, dtype=torch.bool)
    over = (ids_BL == field.end).cumsum(1)
    return (over == 0) | ((over == 1) & (ids_BL == field.end))


def shortened(ids_BL: Tensor, field: Field) -> tuple[Tensor, Tensor]:
    """The same ids up to the end of the longest whole item, in steps of 8, since the rest need not be looked at; and
    which of them count. Windows stay as they are."""
    own_BL = counted(ids_BL, field)
    if not field.whole:
        return ids_BL, own_BL
    longest = -(-int(own_BL.sum(1).max()) // 8) * 8 if len(ids_BL) else 0
    return ids_BL[:, :longest], own_BL[:, :longest]


def opening(field: Field, n: int) -> Tensor:
    """What stands before the first token of a piece (n, P): the symbols that part it from the one before, a beat of
    them on a grid; nothing before whole items, and where pieces are not told apart."""
    length = field.cycle if field.modality == "music" and not field.whole else 0
    return torch.full((n, length), field.end, dtype=torch.int64)
