"""How surprised a model is by held-out pieces, in nats a note, with the denominator said.

On a grid every voice's pitch or rest at every sixteenth counts as one: the denominator of TonicNet, Coconet and Music
Transformer on Bach's chorales. Of events it is the notes that are played. What parts pieces is in neither sum.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.core import CanStream, Field, HasLikelihood, Model
from genloom.errors import BadData
from genloom.metrics.base import Result
from genloom.modalities.notes import END, notes_of

CITATION = (
    "@inproceedings{boulanger2012modeling, title={Modeling Temporal Dependencies in High-Dimensional Sequences}, "
    "author={Boulanger-Lewandowski, Nicolas and Bengio, Yoshua and Vincent, Pascal}, booktitle={ICML}, year={2012}}"
)


@torch.no_grad()
def piece_nats(
    model: Model, pieces: Sequence[np.ndarray], key: str, field: Field, *, generator: torch.Generator, batch: int = 64
) -> Tensor:
    """-log p of each piece in nats (n,), float64, given that it begins; exact for models that read from left to right.

    Windows of the model's context overlap by half, so that a token is told all that came before, or half a window at
    least: log p(second half | first half) is the difference of two likelihoods.
    """
    if not isinstance(model, HasLikelihood) or not isinstance(model, CanStream):
        raise BadData(f"{type(model).__name__} does not read from left to right: pieces have no likelihood")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    context, hop = field.shape[0], max(1, field.shape[0] // 2 // field.cycle) * field.cycle
    wanted: dict[int, list[tuple[int, float, Tensor]]] = defaultdict(list)  # by length: (piece, sign, ids)
    for i, piece in enumerate(pieces):
        row = torch.from_numpy(np.concatenate([np.full(field.cycle, END), piece]).astype(np.int64))
        known, start = field.cycle, 0
        while known < len(row):
            stop = min(start + context, len(row))
            wanted[stop - start].append((i, 1.0, row[start:stop]))
            wanted[known - start].append((i, -1.0, row[start:known]))
            known, start = stop, stop - (context - hop)
    total = torch.zeros(len(pieces), dtype=torch.float64)
    training = model.training
    model.eval()
    try:
        for rows in wanted.values():
            for j in range(0, len(rows), batch):
                part = rows[j : j + batch]
                ids = torch.stack([ids for _, _, ids in part]).to(device)
                nats = model.nll({key: ids}, generator=generator).double().cpu()
                for (i, sign, _), value in zip(part, nats.tolist(), strict=True):
                    total[i] += sign * value
    finally:
        model.train(training)
    return total


def note_likelihood(
    model: Model, pieces: Sequence[np.ndarray], key: str, field: Field, *, generator: torch.Generator
) -> list[Result]:
    """Nats per note of held-out pieces: on a grid of every (voice, sixteenth), and of every note that is played."""
    nats = piece_nats(model, pieces, key, field, generator=generator).numpy()
    played = np.array([len(notes_of(p, field)) for p in pieces], np.float64)
    protocol: dict[str, Any] = {
        "kind": model.kind if isinstance(model, HasLikelihood) else "",
        "split": "test",
        "pieces": len(pieces),
        "context": field.shape[0],
        "stride": field.shape[0] // 2,
        "interval": "ratio of sums over pieces, delta method, 95%",
    }
    found = []
    if field.grid:
        cells = np.array([len(p) for p in pieces], np.float64)
        said = {"denominator": "every voice's pitch or rest at every sixteenth", "notes": int(cells.sum())}
        found.append(_ratio("nats_per_note", "nats per note (voice, sixteenth)", nats, cells, {**protocol, **said}))
    said = {"denominator": "notes that are played", "notes": int(played.sum())}
    found.append(_ratio("nats_per_played_note", "nats per played note", nats, played, {**protocol, **said}))
    return found


def _ratio(key: str, name: str, top: np.ndarray, bottom: np.ndarray, protocol: dict[str, Any]) -> Result:
    value = float(top.sum() / bottom.sum())
    half = math.nan
    if len(top) > 1:
        half = 1.96 * float((top - value * bottom).std(ddof=1)) / float(bottom.mean()) / math.sqrt(len(top))
    interval = None if math.isnan(half) else (value - half, value + half)
    return Result(key, name, value, interval, len(top), protocol, CITATION, "lower")
