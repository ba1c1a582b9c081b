"""What every metric shares: the result with its protocol, the data it asks for, matrices in, numbers out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genloom.core import Batch, DataSpec
from genloom.errors import BadData

Array = Tensor | NDArray[Any]


@dataclass(frozen=True)
class Result:
    """One figure, with all that is needed to read it and to repeat it.

    key: what a program looks for ("fd"); name: what a person reads ("FD(mnist@1a2b3c4d)").
    value: the figure; interval: its 95% interval, None where no honest one is known; n: items that were measured.
    protocol: everything the value depends on: the other side's n, neighbours, features, the interval's method.
    citation: where the metric was published.
    better: "lower", "higher" or "" where neither is.
    """

    key: str
    name: str
    value: float
    interval: tuple[float, float] | None
    n: int
    protocol: Mapping[str, Any] = field(default_factory=dict)
    citation: str = ""
    better: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {**asdict(self), "interval": list(self.interval) if self.interval else None}


class SplitLike(Protocol):
    """A part of a data set, as metrics see it: `genloom.data`'s Split, or anything that answers alike."""

    @property
    def spec(self) -> DataSpec: ...

    @property
    def items(self) -> int:
        """Distinct items: images, or text windows that do not overlap."""
        ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> Batch: ...


def spread(n: int, most: int, seed: int = 0) -> Tensor:
    """All of range(n), or `most` of them: one drawn from each of `most` equal stretches, ascending, int64.

    A fixed stride could fall in step with classes that alternate, and a shuffle of all would need memory for all.
    """
    if n <= most:
        return torch.arange(n)
    within = torch.rand(most, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return ((torch.arange(most, dtype=torch.float64) + within) * (n / most)).long().clamp_(max=n - 1)


def as_matrix(x: Array, what: str = "features") -> Tensor:
    """x as a float tensor (N, D) on the CPU: later dimensions are flattened, uint8 becomes float.

    Raises BadData where a value is not finite, or where there are no dimensions to compare.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(x)) if isinstance(x, np.ndarray) else x.detach()
    if tensor.ndim < 2:
        raise BadData(
            f"{what}: expected a matrix (items, dimensions), got shape {tuple(tensor.shape)}: pass one row an item"
        )
    tensor = tensor.cpu().flatten(1)
    tensor = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    if not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).any(1).sum())
        raise BadData(
            f"{what}: {bad} of {len(tensor)} rows hold values that are not finite: leave them out or mend the model"
        )
    return tensor


def pair(x: Array, y: Array) -> tuple[Tensor, Tensor]:
    """Two sets of the same width. Raises BadData where the widths differ."""
    a, b = as_matrix(x), as_matrix(y)
    if a.shape[1] != b.shape[1]:
        raise BadData(
            f"two sets of {a.shape[1]} and {b.shape[1]} dimensions cannot be compared: use the same features for both"
        )
    return a, b
