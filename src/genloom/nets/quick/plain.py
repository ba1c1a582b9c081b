"""A folded network's pass in NumPy, where an operation on one row of numbers costs a third of a microsecond.

Dimensions as in `folded.py`; R rows: batch B times L new positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from genloom.nets.quick.folded import GELU, RELU, SWIGLU, Affine, Array, Folded, Known
from genloom.nets.quick.shared import LARGEST, WHOLE, bytes_times

Product = Callable[[Array], Array]
"""(R, inputs) -> (R, outputs)"""


class Layer(NamedTuple):
    """A block's matrices. mix: of the stream and the embeddings it began with, None where it is the stream alone;
    table_VD: embeddings added to the values."""

    qkv: Product
    out: Product
    up: Product
    down: Product
    mix: tuple[float, float] | None
    table_VD: Array | None


class Plain:
    """The blocks and the head."""

    def __init__(self, net: Folded) -> None:
        self.net = net
        plain = len(net.mix_N2) - len(net.tables_NVD)
        self.layers = []
        for i, (stream, began) in enumerate(net.mix_N2):
            qkv, out, up, down = (_product(of, i) for of in (net.qkv, net.out, net.up, net.down))
            mix = None if (stream, began) == (1, 0) else (float(stream), float(began))
            table_VD = net.tables_NVD[i - plain] if i >= plain else None
            self.layers.append(Layer(qkv, out, up, down, mix, table_VD))
        self.head = _product(net.head, 0)

    def advance(self, x: Array, ids_R: Any, start: int, known: Known) -> Array:
        """Logits (R, V). x (R, D): the stream as it begins, overwritten by what the head reads; known: of the `start`
        positions so far, to which the new ones are added."""
        x0, begun, (keys, values, _, _) = x, x, known
        bias = self._bias(start, start + len(x) // keys.shape[1])
        for i, layer in enumerate(self.layers):
            if layer.mix is not None:
                x = x * layer.mix[0] + x0 * layer.mix[1] if layer.mix[1] else x * layer.mix[0]
            y = layer.qkv(x * inverse(x, self.net.eps))
            x = x + layer.out(self._attend(y, layer, ids_R, start, keys[i], values[i], bias))
            x += layer.down(self._bent(layer.up(x * inverse(x, self.net.eps))))
        np.multiply(x, inverse(x, self.net.eps), out=begun)
        logits = self.head(begun)
        if self.net.cap:
            logits /= self.net.cap
            np.tanh(logits, out=logits)
            logits *= self.net.cap
        return logits

    def _attend(
        self, y: Array, layer: Layer, ids_R: Any, start: int, keys: Array, values: Array, bias: Array | None
    ) -> Array:
        """Attention of new positions over all so far, from their queries, keys and values side by side, (R, H K)."""
        batch, g, _, k = keys.shape
        h, length = self.net.heads, len(y) // batch
        stop = start + length
        qk: Array = y[:, : (h + g) * k].reshape(-1, h + g, k)
        v = y[:, (h + g) * k :]
        if layer.table_VD is not None:
            v = v + layer.table_VD[ids_R]
        if self.net.normed:
            qk = qk * (1 / np.sqrt(np.vecdot(qk, qk)[..., None] / np.float32(k) + np.float32(1e-5)))
        if len(self.net.turn_CK):
            turned = np.ascontiguousarray(qk).view(np.complex64).reshape(batch, length, h + g, k // 2)
            qk = (turned * self.net.turn_CK[start:stop, None]).view(np.float32)
        qk = qk.reshape(batch, length, h + g, k)
        keys, values = keys[:, :, :stop], values[:, :, :stop]
        keys[:, :, start:] = qk[:, :, h:].transpose(0, 2, 1, 3)
        values[:, :, start:] = v.reshape(batch, length, g, k).transpose(0, 2, 1, 3)
        q = (qk[:, :, :h] * np.float32(self.net.scale)).reshape(batch, length, g, h // g, k)
        q = q.transpose(0, 2, 3, 1, 4).reshape(batch, g, h // g * length, k)
        scores = np.matmul(q, keys.swapaxes(-1, -2))
        if bias is not None:
            scores = (scores.reshape(batch, h, length, stop) + bias).reshape(scores.shape)
        if not self.net.normed:  # normalised ones are bounded, and need no shift
            scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        mixed = np.matmul(scores, values)
        mixed /= scores.sum(-1, keepdims=True)
        return mixed.reshape(batch, h, length, k).transpose(0, 2, 1, 3).reshape(batch * length, h * k)

    def _bias(self, start: int, stop: int) -> Any:
        """What is added to scores: -inf ahead of a position, and ALiBi's slopes; None where nothing is."""
        slopes_H = self.net.slopes_H if self.net.slopes_H.any() else None
        if slopes_H is None and stop - start == 1:
            return None
        distance = np.arange(start, stop)[:, None] - np.arange(stop)
        bias: Array = np.where(distance < 0, np.float32(-np.inf), np.float32(0))
        if slopes_H is not None:
            bias = bias - slopes_H[:, None, None] * np.maximum(distance, 0).astype(np.float32)
        return bias

    def _bent(self, y: Array) -> Array:
        """The activation of an MLP, in place."""
        if self.net.bend == SWIGLU:
            half = y.shape[1] // 2
            gate = y[:, :half]
            return gate / (1 + np.exp(-gate)) * y[:, half:]
        if self.net.bend == GELU:  # with tanh: y sigmoid(2 sqrt(2 / pi) (y + 0.044715 y^3))
            inner = (y * y * np.float32(0.044715) + 1) * y * np.float32(-2 * math.sqrt(2 / math.pi))
            return y / (1 + np.exp(inner))
        np.maximum(y, 0, out=y)
        return y if self.net.bend == RELU else np.multiply(y, y, out=y)


