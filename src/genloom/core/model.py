"""The contract of every generative model: a game of players who take turns in phases.

A model is one final class in one file. It declares players and phases and returns losses; one engine plays them.
What it can do afterwards it declares by the capability types of `genloom.core.capabilities`.
`genloom.testing.check_model` executes this contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from genloom.core.play import Loss, Phase, Player, Step
from genloom.core.spec import Batch, DataSpec


class Model(nn.Module, ABC):
    """Abstract; every concrete model is final (no model derives from another).

    spec: the fields of the data it was built for.
    Config: a frozen dataclass with a docstring that names every field; its defaults train on small images or texts.
    citation: BibTeX of the paper the model follows.
    uses: finished models it stands on, by role ("autoencoder", "teacher"); they arrive frozen in `given`.
    monitor: what "best" means: "validation" (the first phase's loss on held-out items; their negative log-likelihood
    where there are no phases) or "sliced-wasserstein" (between samples and held-out items); lower is better for both.
    """

    spec: DataSpec
    Config: ClassVar[type]
    citation: ClassVar[str]
    uses: ClassVar[Mapping[str, type]] = {}
    monitor: ClassVar[str] = "validation"

    @abstractmethod
    def __init__(self, config: Any, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        """Builds the networks for the fields of `spec`. No files, no network, no data. Raises BadData where the
        fields do not fit. Implementations begin with `nn.Module.__init__(self)` and set `self.config, self.spec`."""

    @abstractmethod
    def players(self) -> tuple[Player, ...]:
        """Who learns: parameter patterns and optimizers. Every parameter belongs to at most one player."""

    @abstractmethod
    def phases(self) -> tuple[Phase, ...]:
        """The turns of one step, in order; () for models that only count and do all their work in `finish`."""

    def condense(self, batch: Batch) -> Batch:
        """What training needs of items that is the same however often they are drawn, and costly: a partner's codes.
        Where nothing augments the items and the result fits into memory, the engine asks once for all training items,
        without gradient and in evaluation mode; `prepare` and `loss` then see this, elsewhere the batch as it is.
        Default: the batch itself."""
        return batch

    def prepare(self, batch: Batch, step: Step) -> Batch:
        """What the phase's loss will see, made without gradient: augmentation, rollouts. Default: the batch itself."""
        return batch

    @abstractmethod
    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The loss of one turn: a mean over the batch. Changes nothing, draws only from `step`."""

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        """State that is not learnt by gradients, after the optimizer's step: clip weights, move codebooks."""
        return None

    def make_room(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Gives buffers the shapes they had when they were stored, before that is put into them: for tables whose size
        is counted in `finish`. Default: every model of a configuration has the same shapes, nothing to do."""
        return None

    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Once, with the averaged weights, at the end of a run: fit a prior to the codes, count, take statistics."""
        return None
