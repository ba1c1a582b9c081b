"""A causal transformer over token ids, written out (Vaswani et al. 2017, arXiv:1706.03762), with the changes that small
models gain most from, each a switch of `Shape`:

rotary positions (Su et al. 2021, arXiv:2104.09864); normalised queries and keys (Henry et al. 2020, arXiv:2010.04245);
squared ReLU (So et al. 2021, arXiv:2109.08668); value embeddings (Zhou et al. 2024, arXiv:2410.17897; here a table
per layer); a table of embeddings for pairs of tokens; logits softly capped (Gemma 2, arXiv:2408.00118).

Dimensions: B batch, L new positions, T positions seen so far and new, H heads, K width of a head, N = B * H.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.attention import Remember, attention, causal_mask
from genloom.nets.dropout import Dropout
from genloom.nets.positions import rotary, rotate


@dataclass(frozen=True)
class Shape:
    """vocabulary: ids a position may hold; outputs: ids it may predict; context: most positions; width, depth, heads:
    of the network; expansion: width of an MLP's hidden layer over `width`; values: layers (counted from the last) with
    value embeddings; pairs: rows of the pair table, 0 for none (pairs are hashed where there are more); cap: bound of
    the logits, 0 for none; dropout: share of activations dropped after
    every sub-layer, embedding_dropout: of embeddings; cycle: a position also has an
    embedding of its place in a cycle of so many, as of voices and beats in music (1: none)."""

    vocabulary: int
    outputs: int
    context: int
    width: int = 256
    depth: int = 6
    heads: int = 4
    expansion: int = 4
    values: int = 2
    pairs: int = 8192
    cap: float = 15.0
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    cycle: int = 1


def norm(x: Tensor) -> Tensor:
    """x centred and divided by its spread over the last dimension, without parameters.

    RMSNorm (arXiv:1910.07467) leaves out the centring, but PyTorch has no CPU kernel of its own for it: forward and
    backward took three to six times as long there (8,192 rows of 256).
    """
    return F.layer_norm(x, (x.shape[-1],))


class _SquaredReLU(torch.autograd.Function):
    """relu(x)^2 with one saved tensor and two products backward; autograd's own form takes half as long again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        r = x.relu()
        ctx.save_for_backward(r)
        return r * r

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> Tensor:
        (r,) = ctx.saved_tensors
        return grad[0] * r * 2


