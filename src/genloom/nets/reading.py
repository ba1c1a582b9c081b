"""Networks that read on: recurrent ones, which carry a state, and transformers.

A transformer sees windows of its context over texts of any length, with a cache of keys and values. All that fits is
read; when the window of start symbol and L - 1 tokens is full, it jumps ahead by L // 2 and is read anew. So a text of
any length depends only on its tokens, not on which of them were a prompt, and each position is seen as in training.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import Reading
from genloom.nets.recurrent import State, rows_of


class Memory(Protocol):
    """What a network keeps of the positions it has seen; see `genloom.nets.transformer.Cache`."""

    @property
    def vectors(self) -> Tensor | None: ...

    def select(self, rows_N: Tensor) -> None: ...

    def forget(self, count: int, last_B1: Tensor) -> None: ...


class Network(Protocol):
    """A causal transformer: token ids (B, L) -> logits (B, L, V), continuing what its own kind of cache holds."""

    def cache(self, batch: int) -> Any: ...

    def __call__(self, ids_BL: Tensor, cache: Any) -> Tensor: ...


class Stateful(Protocol):
    """A recurrent network: token ids (B, L) -> logits (B, L, V) in fp32, and the state after the last."""

    def __call__(self, ids_BL: Tensor, state: State | None) -> tuple[Tensor, State]: ...


def visible(t: int, context: int) -> int:
    """The first token that is looked at when token t (counted from 0) is predicted."""
    hop = context // 2
    return max(0, -(-(t - context + 1) // hop) * hop)


class WindowReading(Reading):
    """Texts of one length. start: the symbol that stands before each window; told_BD: what is known of each text."""

    def __init__(
        self, network: Network, start: int, context: int, prompt_BL: Tensor, told_BD: Tensor | None = None
    ) -> None:
        self.network, self.start, self.context, self.told_BD = network, start, context, told_BD
        self.read_BL = [prompt_BL]  # what was read, in the pieces it came in
        self.length = prompt_BL.shape[1]
        self.cache: Memory | None = None
        self.first = -1
        self.said_BV = self._anew()

    def _anew(self) -> Tensor:
        """Reads the window from its start; the logits of what follows, (B, V)."""
        self.first = visible(self.length, self.context)
        window_BL = F.pad(self._ids()[:, self.first : self.length], (1, 0), value=self.start)
        self.cache = self.network.cache(len(window_BL))
        return self._forward(window_BL)[:, -1]

    def _ids(self) -> Tensor:
        """All that was read, (B, N)."""
        if len(self.read_BL) > 1:
            self.read_BL = [torch.cat(self.read_BL, 1)]
        return self.read_BL[0]

    def _forward(self, ids_BL: Tensor) -> Tensor:
        if self.told_BD is not None:
            told: Any = self.network
            return told(ids_BL, self.cache, self.told_BD)
        return self.network(ids_BL, self.cache)

    @property
    def vectors(self) -> Tensor | None:
        return None if self.cache is None else self.cache.vectors

    def read(self, ids_BL: Tensor) -> Tensor:
        begun = self.length
        stop = begun + ids_BL.shape[1]
        self.read_BL.append(ids_BL)
        said = []
        while self.length < stop:
            # As many tokens at a time as are read in the present window.
            end = self.length
            while end < stop and self.cache is not None and visible(end + 1, self.context) == self.first:
                end += 1
            if end == self.length:
                self.length += 1
                said.append(self._anew()[:, None])
            else:
                said.append(self._forward(ids_BL[:, self.length - begun : end - begun]))
                self.length = end
        return said[0] if len(said) == 1 else torch.cat(said, 1)

    def select(self, rows_N: Tensor) -> None:
        self.read_BL = [self._ids()[rows_N]]
        self.told_BD = None if self.told_BD is None else self.told_BD[rows_N]
        if self.cache is not None:
            self.cache.select(rows_N)

    def forget(self, count: int) -> None:
        self.length -= count
        ids_BN = self._ids()[:, : self.length]
        self.read_BL = [ids_BN]
        if self.cache is None or visible(self.length, self.context) != self.first:
            self.cache = None  # another window: read anew with the next token
            return
        begun = self.length > self.first
        self.cache.forget(count, ids_BN[:, -1:] if begun else ids_BN.new_full((len(ids_BN), 1), self.start))


class StateReading(Reading):
    """Texts whose state is all that is kept of them, and what was read last, to be taken back. state: before the first
    token; None is an empty one."""

    def __init__(self, network: Stateful, state: State | None = None) -> None:
        self.network = network
        self.state = state
        self.past: list[tuple[State | None, Tensor]] = []  # the state before, and what was read from it

    def read(self, ids_BL: Tensor) -> Tensor:
        self.past.append((self.state, ids_BL))
        while sum(ids.shape[1] for _, ids in self.past[1:]) >= self.reach:
            del self.past[0]
        logits_BLV, self.state = self.network(ids_BL, self.state)
        return logits_BLV

    def select(self, rows_N: Tensor) -> None:
        assert self.state is not None
        self.state = rows_of(self.state, rows_N)
        self.past = []

    def forget(self, count: int) -> None:
        while count:
            before, ids_BL = self.past.pop()
            keep = max(0, ids_BL.shape[1] - count)
            count -= ids_BL.shape[1] - keep
            self.state = before
            if keep:
                self.read(ids_BL[:, :keep])