def inverse(x: Array, eps: float) -> Any:
    """1 / root mean square of each row."""
    if len(x) == 1:
        return np.float32(1 / math.sqrt(float(np.dot(x[0], x[0])) / x.shape[1] + eps))
    return 1 / np.sqrt(np.vecdot(x, x)[:, None] / np.float32(x.shape[1]) + np.float32(eps))


def _product(of: Affine, layer: int) -> Product:
    """x -> scale (W x) + bias."""
    weight, scale, bias = of.weight_NOI[layer], of.scale_NO[layer], of.bias_NO[layer]
    times = _bytes(weight, scale) if weight.dtype == np.int8 else _floats(weight)
    return (lambda x: times(x) + bias) if bias.any() else times


def _floats(weight: Array) -> Product:
    columns, whole = weight.T, torch.from_numpy(weight)

    def times(x: Array) -> Array:
        return x @ columns if len(x) == 1 else torch.mm(torch.from_numpy(x), whole.T).numpy()

    return times


def _bytes(weight: Array, scale: Array) -> Product:
    """One row with activations in bf16, several as whole numbers, see `shared.py`."""
    packed, scale_O = torch.from_numpy(weight), torch.from_numpy(scale).bfloat16()

    def times(x: Array) -> Array:
        if len(x) == 1 or not WHOLE:
            return torch._weight_int8pack_mm(torch.from_numpy(x).bfloat16(), packed, scale_O).float().numpy()
        unit = np.maximum(np.abs(x).max(1, keepdims=True), np.float32(1e-12)) / np.float32(LARGEST)
        whole = np.rint(x / unit).astype(np.int16)
        high = (whole + 128) >> 8
        sums = np.empty((2 * len(x), len(weight)), np.int32)
        bytes_times(np.concatenate((high, whole - (high << 8))).astype(np.int8), weight, sums)
        high, low = sums.astype(np.float32).reshape(2, len(x), -1)
        return (high * np.float32(256) + low) * unit * scale

    return times
