"""Which items a step draws: a function of (seed, phase, step), so that a resumed run goes on with the same items."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genloom.core import derive_seed

LARGE = 1 << 20
"""Items from which an epoch's order is not written down but computed where it is needed."""
_AHEAD = 8192  # indices computed at once
_ROUNDS = 4


class Order:
    """Deals out the indices of one phase's batches.

    Distinct items are dealt in shuffled epochs. Windows into one long text overlap, so there every step draws its
    own offsets. keep_last: an epoch's last batch may be smaller; otherwise it is filled from the next epoch.
    Memory does not grow with the items: from a million on, an epoch's order is a function.
    """

    def __init__(self, length: int, items: int, batch: int, seed: int, phase: str, keep_last: bool) -> None:
        self.length, self.batch, self.seed, self.phase, self.keep_last = length, batch, seed, phase, keep_last
        self.windows = length > items
        self._epoch, self._from, self._permutation = -1, 0, torch.empty(0, dtype=torch.long)

    def _dealt(self, epoch: int, start: int, count: int) -> Tensor:
        """Up to `count` indices of an epoch's order, from `start` on."""
        if self.length <= LARGE:
            return self._shuffled(epoch)[start : start + count]
        stop = min(start + count, self.length)
        if self._epoch != epoch or not self._from <= start <= stop <= self._from + len(self._permutation):
            places = np.arange(start, min(start + max(count, _AHEAD), self.length))
            seed = derive_seed(self.seed, "order", self.phase, epoch)
            self._epoch, self._from = epoch, start
            self._permutation = torch.from_numpy(permuted(places, self.length, seed))
        return self._permutation[start - self._from : stop - self._from]

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
            return self._dealt(epoch, place * self.batch, self.batch)
        epoch, place = divmod(play * self.batch, self.length)
        dealt, missing = [], self.batch
        while missing:
            dealt.append(self._dealt(epoch, place, missing))
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


def permuted(places: np.ndarray, length: int, seed: int) -> np.ndarray:
    """Where a permutation of range(length), one of each seed, sends these places; int64.

    A Feistel network over the next even number of bits; what falls outside is sent on until it falls inside (Black and
    Rogaway 2002, "Ciphers with arbitrary finite domains").
    """
    half = ((length - 1).bit_length() + 1) // 2
    keys = [np.uint64(derive_seed(seed, i)) for i in range(_ROUNDS)]
    found = _scrambled(places.astype(np.uint64), half, keys)
    while (outside := found >= length).any():
        found[outside] = _scrambled(found[outside], half, keys)
    return found.astype(np.int64)


def _scrambled(x: np.ndarray, half: int, keys: list[np.uint64]) -> np.ndarray:
    """A permutation of the numbers of 2 * half bits. The rounds mix as MurmurHash3's finish does."""
    bits, mask = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = x >> bits, x & mask
    for key in keys:
        mixed = (right ^ key) * np.uint64(0xFF51AFD7ED558CCD)
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        left, right = right, left ^ ((mixed >> np.uint64(33)) & mask)
    return left << bits | right
