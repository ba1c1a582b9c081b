"""A transformer's forward pass on a CPU, for decoding: the same function in NumPy, where an operation on one row of
numbers costs a third of a microsecond, without what a framework does around each.

Once, before the first token, everything that can be folded is:
  - a norm's gain and bias go into the matrix after it: W (g h + b) = (W g) h + W b;
  - what a LayerNorm takes off, the mean, is taken off all that is ever added to the stream (embeddings, the columns of
  what
    writes into it), so that only the division by the root mean square is left; likewise for normalised queries and
    keys;
  - queries, keys and values are one product, gate and up another;
  - the components that rotary positions turn by one angle stand side by side, so that turning is one product of complex
    numbers.
Memory for keys and values is taken once. `weights="int8"` keeps the blocks' matrices as bytes with a scale for each
output (activations bf16): a third of the memory traffic, which is what bounds models larger than the processor's
caches.

Dimensions as in `attention.py`; R rows: batch times new positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from genloom.nets.portable import Block as PortableBlock
from genloom.nets.portable import PortableTransformer, RMSNorm
from genloom.nets.positions import alibi_slopes
from genloom.nets.transformer import Block, Transformer

Array = np.ndarray[Any, Any]
Affine = tuple[Array, Array | None]
"""A matrix (outputs, inputs), and what is added."""
Product = Callable[[Array], Array]
"""(R, inputs) -> (R, outputs)"""
Weights = Literal["fp32", "int8"]


@dataclass(frozen=True)
class _Layer:
    """mix: of the stream and the embeddings it began with; table: embeddings added to the values."""

    qkv: Product
    out: Product
    up: Product
    down: Product
    mix: tuple[float, float] | None = None
    table: Array | None = None


class QuickCache:
    """Keys and values (layers, B, G, context, K) of the positions already seen. `last`: their last ids (B,)."""

    def __init__(self, net: Quick, batch: int) -> None:
        size = (len(net.layers), batch, net.key_heads, net.context, net.head)
        self.net = net
        self.keys, self.values = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.last = np.zeros(batch, np.int64)
        self.length = 0
        self.hidden: Array = np.zeros((batch, 0, net.width), np.float32)

    @property
    def vectors(self) -> Tensor:
        """Of the positions seen last, normalised, (B, L, width)."""
        return torch.from_numpy(self.hidden * self.net.gain + self.net.shift)

    def select(self, rows_N: Tensor) -> None:
        """Keeps these rows, in this order, perhaps some of them several times."""
        rows, old = rows_N.numpy(), (self.keys, self.values)
        size = (len(self.keys), len(rows), *self.keys.shape[2:])
        self.keys, self.values = np.zeros(size, np.float32), np.zeros(size, np.float32)
        for new, was in zip((self.keys, self.values), old, strict=True):
            new[:, :, :, : self.length] = was[:, rows, :, : self.length]
        self.last = self.last[rows]

    def forget(self, count: int, last_B1: Tensor) -> None:
        """Takes back the last `count` positions; `last_B1` are the ids of the one before them."""
        self.length -= count
        self.last = last_B1[:, 0].numpy()


class Quick:
    """Token ids (B, L) -> logits (B, L, V) with a cache, as the network itself answers."""

    def __init__(self, net: Transformer | PortableTransformer, weights: Weights = "fp32") -> None:
        self.context = net.shape.context
        self.width, self.heads = net.shape.width, net.shape.heads
        self.head = self.width // self.heads
        self.key_heads = self.heads
        self.pairs: Array | None = None
        self.slopes: Array | None = None  # of ALiBi
        self.normed, self.bend, self.cap, self.eps = False, "", 0.0, 1e-5
        self.gain: Array | float = 1.0
        self.shift: Array | float = 0.0
        self.places: Array | None = None  # added to embeddings by position
        self.early: Array | None = None  # the same, before the embeddings' norm
        self.turn: Any = None  # (context, K / 2) complex
        if isinstance(net, Transformer):
            self._native(net, weights)
        else:
            self._portable(net, weights)

    def _native(self, net: Transformer, weights: Weights) -> None:
        s = net.shape
        self.normed, self.bend, self.cap, self.scale = True, "relu2", s.cap, 1.5 * self.head**-0.5
        self.vocabulary = s.vocabulary
        self.table = _centred(_array(net.embedding.weight))
        self.pairs = None if net.pairs is None else _centred(_array(net.pairs.weight))
        if net.places is not None:
            self.early = _centred(_array(net.places.weight))[np.arange(self.context) % s.cycle]
        self.turn = _turns(net.cos, net.sin)
        self.layers = []
        order = _side_by_side(self.head)
        for block in net.blocks:
            assert isinstance(block, Block)
            q, k = (_centred_heads(_array(m.weight), self.heads)[:, order] for m in (block.query, block.key))
            qkv = np.concatenate((q.reshape(-1, self.width), k.reshape(-1, self.width), _array(block.value.weight)))
            self.layers.append(
                _Layer(
                    _product((qkv, None), weights),
                    _product((_centred(_array(block.out.weight), 0), None), weights),
                    _product((_array(block.up.weight), None), weights),
                    _product((_centred(_array(block.down.weight), 0), None), weights),
                    (float(block.mix[0]), float(block.mix[1])),
                    None if block.table is None else _array(block.table.weight),
                )
            )
        self.logits = _product((_array(net.head.weight), None))

    def _portable(self, net: PortableTransformer, weights: Weights) -> None:
        s, style = net.shape, net.shape.style
        self.key_heads, self.bend, self.eps = style.key_heads or s.heads, style.mlp, style.eps
        self.scale, self.vocabulary = self.head**-0.5, s.vocabulary
        centre = _centred if style.norm == "layer" else _as_it_is
        factor = math.sqrt(s.width) if style.positions == "sinusoidal" else 1.0
        self.table = centre(_array(net.embedding.weight) * np.float32(factor), -1)
        if net.positions is not None:
            self.places = centre(_array(net.positions.weight), -1)
        elif style.positions == "sinusoidal":
            self.places = centre(_array(net.get_buffer("waves")), -1)
        elif style.positions == "rotary":
            self.turn = _turns(net.get_buffer("cos"), net.get_buffer("sin"))
        else:
            self.slopes = _array(alibi_slopes(s.heads))
        order = _side_by_side(self.head) if self.turn is not None else np.arange(self.head)
        self.layers = []
        for block in net.blocks:
            assert isinstance(block, PortableBlock)
            a, mlp = block.attention, block.mlp
            query, key = (_ordered(_affine(m), order) for m in (a.query, a.key))
            wide = [_affine(m) for m in (mlp.gate, mlp.up) if m is not None]
            self.layers.append(
                _Layer(
                    _product(_after(block.norm_1, _stacked([query, key, _affine(a.value)])), weights),
                    _product(_each(centre, _affine(a.out)), weights),
                    _product(_after(block.norm_2, _stacked(wide)), weights),
                    _product(_each(centre, _affine(mlp.down)), weights),
                )
            )
        head = net.embedding.weight[: s.outputs] if net.head is None else net.head.weight
        self.logits = _product(_after(net.norm, (_array(head), None)))
        self.gain, self.shift = _gain(net.norm)

    def cache(self, batch: int) -> QuickCache:
        """Empty memory for `batch` sequences."""
        return QuickCache(self, batch)

    def __call__(self, ids_BL: Tensor, cache: QuickCache) -> Tensor:
        """The logits of what follows each of `ids_BL`, which continue what the cache holds and are added to it."""
        with np.errstate(over="ignore"):  # exp(-x) of a gate that is shut
            return torch.from_numpy(self._forward(ids_BL.numpy(), cache))

    def _forward(self, ids: Any, cache: QuickCache) -> Array:
        batch, length = ids.shape
        start, stop = cache.length, cache.length + length
        flat = ids.reshape(-1)
        x = self.table[flat]
        if self.early is not None:
            x += np.tile(self.early[start:stop], (batch, 1))
        if self.pairs is not None:
            before = np.concatenate((cache.last[:, None] if start else ids[:, :1], ids[:, :-1]), 1).reshape(-1)
            x += self.pairs[self._pair(before, flat)]
            x *= self._inverse(x)
        elif self.normed:
            x *= self._inverse(x)
        if self.places is not None:
            x += self.places[start:stop] if batch == 1 else np.tile(self.places[start:stop], (batch, 1))
        x0 = x
        bias = self._bias(start, stop)
        turn = None if self.turn is None else self.turn[start:stop]
        for i, layer in enumerate(self.layers):
            if layer.mix is not None:
                x = x * layer.mix[0] + x0 * layer.mix[1] if layer.mix[1] else x * layer.mix[0]
            y = layer.qkv(x * self._inverse(x))
            x = x + layer.out(self._attend(y, layer, flat, cache, i, start, stop, bias, turn))
            x += layer.down(self._bent(layer.up(x * self._inverse(x))))
        x *= self._inverse(x)
        cache.length, cache.last, cache.hidden = stop, ids[:, -1], x.reshape(batch, length, -1)
        logits = self.logits(x)
        if self.cap:
            logits /= self.cap
            np.tanh(logits, out=logits)
            logits *= self.cap
        return logits.reshape(batch, length, -1)

    def _inverse(self, x: Array) -> Any:
        """1 / root mean square of each row."""
        if len(x) == 1:
            return np.float32(1 / math.sqrt(float(np.dot(x[0], x[0])) / self.width + self.eps))
        return 1 / np.sqrt(np.vecdot(x, x)[:, None] / np.float32(self.width) + np.float32(self.eps))

    def _attend(
        self, y: Array, layer: _Layer, ids: Any, cache: QuickCache, i: int, start: int, stop: int, bias: Any, turn: Any
    ) -> Array:
        """Attention of new positions over all so far, from their queries, keys and values side by side, (R, H K)."""
        h, g, k = self.heads, self.key_heads, self.head
        batch, length = len(cache.last), stop - start
        qk: Array = y[:, : (h + g) * k].reshape(-1, h + g, k)
        v = y[:, (h + g) * k :]
        if layer.table is not None:
            v = v + layer.table[ids]
        if self.normed:
            qk = qk * (1 / np.sqrt(np.vecdot(qk, qk)[..., None] / np.float32(k) + np.float32(1e-5)))
        if turn is not None:
            turned = np.ascontiguousarray(qk).view(np.complex64).reshape(batch, length, h + g, k // 2)
            qk = (turned * turn[:, None]).view(np.float32)
        qk = qk.reshape(batch, length, h + g, k)
        keys, values = cache.keys[i, :, :, :stop], cache.values[i, :, :, :stop]
        keys[:, :, start:] = qk[:, :, h:].transpose(0, 2, 1, 3)
        values[:, :, start:] = v.reshape(batch, length, g, k).transpose(0, 2, 1, 3)
        q = (qk[:, :, :h] * np.float32(self.scale)).reshape(batch, length, g, h // g, k)
        q = q.transpose(0, 2, 3, 1, 4).reshape(batch, g, h // g * length, k)
        scores = np.matmul(q, keys.swapaxes(-1, -2))
        if bias is not None:
            scores = (scores.reshape(batch, h, length, stop) + bias).reshape(scores.shape)
        if not self.normed:  # normalised ones are bounded, and need no shift
            scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        mixed = np.matmul(scores, values)
        mixed /= scores.sum(-1, keepdims=True)
        return mixed.reshape(batch, h, length, k).transpose(0, 2, 1, 3).reshape(batch * length, h * k)

    def _bias(self, start: int, stop: int) -> Any:
        """What is added to scores: -inf ahead of a position, and ALiBi's slopes; None where nothing is."""
        if self.slopes is None and stop - start == 1:
            return None
        distance = np.arange(start, stop)[:, None] - np.arange(stop)
        bias: Array = np.where(distance < 0, np.float32(-np.inf), np.float32(0))
        if self.slopes is not None:
            bias = bias - self.slopes[:, None, None] * np.maximum(distance, 0).astype(np.float32)
        return bias

    def _bent(self, y: Array) -> Array:
        """The activation of an MLP, in place."""
        if self.bend == "swiglu":
            half = y.shape[1] // 2
            gate = y[:, :half]
            return gate / (1 + np.exp(-gate)) * y[:, half:]
        if self.bend == "gelu":  # with tanh: y sigmoid(2 sqrt(2 / pi) (y + 0.044715 y^3))
            inner = (y * y * np.float32(0.044715) + 1) * y * np.float32(-2 * math.sqrt(2 / math.pi))
            return y / (1 + np.exp(inner))
        np.maximum(y, 0, out=y)
        return y if self.bend == "relu" else np.multiply(y, y, out=y)

    def _pair(self, before: Any, ids: Any) -> Any:
        """As `Transformer._pair`."""
        assert self.pairs is not None
        pair, rows = before * self.vocabulary + ids, len(self.pairs)
        if self.vocabulary**2 <= rows:
            return pair
        mixed = (pair * 2_654_435_761) & 0xFFFFFFFF
        return (mixed ^ (mixed >> 15)) % rows


