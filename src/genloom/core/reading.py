"""Reading on and on: the one protocol between models that know what may come next and all ways of choosing from it.

    reading, logits_BV = model.begin(prompt_BL)
    logits_BLV = reading.read(ids_BL)          more tokens, one or several of each text

Greedy, beam, contrastive, speculative and constrained decoding are written once against these five methods, in
`genloom.samplers.decoding`. A transformer answers with a cache of keys and values, a recurrent network with its state,
an n-gram with the last words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor


class Reading(ABC):
    """Texts being read, one a row, and what a model remembers of them.

    reach: how many of the tokens read last can be forgotten again at least.
    """

    reach: ClassVar[int] = 64

    @property
    def vectors(self) -> Tensor | None:
        """Of the tokens read last, (B, L, D), where the model has such: contrastive search compares them."""
        return None

    @abstractmethod
    def read(self, ids_BL: Tensor) -> Tensor:
        """Reads L more tokens of each text; the logits in fp32 of what follows each of them, (B, L, V)."""

    @abstractmethod
    def select(self, rows_N: Tensor) -> None:
        """Goes on with these rows, in this order; a row may be taken several times, or left out."""

    @abstractmethod
    def forget(self, count: int) -> None:
        """Takes back the last `count` tokens of every text, at most `reach` of them, and none of before `select`."""


class CanContinue(ABC):
    """Says what may come next. item: the name of the field of token ids; vocabulary: how many there are; context: the
    most tokens that are looked at, None where there is no bound, or where what lies far back fades by itself; alike:
    whether the same prompt has the same continuations in every row, as it has where rows are told nothing else."""

    alike: bool = True
    item: str
    vocabulary: int
    context: int | None

    @abstractmethod
    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        """Reads prompts of one length, none included (B, 0); the logits of what follows them, (B, V)."""


class CanLighten(ABC):
    """Decodes with smaller weights where asked: less memory to read for each token, and slightly other numbers."""

    @abstractmethod
    def lightened(self) -> CanContinue:
        """The same model, its large matrices of one byte a weight. Raises BadValue where that cannot be."""
