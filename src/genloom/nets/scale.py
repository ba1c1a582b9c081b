"""Between the range in which data keeps its values and [-1, 1], in which networks see them and a tanh makes them."""

from __future__ import annotations

from torch import Tensor

Range = tuple[float, float]


def inward(x: Tensor, low_high: Range) -> Tensor:
    """Items of a range in [-1, 1]."""
    low, high = low_high
    return x if (low, high) == (-1, 1) else (x - low) * (2 / (high - low)) - 1


def outward(x: Tensor, low_high: Range) -> Tensor:
    """The inverse of `inward`."""
    low, high = low_high
    return x if (low, high) == (-1, 1) else low + (high - low) * (x + 1) / 2
