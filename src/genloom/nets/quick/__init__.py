"""A transformer's forward pass on a CPU, for decoding: the same function without what a framework does around each
operation.

folded.py    all that can be worked out before the first token, as arrays
kernel.py    the pass as one compiled loop, where numba is installed (`genloom[fast]`)
plain.py     the pass in NumPy, where it is not
shared.py    products of many rows, by PyTorch

Memory for keys and values is taken once. `weights="int8"` keeps the blocks' matrices as bytes, and, compiled, keys and
values as whole numbers of 16 bits.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from genloom.nets.portable import PortableTransformer
from genloom.nets.quick.folded import Array, Known, Weights, folded
from genloom.nets.quick.plain import Plain, inverse
from genloom.nets.transformer import Transformer

__all__ = ["Quick", "QuickCache", "Weights", "quick", "serves"]

COMPILES = find_spec("numba") is not None


class QuickCache:
    """What is known of the positions already seen, at most `context` of them. `last`: their last ids (B,)."""

    def __init__(self, net: Quick, batch: int) -> None:
        self.net = net
        self.known = net.memory(batch)
        self.last = np.zeros(batch, np.int64)
        self.length = 0
        self.hidden: Array = np.zeros((batch, 0, net.width), np.float32)

    @property
    def vectors(self) -> Tensor:
        """Of the positions seen last, normalised, (B, L, width)."""
        return torch.from_numpy(self.hidden * self.net.begun.gain + self.net.begun.shift)

    def select(self, rows_N: Tensor) -> None:
        """Keeps these rows, in this order, perhaps some of them several times."""
        rows, old = rows_N.numpy(), self.known
        self.known = self.net.memory(len(rows))
        for new, was in zip(self.known, old, strict=True):
            new[:, :, :, : self.length] = was[:, rows, :, : self.length]
        self.last = self.last[rows]

    def forget(self, count: int, last_B1: Tensor) -> None:
        """Takes back the last `count` positions; `last_B1` are the ids of the one before them."""
        self.length -= count
        self.last = last_B1[:, 0].numpy()


class Quick:
    """Token ids (B, L) -> logits (B, L, V) with a cache, as the network itself answers. compiled: by the kernel, or in
    NumPy; None: by the kernel where it can be."""

    def __init__(
        self, net: Transformer | PortableTransformer, weights: Weights = "fp32", compiled: bool | None = None
    ) -> None:
        s = net.shape
        self.context, self.width, self.head, self.vocabulary = s.context, s.width, s.width // s.heads, s.vocabulary
        self.outputs = s.outputs
        self.begun, self.net = folded(net, weights)
        self.key_heads = (self.net.qkv.weight_NOI.shape[1] // self.head - s.heads) // 2
        self.plain = None
        if COMPILES if compiled is None else compiled:
            from genloom.nets.quick.kernel import advance  # numba takes a third of a second to load

            self.compiled = advance
        else:
            self.plain = Plain(self.net)
        self.halved = weights == "int8" and self.plain is None  # keys and values of 16 bits

    def cache(self, batch: int) -> QuickCache:
        """Empty memory for `batch` sequences."""
        return QuickCache(self, batch)

    def memory(self, batch: int) -> Known:
        """Room for keys and values."""
        size = (len(self.net.mix_N2), batch, self.key_heads, self.context)
        units = (*size[:3], self.context if self.halved else 0)
        kind = np.int16 if self.halved else np.float32
        keys, values = (np.zeros((*size, self.head), kind) for _ in range(2))
        return Known(keys, values, np.zeros(units, np.float32), np.zeros(units, np.float32))

    def __call__(self, ids_BL: Tensor, cache: QuickCache) -> Tensor:
        """The logits of what follows each of `ids_BL`, which continue what the cache holds and are added to it."""
        ids, start = ids_BL.numpy(), cache.length
        batch, length = ids.shape
        flat = ids.reshape(-1)
        x = self._embedded(ids, flat, cache)
        if self.plain is None:
            logits = np.empty((len(x), self.outputs), np.float32)
            self.compiled(self.net, x, flat, start, cache.known, logits)
        else:
            with np.errstate(over="ignore"):  # exp(-x) of a gate that is shut
                logits = self.plain.advance(x, flat, start, cache.known)
        cache.length, cache.last, cache.hidden = start + length, ids[:, -1], x.reshape(batch, length, -1)
        return torch.from_numpy(logits.reshape(batch, length, -1))

    def _embedded(self, ids: Any, flat: Any, cache: QuickCache) -> Array:
        """What the stream begins with, (B L, D)."""
        begun, (batch, length), start = self.begun, ids.shape, cache.length
        x = begun.table_VD.take(flat, 0)
        if begun.early_CD is not None:
            x += np.tile(begun.early_CD[start : start + length], (batch, 1))
        if begun.pairs is not None:
            before = np.concatenate((cache.last[:, None] if start else ids[:, :1], ids[:, :-1]), 1).reshape(-1)
            x += begun.pairs[self._pair(before, flat, len(begun.pairs))]
        if begun.normed:
            x *= inverse(x, self.net.eps)
        if begun.places_CD is not None:
            x += begun.places_CD[start] if length == 1 else np.tile(begun.places_CD[start : start + length], (batch, 1))
        return x

    def _pair(self, before: Any, ids: Any, rows: int) -> Any:
        """As `Transformer._pair`."""
        pair = before * self.vocabulary + ids
        if self.vocabulary**2 <= rows:
            return pair
        mixed = (pair * 2_654_435_761) & 0xFFFFFFFF
        return (mixed ^ (mixed >> 15)) % rows


_known: WeakKeyDictionary[nn.Module, dict[str, tuple[Any, Quick]]] = WeakKeyDictionary()


def quick(net: Transformer | PortableTransformer, weights: Weights = "fp32") -> Quick:
    """The network as it is now; made anew only where its weights have changed."""
    made = _known.setdefault(net, {})
    state = tuple((p.data_ptr(), p._version) for p in net.parameters())
    if weights not in made or made[weights][0] != state:
        made[weights] = (state, Quick(net, weights))
    return made[weights][1]


def serves(net: nn.Module) -> bool:
    """Whether `quick` stands in for this network: in fp32 on a CPU, not while it is being trained."""
    weight = next(net.parameters())
    return not net.training and weight.device.type == "cpu" and weight.dtype == torch.float32
