"""A folded network's pass as one compiled loop: nothing between two of its products but what is computed.

numba translates these functions to machine code the first time they run (seconds), and keeps it on disk for later
processes. They use one core. With one row, time is that of reading the weights; so products are plain loops, which the
compiler makes wide, from floats or from bytes. Several rows share what is read: a few by BLAS, some outputs at a time,
so that they stay in a cache; many by PyTorch (`shared.py`). Weights of one byte go with keys and values of two, which
are most of what many texts read.

Dimensions as in `folded.py`; R rows: batch B times L new positions; T positions so far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit, objmode, types
from numba.extending import overload

from genloom.nets.quick.folded import GELU, RELU2, SWIGLU, Affine, Array, Folded, Known
from genloom.nets.quick.shared import LARGEST, WHOLE, bytes_times, times

F = TypeVar("F", bound=Callable[..., Any])
f32: Any = np.float32
i32: Any = np.int32
PIECE = 64
"""Outputs that several rows compute at a time, so that their weights stay in a cache."""
FEW = 2
"""Rows up to which each computes on its own."""
MANY = 24
"""Rows from which PyTorch's products of floats are faster than pieces by BLAS."""
MUCH = 2**20
"""Multiplications from which its products of bytes are: a call from here costs some microseconds."""


def compiled(function: F, **more: Any) -> F:
    """The function as machine code, kept on disk where numba finds a folder for it."""
    # numpy's error model divides without looking, so that loops can be made wide.
    options = {"fastmath": True, "error_model": "numpy", **more}
    try:
        made: Any = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that can be written: translated anew by every process
        made = njit(**options)(function)
    return cast(F, made)


def inlined(function: F) -> F:
    """The same, written into what calls it, which saves some 30 ns for each part of an array that is passed on."""
    return compiled(function, inline="always")