class Cache:
    """Keys and values of the positions already seen, in memory taken once. `length`: how many there are; `vectors`: of
    the positions seen last (B, L, width), as they come out of the last block, normalised."""

    def __init__(
        self, size: tuple[int, int, int, int], batch: int, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        """size: layers, batch times heads that have keys, positions, width of a head. Batch and heads share a
        dimension, so that what is known so far is a view that batched products take as it is."""
        self.keys = torch.zeros(size, device=device, dtype=dtype)
        self.values = torch.zeros(size, device=device, dtype=dtype)
        self.last = torch.zeros(batch, 1, device=device, dtype=torch.int64)
        self.length = 0
        self.vectors: Tensor | None = None

    def extend(self, layer: int, k_NLK: Tensor, v_NLK: Tensor) -> tuple[Tensor, Tensor]:
        """Stores new positions of a layer; returns all keys and values up to them, (N, T, K) each."""
        start, stop = self.length, self.length + k_NLK.shape[1]
        self.keys[layer, :, start:stop] = k_NLK
        self.values[layer, :, start:stop] = v_NLK
        return self.keys[layer, :, :stop], self.values[layer, :, :stop]

    def of(self, layer: int) -> Remember:
        """`extend` of one layer."""
        return lambda k, v: self.extend(layer, k, v)

    def select(self, rows_N: Tensor) -> None:
        """Keeps these rows, in this order, perhaps some of them several times."""
        batch = len(self.last)
        self.keys, self.values = (
            t.unflatten(1, (batch, -1))[:, rows_N].flatten(1, 2).contiguous() for t in (self.keys, self.values)
        )
        self.last = self.last[rows_N]

    def forget(self, count: int, last_B1: Tensor) -> None:
        """Takes back the last `count` positions; `last_B1` are the ids of the one before them."""
        self.length -= count
        self.last = last_B1


class Block(nn.Module):
    """Attention and MLP, each on the normalised stream and added back to it."""

    def __init__(self, shape: Shape, with_values: bool) -> None:
        super().__init__()
        d, self.heads = shape.width, shape.heads
        self.query = nn.Linear(d, d, bias=False)
        self.key = nn.Linear(d, d, bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.up = nn.Linear(d, shape.expansion * d, bias=False)
        self.down = nn.Linear(shape.expansion * d, d, bias=False)
        self.table = nn.Embedding(shape.vocabulary, d) if with_values else None
        self.mix = nn.Parameter(torch.tensor([1.0, 0.0]))  # of the stream and of the embeddings it began with
        self.dropout = Dropout(shape.dropout)
        for linear in (self.query, self.key, self.value, self.up):
            nn.init.uniform_(linear.weight, -math.sqrt(3 / d), math.sqrt(3 / d))
        nn.init.zeros_(self.out.weight)  # every block begins as the identity
        nn.init.zeros_(self.down.weight)
        if self.table is not None:
            nn.init.zeros_(self.table.weight)

    def forward(
        self, x: Tensor, x0: Tensor, ids_BL: Tensor, turn: tuple[Tensor, Tensor], mask_LT: Tensor,
        cache: Cache | None, layer: int,
    ) -> Tensor:  # fmt: skip
        x = x * self.mix[0] + x0 * self.mix[1]
        cos, sin = turn
        h = norm(x).to(cos.dtype)  # once, rather than by autocast for each of the three products
        weight = torch.cat((self.query.weight, self.key.weight, self.value.weight))
        qkv = F.linear(h, weight).view(*h.shape[:2], 3 * self.heads, -1)
        qk, v = qkv.split((2 * self.heads, self.heads), 2)
        q, k = rotate(norm(qk), cos, sin).split(self.heads, 2)
        if self.table is not None:
            v = v + self.table(ids_BL).view(v.shape).to(v.dtype)
        q, k, v = (t.transpose(1, 2).flatten(0, 1) for t in (q, k, v))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        # Normalised queries and keys bound the scores; 1.5 lets attention be sharper.
        y = (
            attention(q, k, v, mask_LT, 1.5 * q.shape[-1] ** -0.5)
            .unflatten(0, (-1, self.heads))
            .transpose(1, 2)
            .flatten(2)
        )
        x = x + self.dropout(self.out(y))
        return x + self.dropout(self.down(_SquaredReLU.apply(self.up(norm(x).to(cos.dtype)))))


class Transformer(nn.Module):
    """Token ids (B, L) -> logits (B, L, outputs): what may follow each position, seen everything up to it."""

    cos: Tensor
    sin: Tensor
    mask: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.pairs = nn.Embedding(min(shape.pairs, shape.vocabulary**2), shape.width) if shape.pairs else None
        self.places = nn.Embedding(shape.cycle, shape.width) if shape.cycle > 1 else None
        self.blocks = nn.ModuleList(Block(shape, i >= shape.depth - shape.values) for i in range(shape.depth))
        self.dropout = Dropout(shape.embedding_dropout)
        self.head = nn.Linear(shape.width, shape.outputs, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)  # small: the norm after it makes the rate relatively large
        if self.pairs is not None:
            nn.init.zeros_(self.pairs.weight)
        if self.places is not None:
            nn.init.zeros_(self.places.weight)
        nn.init.zeros_(self.head.weight)
        cos, sin = rotary(shape.context, shape.width // shape.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("mask", causal_mask(shape.context), persistent=False)

    def cache(self, batch: int) -> Cache:
        """Empty memory for `batch` sequences."""
        shape = self.shape
        size = (shape.depth, batch * shape.heads, shape.context, shape.width // shape.heads)
        return Cache(size, batch, self.embedding.weight.device)

    def forward(self, ids_BL: Tensor, cache: Cache | None = None, told_BD: Tensor | None = None) -> Tensor:
        """Logits in fp32. With a cache, `ids_BL` continue what it holds, and are added to it. told_BD: what is known of
        each whole sequence, added to all its positions."""
        return self.says(self.states(ids_BL, cache, told_BD))

    def states(self, ids_BL: Tensor, cache: Cache | None = None, told_BD: Tensor | None = None) -> Tensor:
        """The vector (B, L, width) of each position, from which `says` reads what follows."""
        start = cache.length if cache is not None else 0
        stop = start + ids_BL.shape[1]
        x = self.embedding(ids_BL)
        if self.pairs is not None:
            first = cache.last if cache is not None and start else ids_BL[:, :1]
            rows = self._pair(torch.cat((first, ids_BL[:, :-1]), 1), ids_BL)
            x = x + self.pairs(rows)
        if self.places is not None:
            x = x + self.places(torch.arange(start, stop, device=x.device) % self.shape.cycle)
        if told_BD is not None:
            x = x + told_BD[:, None]
        x = x0 = self.dropout(norm(x))
        dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
        turn = self.cos[start:stop].to(dtype), self.sin[start:stop].to(dtype)
        mask = self.mask[start:stop, :stop].to(dtype)
        for i, block in enumerate(self.blocks):
            x = block(x, x0, ids_BL, turn, mask, cache, i)
        h = norm(x)
        if cache is not None:
            cache.length, cache.last, cache.vectors = stop, ids_BL[:, -1:], h
        return h

    def says(self, h: Tensor) -> Tensor:
        """Logits in fp32 of the vectors (..., width)."""
        logits: Tensor = self.head(h).float()
        cap = self.shape.cap
        return cap * torch.tanh(logits / cap) if cap else logits

    def _pair(self, before: Tensor, ids: Tensor) -> Tensor:
        """The row of each pair in the table: its own where all fit, otherwise a hash."""
        pair = before * self.shape.vocabulary + ids
        rows = self.pairs.num_embeddings if self.pairs is not None else 1
        if self.shape.vocabulary**2 <= rows:
            return pair
        mixed = (pair * 2_654_435_761) & 0xFFFFFFFF  # Knuth's multiplicative hash: neighbours land far apart
        return (mixed ^ (mixed >> 15)) % rows
