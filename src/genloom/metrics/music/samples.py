"""Pieces that a model drew beside held-out ones: the first window of each, so that like is compared with like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from torch import Tensor

from genloom.core import Field
from genloom.metrics.base import Result
from genloom.metrics.music.apart import FEWEST, compare
from genloom.metrics.music.pieces import Piece
from genloom.modalities.notes import grid_of, notes_of, to_grid

MOST = 100
"""Pieces of each side."""
_LINES = 8  # voices in which events are compared


class HasPieces(Protocol):
    """A split of music that can be taken apart."""

    def pieces(self) -> list[np.ndarray]: ...


def of_music(
    drawn: Tensor, field: Field, train: HasPieces, held_out: HasPieces, notes: list[str], seed: int = 0
) -> list[Result]:
    """Distances of descriptors between the pieces of `drawn` (n, L) and held-out ones, beside those of training pieces.

    Pieces without a note, or of less than a bar, are left out and counted in `notes`.
    """
    mine, theirs, known = (
        _grids(part, field) for part in (list(drawn.cpu().numpy()), held_out.pieces()[:MOST], train.pieces()[:MOST])
    )
    if short := len(drawn) - len(mine):
        notes.append(f"{short} of {len(drawn)} pieces that the model drew hold no note or less than a bar: left out")
    if min(len(mine), len(theirs)) < FEWEST:
        notes.append(f"{len(mine)} drawn and {len(theirs)} held-out pieces are too few to compare: {FEWEST} are needed")
        return []
    return compare(mine, theirs, known if len(known) >= FEWEST else None, seed=seed)


def _grids(pieces: Sequence[np.ndarray], field: Field) -> list[Piece]:
    """The first window of each piece as pitches (T, V)."""
    found = []
    for ids in pieces:
        ids = np.asarray(ids, np.int64)[: field.shape[0]]
        piece = grid_of(ids, field.grid[1]) if field.grid else to_grid(notes_of(ids, field), _LINES)
        if len(piece) >= 16 and (piece > 0).any():
            found.append(piece)
    return found