@compiled
def advance(net: Folded, x_RD: Array, ids_R: Array, start: int, known: Known, logits_RV: Array) -> None:
    """Blocks and head. x_RD: the stream as it begins, overwritten by what the head reads; known: of the `start`
    positions so far, to which the new ones are added."""
    layers, width = net.mix_N2.shape[0], x_RD.shape[1]
    rows, groups, k = len(x_RD), known.keys.shape[2], known.keys.shape[4]
    first = x_RD.copy()
    h_RD = np.empty_like(x_RD)
    qkv_RO = np.empty((rows, net.qkv.weight_NOI.shape[1]), f32)
    up_RO = np.empty((rows, net.up.weight_NOI.shape[1]), f32)
    bent_RI = np.empty((rows, net.down.weight_NOI.shape[2]), f32)
    scores_T = np.empty(start + rows // known.keys.shape[1], f32)
    plain = layers - len(net.tables_NVD)
    for i in range(layers):
        stream, began = net.mix_N2[i]
        for r in range(rows):
            for d in range(width):
                x_RD[r, d] = x_RD[r, d] * stream + first[r, d] * began
        unit(x_RD, h_RD, net.eps)
        product(h_RD, net.qkv, i, qkv_RO)
        if i >= plain:
            for r in range(rows):
                for d in range(groups * k):
                    qkv_RO[r, (net.heads + groups) * k + d] += net.tables_NVD[i - plain, ids_R[r], d]
        attend(net, qkv_RO, start, known, i, scores_T, h_RD)
        add(h_RD, net.out, i, x_RD)
        unit(x_RD, h_RD, net.eps)
        product(h_RD, net.up, i, up_RO)
        bend(up_RO, net.bend, bent_RI)
        add(bent_RI, net.down, i, x_RD)
    unit(x_RD, x_RD, net.eps)
    product(x_RD, net.head, 0, logits_RV)
    if net.cap:
        logits_RV[:] = net.cap * np.tanh(logits_RV / f32(net.cap))


@compiled
def unit(x_RD: Array, y_RD: Array, eps: float) -> None:
    """y = x / root mean square of x."""
    for r in range(len(x_RD)):
        total = f32(0)
        for d in range(x_RD.shape[1]):
            total += x_RD[r, d] * x_RD[r, d]
        inverse = f32(1 / np.sqrt(total / x_RD.shape[1] + eps))
        for d in range(x_RD.shape[1]):
            y_RD[r, d] = x_RD[r, d] * inverse


@compiled
def product(x_RI: Array, of: Affine, layer: int, y_RO: Array) -> None:
    """y = scale (W x) + bias."""
    weight_OI, scale_O, bias_O = of.weight_NOI[layer], of.scale_NO[layer], of.bias_NO[layer]
    rows, whole = len(x_RI), weight_OI.itemsize == 1
    if whole and WHOLE and rows > FEW and rows * weight_OI.size >= MUCH:
        whole_product(x_RI, weight_OI, y_RO)
    elif rows >= MANY and not whole:
        y_OR = np.empty((len(weight_OI), rows), f32)
        with objmode():
            times(x_RI, weight_OI, y_OR)
        y_RO[:] = y_OR.T
    else:
        piece = PIECE if rows > 1 else len(weight_OI)
        for o in range(0, len(weight_OI), piece):
            piece_OI = weight_OI[o : o + piece]
            if rows > FEW:
                y_RO[:, o : o + piece] = np.dot(x_RI, floats(piece_OI).T)
            else:
                for r in range(rows):
                    products(piece_OI, x_RI[r], y_RO[r, o : o + piece])
    for r in range(rows):
        for o in range(y_RO.shape[1]):
            y_RO[r, o] = y_RO[r, o] * scale_O[o] + bias_O[o]


def floats(x: Any) -> Any:
    """As float32; not copied where it is."""


@overload(floats)
def _floats(x: Any) -> Any:
    def same(x: Any) -> Any:
        return x

    def made(x: Any) -> Any:
        return x.astype(f32)

    return same if x.dtype == types.float32 else made


@compiled
def whole_product(x_RI: Array, weight_OI: Array, y_RO: Array) -> None:
    """y = W x in whole numbers, see `shared.py`."""
    rows, inputs = x_RI.shape
    unit_R = np.empty(rows, f32)
    bytes_SI = np.empty((2 * rows, inputs), np.int8)
    sums_SO = np.empty((2 * rows, len(weight_OI)), np.int32)
    for r in range(rows):
        unit_R[r] = largest(x_RI[r]) / f32(LARGEST)
        inverse = f32(1) / unit_R[r]
        for j in range(inputs):
            n = rounded(x_RI[r, j] * inverse)
            a = i32(n + i32(128)) >> i32(8)
            bytes_SI[r, j], bytes_SI[rows + r, j] = a, n - i32(a << i32(8))
    with objmode():
        bytes_times(bytes_SI, weight_OI, sums_SO)
    for r in range(rows):
        for o in range(len(weight_OI)):
            y_RO[r, o] = (f32(sums_SO[r, o]) * f32(256) + f32(sums_SO[rows + r, o])) * unit_R[r]


@compiled
def largest(x_I: Array) -> float:
    """The greatest absolute value, a little above 0."""
    top = f32(1e-12)
    for j in range(len(x_I)):
        top = max(top, abs(x_I[j]))
    return top


@inlined
def rounded(x: Any) -> Any:
    """The nearest whole number, of -32767 to 32767."""
    return i32(x + f32(32768.5)) - i32(32768)


@compiled
def add(x_RI: Array, of: Affine, layer: int, y_RO: Array) -> None:
    """y <- y + scale (W x) + bias."""
    z_RO = np.empty_like(y_RO)
    product(x_RI, of, layer, z_RO)
    for r in range(len(y_RO)):
        for o in range(y_RO.shape[1]):
            y_RO[r, o] += z_RO[r, o]


@compiled
def attend(net: Folded, qkv_RO: Array, start: int, known: Known, layer: int, scores_T: Array, y_RD: Array) -> None:
    """Attention of new positions over all up to each, from their queries, keys and values side by side."""
    keys_BGCK, key_units_BGC = known.keys[layer], known.key_units[layer]
    values_BGCK, value_units_BGC = known.values[layer], known.value_units[layer]
    batch, groups, _, k = keys_BGCK.shape
    length, heads = len(qkv_RO) // batch, net.heads
    for r in range(len(qkv_RO)):
        b, t = r // length, start + r % length
        if net.normed or len(net.turn_CK):
            for h in range(heads + groups):
                qk_K = qkv_RO[r, h * k : (h + 1) * k]
                if net.normed:
                    unit(qk_K.reshape(1, k), qk_K.reshape(1, k), 1e-5)
                for j in range(net.turn_CK.shape[1]):
                    turned = complex(qk_K[2 * j], qk_K[2 * j + 1]) * net.turn_CK[t, j]
                    qk_K[2 * j], qk_K[2 * j + 1] = turned.real, turned.imag
        for g in range(groups):
            at, v_at = (heads + g) * k, (heads + groups + g) * k
            keep(qkv_RO[r, at : at + k], keys_BGCK[b, g], key_units_BGC[b, g], t)
            keep(qkv_RO[r, v_at : v_at + k], values_BGCK[b, g], value_units_BGC[b, g], t)
        for h in range(heads):
            g = h * groups // heads
            q_K, y_K = qkv_RO[r, h * k : (h + 1) * k], y_RD[r, h * k : (h + 1) * k]
            products(keys_BGCK[b, g, : t + 1], q_K, scores_T)
            in_units(scores_T, key_units_BGC[b, g], t + 1)
            whole = soften(scores_T[: t + 1], f32(net.scale), net.slopes_H[h])
            in_units(scores_T, value_units_BGC[b, g], t + 1)
            mean(values_BGCK[b, g, : t + 1], scores_T, f32(1) / whole, y_K)


@inlined
def keep(x_K: Array, known_CK: Array, units_C: Array, t: int) -> None:
    """Keeps a vector, as floats or as whole numbers of a unit."""
    if len(units_C):
        units_C[t] = largest(x_K) / f32(32767)
        for j in range(len(x_K)):
            known_CK[t, j] = rounded(x_K[j] / units_C[t])
    else:
        for j in range(len(x_K)):
            known_CK[t, j] = x_K[j]


@inlined
def in_units(x_T: Array, units_C: Array, count: int) -> None:
    """Multiplies by units, where there are any."""
    if len(units_C):
        for s in range(count):
            x_T[s] *= units_C[s]


@inlined
def soften(scores_T: Array, scale: float, slope: float) -> float:
    """exp(score scale - slope distance), of which the greatest is made one; their sum."""
    last = i32(len(scores_T) - 1)
    if slope:
        for s in range(len(scores_T)):
            scores_T[s] -= slope / scale * f32(last - i32(s))
    top = scores_T[0]
    for s in range(1, len(scores_T)):
        top = max(top, scores_T[s])
    whole = f32(0)
    for s in range(len(scores_T)):
        scores_T[s] = exp((scores_T[s] - top) * scale)
        whole += scores_T[s]
    return whole


@inlined
def products(keys_TK: Array, q_K: Array, scores_T: Array) -> None:
    """k q of every key k, or of every row of a matrix; four at a time share what is read of q."""
    count, k = keys_TK.shape
    fours = count - count % 4
    for s in range(0, fours, 4):
        a = b = c = d = f32(0)
        for j in range(k):
            a += f32(keys_TK[s, j]) * q_K[j]
            b += f32(keys_TK[s + 1, j]) * q_K[j]
            c += f32(keys_TK[s + 2, j]) * q_K[j]
            d += f32(keys_TK[s + 3, j]) * q_K[j]
        scores_T[s], scores_T[s + 1], scores_T[s + 2], scores_T[s + 3] = a, b, c, d
    for s in range(fours, count):
        a = f32(0)
        for j in range(k):
            a += f32(keys_TK[s, j]) * q_K[j]
        scores_T[s] = a


@inlined
def mean(values_TK: Array, weight_T: Array, factor: float, y_K: Array) -> None:
    """The values' sum, weighted, times a factor; four at a time share what is written."""
    count, k = values_TK.shape
    fours = count - count % 4
    y_K[:] = f32(0)
    for s in range(0, fours, 4):
        a, b, c, d = weight_T[s], weight_T[s + 1], weight_T[s + 2], weight_T[s + 3]
        for j in range(k):
            y_K[j] += (a * f32(values_TK[s, j]) + b * f32(values_TK[s + 1, j])) + (
                c * f32(values_TK[s + 2, j]) + d * f32(values_TK[s + 3, j])
            )
    for s in range(fours, count):
        for j in range(k):
            y_K[j] += weight_T[s] * f32(values_TK[s, j])
    for j in range(k):
        y_K[j] *= factor


@compiled
def bend(x_RO: Array, how: int, y_RI: Array) -> None:
    """The activation between an MLP's matrices."""
    half = y_RI.shape[1]
    for r in range(len(x_RO)):
        if how == SWIGLU:
            for j in range(half):
                y_RI[r, j] = x_RO[r, j] / (f32(1) + exp(-x_RO[r, j])) * x_RO[r, half + j]
        elif how == GELU:  # with tanh: x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))
            for j in range(half):
                x = x_RO[r, j]
                y_RI[r, j] = x / (f32(1) + exp((x * x * f32(0.044715) + f32(1)) * x * f32(-1.5957691216)))
        else:
            for j in range(half):
                x = max(x_RO[r, j], f32(0))
                y_RI[r, j] = x * x if how == RELU2 else x


@inlined
def exp(x: Any) -> Any:
    """e^x to 3e-7 of itself, of -60 to 87: 2^n e^r with whole n and |r| <= log(2) / 2, e^r by its series. What the
    compiler can do with many numbers at a time; the library's own exp it cannot."""
    x = f32(-60) if x < f32(-60) else x  # nothing beside 1, but what it is multiplied by does not become subnormal
    x = f32(87) if x > f32(87) else x
    n = i32(x * f32(1.44269504) + f32(127.5))  # 127 more, as in a float's bits
    r = x - f32(n - i32(127)) * f32(0.69314718)
    p = ((f32(1 / 720) * r + f32(1 / 120)) * r + f32(1 / 24)) * r + f32(1 / 6)
    p = ((p * r + f32(1 / 2)) * r + f32(1)) * r + f32(1)
    return p * i32(n << i32(23)).view(f32)
