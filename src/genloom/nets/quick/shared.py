"""Products of several rows, which share what is read of the weights, by PyTorch.

Of bytes, the rows too are made of whole numbers, with 16 bits: a unit times 256 a + b, where a and b are bytes. Bytes
times bytes is what processors do fastest, and their sums in 32 bits are exact: a row's result does not depend on those
beside it.
"""

from __future__ import annotations

import platform

import torch

from genloom.nets.quick.folded import Array

WHOLE = torch.backends.mkldnn.is_available() and platform.machine().lower() in ("x86_64", "amd64")
"""Whether PyTorch multiplies bytes fast: with AVX2 about as fast as floats, with VNNI three times, with AMX five."""
LARGEST = 127 * 256 + 127
"""Of whole numbers made of two bytes."""


def times(x_RI: Array, weight_OI: Array, y_OR: Array) -> None:
    """y = W x, an output a line: for some ten rows faster than a row a line."""
    torch.mm(torch.from_numpy(weight_OI).float(), torch.from_numpy(x_RI).T, out=torch.from_numpy(y_OR))


def bytes_times(x_RI: Array, weight_OI: Array, y_RO: Array) -> None:
    """y = W x of bytes, summed in 32 bits."""
    torch._int_mm(torch.from_numpy(x_RI), torch.from_numpy(weight_OI).T, out=torch.from_numpy(y_RO))
