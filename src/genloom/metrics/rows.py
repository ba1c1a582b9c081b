"""Rows that a model drew, measured as tables are: beside held-out rows, and training rows for the floor."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadData
from genloom.metrics.base import Result, SplitLike, spread
from genloom.metrics.tables import table_figures
from genloom.modalities.table import decode

MOST = 20_000
"""Training and held-out rows that stand for all."""


def of_rows(rows: Tensor, field: Field, train: SplitLike, held_out: SplitLike, seed: int = 0) -> list[Result]:
    """The figures of rows (n, D) as a model makes them. Raises BadData where a row holds NaN or infinity."""
    finite = torch.isfinite(rows).all(1)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        raise BadData(f"{bad} of {len(rows)} rows hold NaN or infinity: leave them out or mend the model")
    samples, known, unseen = decode(rows, field.columns), _cells(train, field), _cells(held_out, field)
    return table_figures(samples, known, unseen, field.columns, seed=seed)


def _cells(split: SplitLike, field: Field) -> np.ndarray:
    batch = split.batch(spread(len(split), MOST))
    return decode(next(t for t in batch.values() if t.shape[1:] == field.shape), field.columns)