def _array(x: Tensor) -> Array:
    return x.detach().float().numpy()


def _as_it_is(x: Array, axis: int = -1) -> Array:
    return x


def _centred(x: Array, axis: int = -1) -> Array:
    return x - x.mean(axis, keepdims=True)


def _centred_heads(weight: Array, heads: int) -> Array:
    """(H, K, inputs), the mean over each head's components taken off."""
    return _centred(weight.reshape(heads, -1, weight.shape[1]), 1)


def _side_by_side(width: int) -> Any:
    """The order in which component i stands beside i + K / 2."""
    return np.arange(width).reshape(2, -1).T.reshape(-1)


def _turns(cos_L1K: Tensor, sin_L1K: Tensor) -> Any:
    half = cos_L1K.shape[-1] // 2
    return torch.complex(cos_L1K[:, 0, :half], sin_L1K[:, 0, half:]).numpy()


def _affine(linear: nn.Linear) -> Affine:
    return _array(linear.weight), None if linear.bias is None else _array(linear.bias)


def _each(change: Callable[[Array, int], Array], affine: Affine) -> Affine:
    """Weight and bias, both changed along their outputs."""
    return change(affine[0], 0), None if affine[1] is None else change(affine[1], 0)


def _ordered(affine: Affine, order: Any) -> Affine:
    """The outputs of each head in another order."""
    return _each(lambda t, _: t.reshape(-1, len(order), *t.shape[1:])[:, order].reshape(t.shape), affine)


