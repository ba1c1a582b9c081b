"""A language model whose every answer can be checked by hand: the next token depends on the last one alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import CanContinue, Reading


class ChainReading(Reading):
    def __init__(self, model: Chain, ids_BL: Tensor) -> None:
        self.model, self.ids_BL = model, F.pad(ids_BL, (1, 0), value=model.vocabulary)
        self.seen = self.ids_BL

    @property
    def vectors(self) -> Tensor:
        return self.model.vectors[self.seen]

    def read(self, ids_BL: Tensor) -> Tensor:
        self.ids_BL = torch.cat((self.ids_BL, ids_BL), 1)
        self.seen = ids_BL
        return self.model.logits[ids_BL]

    def select(self, rows_N: Tensor) -> None:
        self.ids_BL = self.ids_BL[rows_N]

    def forget(self, count: int) -> None:
        assert 0 <= count < min(self.reach, self.ids_BL.shape[1])
        self.ids_BL = self.ids_BL[:, : self.ids_BL.shape[1] - count]


class Chain(CanContinue):
    """logits (V + 1, V): of what follows each token, and at last of what begins a text."""

    item, context = "text", None

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.vocabulary = logits, logits.shape[1]
        self.vectors = torch.randn(len(logits), 5, generator=torch.Generator().manual_seed(9))

    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        reading = ChainReading(self, prompt_BL)
        return reading, self.logits[reading.ids_BL[:, -1]]


def chain(vocabulary: int = 4, seed: int = 0, spread: float = 1.5) -> Chain:
    return Chain(spread * torch.randn(vocabulary + 1, vocabulary, generator=torch.Generator().manual_seed(seed)))
