"""Everything about a transformer that can be worked out before the first token, folded into its matrices:

  - a norm's gain and bias go into the matrix after it: W (g h + b) = (W g) h + W b;
  - what a LayerNorm takes off, the mean, is taken off all that is ever added to the stream (embeddings, the columns of
    what writes into it), so that only the division by the root mean square is left; likewise for normalised queries
    and keys;
  - queries, keys and values are one matrix, gate and up another;
  - the components that rotary positions turn by one angle stand side by side, so that turning is one product of complex
    numbers.

The same matrix of all layers is one array. With bytes, each output's weights are divided by a scale that brings the
largest to 127, and rounded: a quarter of the memory traffic, which is what bounds models larger than the processor's
caches. The keys and values of many texts are more than the weights; they may be whole numbers of 16 bits.

Dimensions: N layers, O outputs, I inputs, D width of the stream, H heads, G heads with keys of their own, K width of a
head, V vocabulary, C context.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from genloom.nets.portable import Block as PortableBlock
from genloom.nets.portable import PortableTransformer, RMSNorm
from genloom.nets.positions import alibi_slopes
from genloom.nets.transformer import Block, Transformer

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array | None]
"""A matrix (outputs, inputs), and what is added."""
Weights = Literal["fp32", "int8"]
RELU, RELU2, GELU, SWIGLU = range(4)
BENDS = {"relu": RELU, "gelu": GELU, "swiglu": SWIGLU}


class Affine(NamedTuple):
    """x -> scale (W x) + bias, of every layer."""

    weight_NOI: Array
    scale_NO: Array
    bias_NO: Array


class Folded(NamedTuple):
    """A network's blocks and head as arrays; what it has none of is empty, or zero.

    qkv, out, up, down: of the blocks; head: of one layer, to the logits.
    mix_N2: how much of the stream, and of the embeddings it began with, enters a block.
    tables_NVD: embeddings added to the values of the last blocks, as many as there are tables.
    turn_CK: turns of rotary positions, (C, K / 2) complex; slopes_H: of ALiBi.
    bend: what the MLP does between its matrices; normed: whether queries and keys are normalised.
    scale: of scores; eps: added to a mean square; cap: of the logits.
    """

    qkv: Affine
    out: Affine
    up: Affine
    down: Affine
    head: Affine
    mix_N2: Array
    tables_NVD: Array
    turn_CK: Array
    slopes_H: Array
    heads: int
    bend: int
    normed: bool
    scale: float
    eps: float
    cap: float


class Known(NamedTuple):
    """Keys and values (N, B, G, C, K) of the positions seen so far; of whole numbers, each vector with a unit
    (N, B, G, C) of its own."""

    keys: Array
    values: Array
    key_units: Array
    value_units: Array


class Embedded(NamedTuple):
    """What a stream begins with. table_VD: of tokens; pairs: of pairs of them; early: by position, before a norm;
    places: by position; normed: whether their sum is normalised; gain, shift: of the norm before the head."""

    table_VD: Array
    pairs: Array | None = None
    early_CD: Array | None = None
    places_CD: Array | None = None
    normed: bool = False
    gain: Array | float = 1.0
    shift: Array | float = 0.0


def folded(net: Transformer | PortableTransformer, weights: Weights) -> tuple[Embedded, Folded]:
    """The network as it is now. weights: of the blocks."""
    return _native(net, weights) if isinstance(net, Transformer) else _portable(net, weights)


def _native(net: Transformer, weights: Weights) -> tuple[Embedded, Folded]:
    s = net.shape
    head = s.width // s.heads
    order = _side_by_side(head)
    blocks = [block for block in net.blocks if isinstance(block, Block)]
    maps: list[list[Pair]] = []
    for block in blocks:
        q, k = (_centred_heads(_array(m.weight), s.heads)[:, order] for m in (block.query, block.key))
        qkv = np.concatenate((q.reshape(-1, s.width), k.reshape(-1, s.width), _array(block.value.weight)))
        out, up, down = _array(block.out.weight), _array(block.up.weight), _array(block.down.weight)
        maps.append([(qkv, None), (_centred(out, 0), None), (up, None), (_centred(down, 0), None)])
    begun = Embedded(
        _centred(_array(net.embedding.weight)),
        None if net.pairs is None else _centred(_array(net.pairs.weight)),
        None if net.places is None else _centred(_array(net.places.weight))[np.arange(s.context) % s.cycle],
        normed=True,
    )
    qkv_N, out_N, up_N, down_N = (_affine(list(each), weights) for each in zip(*maps, strict=True))
    tables = [_array(block.table.weight) for block in blocks if block.table is not None]
    return begun, Folded(
        qkv_N, out_N, up_N, down_N, _affine([(_array(net.head.weight), None)], "fp32"),
        np.stack([_array(block.mix) for block in blocks]),
        np.stack(tables) if tables else np.zeros((0, 0, 0), np.float32),
        _turns(net.cos, net.sin), np.zeros(s.heads, np.float32),
        s.heads, RELU2, True, 1.5 * head**-0.5, 1e-5, float(s.cap),
    )  # fmt: skip


def _portable(net: PortableTransformer, weights: Weights) -> tuple[Embedded, Folded]:
    s, style = net.shape, net.shape.style
    centre = _centred if style.norm == "layer" else _as_it_is
    places, turn, slopes = None, np.zeros((0, 0), np.complex64), np.zeros(s.heads, np.float32)
    if net.positions is not None:
        places = centre(_array(net.positions.weight), -1)
    elif style.positions == "sinusoidal":
        places = centre(_array(net.get_buffer("waves")), -1)
    elif style.positions == "rotary":
        turn = _turns(net.get_buffer("cos"), net.get_buffer("sin"))
    else:
        slopes = _array(alibi_slopes(s.heads))
    factor = math.sqrt(s.width) if style.positions == "sinusoidal" else 1.0
    gain, shift = _gain(net.norm)
    table = centre(_array(net.embedding.weight) * np.float32(factor), -1)
    begun = Embedded(table, places_CD=places, gain=gain, shift=shift)
    order = _side_by_side(s.width // s.heads) if len(turn) else np.arange(s.width // s.heads)
    maps: list[list[Pair]] = []
    for block in net.blocks:
        assert isinstance(block, PortableBlock)
        a, mlp = block.attention, block.mlp
        query, key = (_ordered(_pair(m), order) for m in (a.query, a.key))
        wide = [_pair(m) for m in (mlp.gate, mlp.up) if m is not None]
        qkv, up = _after(block.norm_1, _stacked([query, key, _pair(a.value)])), _after(block.norm_2, _stacked(wide))
        maps.append([qkv, _each(centre, _pair(a.out)), up, _each(centre, _pair(mlp.down))])
    qkv_N, out_N, up_N, down_N = (_affine(list(each), weights) for each in zip(*maps, strict=True))
    head = net.embedding.weight[: s.outputs] if net.head is None else net.head.weight
    return begun, Folded(
        qkv_N, out_N, up_N, down_N, _affine([_after(net.norm, (_array(head), None))], "fp32"),
        np.tile(np.array([1, 0], np.float32), (s.depth, 1)), np.zeros((0, 0, 0), np.float32), turn, slopes,
        s.heads, BENDS[style.mlp], False, (s.width // s.heads) ** -0.5, float(style.eps), 0.0,
    )  # fmt: skip


def _affine(maps: list[Pair], weights: Weights) -> Affine:
    """The same map of all layers."""
    weight = np.stack([w for w, _ in maps])
    bias = np.stack([np.zeros(len(w), np.float32) if b is None else b for w, b in maps])
    if weights == "fp32":
        return Affine(weight, np.ones(bias.shape, np.float32), bias)
    scale = np.maximum(np.abs(weight).max(-1), np.float32(1e-12)) / np.float32(127)
    return Affine(np.rint(weight / scale[..., None]).clip(-127, 127).astype(np.int8), scale, bias)


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


def _pair(linear: nn.Linear) -> Pair:
    return _array(linear.weight), None if linear.bias is None else _array(linear.bias)


def _each(change: Callable[[Array, int], Array], pair: Pair) -> Pair:
    """Weight and bias, both changed along their outputs."""
    return change(pair[0], 0), None if pair[1] is None else change(pair[1], 0)


def _ordered(pair: Pair, order: Any) -> Pair:
    """The outputs of each head in another order."""
    return _each(lambda t, _: t.reshape(-1, len(order), *t.shape[1:])[:, order].reshape(t.shape), pair)


def _stacked(parts: list[Pair]) -> Pair:
    """One map with the outputs of all, which all have biases or none."""
    biases = [b for _, b in parts if b is not None]
    return np.concatenate([w for w, _ in parts]), np.concatenate(biases) if biases else None


def _gain(norm: nn.Module) -> tuple[Array, Array | float]:
    """What a norm multiplies by, and adds."""
    assert isinstance(norm, nn.LayerNorm | RMSNorm)
    shift = norm.bias if isinstance(norm, nn.LayerNorm) else None
    return _array(norm.weight), 0.0 if shift is None else _array(shift)


def _after(norm: nn.Module, pair: Pair) -> Pair:
    """The map after a norm, with the norm's gain and bias folded into it."""
    (weight, bias), (gain, shift) = pair, _gain(norm)
    if isinstance(shift, float):
        return weight * gain, bias
    return weight * gain, weight @ shift + (0 if bias is None else bias)