def _stacked(parts: list[Affine]) -> Affine:
    """One map with the outputs of all, which all have biases or none."""
    biases = [b for _, b in parts if b is not None]
    return np.concatenate([w for w, _ in parts]), np.concatenate(biases) if biases else None


def _gain(norm: nn.Module) -> tuple[Array, Array | float]:
    """What a norm multiplies by, and adds."""
    assert isinstance(norm, nn.LayerNorm | RMSNorm)
    shift = norm.bias if isinstance(norm, nn.LayerNorm) else None
    return _array(norm.weight), 0.0 if shift is None else _array(shift)


def _after(norm: nn.Module, affine: Affine) -> Affine:
    """The map after a norm, with the norm's gain and bias folded into it."""
    (weight, bias), (gain, shift) = affine, _gain(norm)
    if isinstance(shift, float):
        return weight * gain, bias
    return weight * gain, weight @ shift + (0 if bias is None else bias)


def _product(affine: Affine, weights: Weights = "fp32") -> Product:
    """x -> x W' + b."""
    weight, bias = affine
    times = _int8(weight) if weights == "int8" else _fp32(weight)
    return times if bias is None else lambda x: times(x) + bias


def _fp32(weight: Array) -> Product:
    columns = np.ascontiguousarray(weight.T)
    return lambda x: x @ columns


def _int8(weight: Array) -> Product:
    """Each output's weights divided by a scale that brings the largest to 127, rounded; products in bf16."""
    w = torch.from_numpy(weight)
    scale = (w.abs().amax(1).clamp_min(1e-12) / 127).bfloat16()
    packed = (w / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return lambda x: torch._weight_int8pack_mm(torch.from_numpy(x).bfloat16(), packed, scale).float().numpy()


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
