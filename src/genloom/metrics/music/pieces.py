"""A piece as an array of MIDI pitches, and collections of them in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genloom.errors import BadData, NotFound

Piece = NDArray[np.int16]
REST = -1


def as_piece(rows: Any, where: str = "a piece") -> Piece:
    """Pitches (T, V) by step and voice, int16; a rest is -1 (0 and NaN are read as rests, too).

    rows: an array, or a list of steps, each a list of pitches; a step with fewer voices than others rests in its last
    ones. Raises BadData for what is no piece.
    """
    if isinstance(rows, Sequence) and not isinstance(rows, str):
        steps = [list(step) if isinstance(step, Sequence | np.ndarray) else [step] for step in rows]
        voices = max(map(len, steps), default=0)
        rows = [step + [REST] * (voices - len(step)) for step in steps]
    try:
        array = np.asarray(rows, np.float64)
    except (TypeError, ValueError):
        raise BadData(f"{where}: expected steps of MIDI pitches, numbers from 1 to 127 and -1 for a rest") from None
    if array.ndim != 2 or not array.size:
        raise BadData(f"{where}: expected (steps, voices), got {array.shape}: give a list of steps of pitches")
    array = np.where(np.isnan(array) | (array <= 0), REST, array)
    if array.max() > 127 or (array != np.round(array)).any():
        raise BadData(f"{where}: expected MIDI pitches, whole numbers up to 127, got {array.max():g}")
    if (array < 0).all():
        raise BadData(f"{where} holds rests alone: give pieces with notes")
    return array.astype(np.int16)


def read_pieces(path: str | Path, part: str | None = None) -> list[Piece]:
    """The pieces of a .json file: a list of pieces, or {"train": [...], ...} of which `part` is taken (None: all).

    Raises NotFound, BadData.
    """
    file = Path(path)
    if not file.is_file():
        raise NotFound(f"there is no {file}: give a .json file of pieces")
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise BadData(f"{file} is no JSON: give a list of pieces, each a list of steps of pitches") from None
    if isinstance(held, dict):
        if part is not None and part not in held:
            raise BadData(f"{file} holds {', '.join(held)}, not {part!r}: name one of them")
        held = [piece for key, one in held.items() if part in (None, key) for piece in one]
    if not isinstance(held, list) or not held:
        raise BadData(f"{file}: expected a list of pieces, got {type(held).__name__}")
    return [as_piece(one, f"{file}, piece {i}") for i, one in enumerate(held, 1)]
