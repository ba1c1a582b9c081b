"""Which items a step draws: a function of (seed, phase, step), so that a resumed run goes on with the same items."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import derive_seed


class Order:
    """Deals out the indices of one phase's batches.

    Distinct items are dealt in shuffled epochs. Windows into one long text overlap, so there every step draws its
    own offsets. keep_last: an epoch's last batch may be smaller; otherwise it is filled from the next epoch.
    """

    def __init__(self, length: int, items: int, batch: int, seed: int, phase: str, keep_last: bool) -> None:
        self.length, self.batch, self.seed, self.phase, self.keep_last = length, batch, seed, phase, keep_last
        self.windows = length > items
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.long)

    def _shuffled(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.phase, epoch))
            self._epoch, self._permutation = epoch, torch.randperm(self.length, generator=generator)
        return self._permutation

    def indices(self, play: int) -> Tensor:
        """The global batch (B,) of this phase's `play`-th draw, counted from 0."""
        if self.windows:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.phase, play))
            return torch.randint(self.length, (self.batch,), generator=generator)
        if self.keep_last:
            per_epoch = -(-self.length // self.batch)
            epoch, place = divmod(play, per_epoch)
            return self._shuffled(epoch)[place * self.batch : (place + 1) * self.batch]
        epoch, place = divmod(play * self.batch, self.length)
        dealt, missing = [], self.batch
        while missing:
            dealt.append(self._shuffled(epoch)[place : place + missing])
            missing -= len(dealt[-1])
            epoch, place = epoch + 1, 0
        return dealt[0] if len(dealt) == 1 else torch.cat(dealt)

    def items_before(self, play: int) -> int:
        """Items dealt in the draws before this one."""
        if not self.keep_last or self.windows:
            return play * self.batch
        per_epoch = -(-self.length // self.batch)
        epoch, place = divmod(play, per_epoch)
        return epoch * self.length + min(place * self.batch, self.length)
