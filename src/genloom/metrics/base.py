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
from genloom.errors import BadData, BadValue

Array = Tensor | NDArray[Any]
# Of the protocol, in a signature's order.
SIGNED = ("features", "resize", "n_held_out", "k", "seed", "data", "split", "version")
BIASED = frozenset(
    ("fd", "fd_floor", "fid", "fid_floor", "precision", "recall", "density", "coverage", "vendi", "is", "distinct_1",
     "distinct_2", "distinct_3", "distinct_4", "columns", "pairs")
)  # fmt: skip
"""Figures whose expected value depends on n: balls shrink, covariances are estimated, more kinds of items are seen."""


@dataclass(frozen=True)
class Result:
    """One figure, with all that is needed to read it and to repeat it.

    key: what a program looks for ("fd"); name: what a person reads ("FD(mnist@1a2b3c4d)").
    value: the figure; interval: its 95% interval, None where no honest one is known; n: items that were measured.
    protocol: everything the value depends on: the other side's n, neighbours, features, seed, split, the interval's
    method; "floor" is what real training items score.
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

    @property
    def floor(self) -> float | None:
        """What real training items score, measured alike; None where that was not measured or means nothing."""
        return self.protocol.get("floor")

    @property
    def signature(self) -> str:
        """How the figure was measured, in one short word: only figures of one signature are one another's equals."""
        parts = [("n", self.n), *((k, self.protocol.get(k)) for k in SIGNED)]
        return "|".join([self.key, *(f"{k}:{v}" for k, v in sorted(parts, key=_place) if v is not None)])

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready form."""
        interval = list(self.interval) if self.interval else None
        return {**asdict(self), "interval": interval, "floor": self.floor, "signature": self.signature}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """What `to_json` wrote. Raises KeyError where something is missing."""
        ends = data["interval"]
        kept = {k: data[k] for k in ("key", "name", "value", "n", "protocol", "citation", "better")}
        return cls(**kept, interval=None if ends is None else (ends[0], ends[1]))


def _place(part: tuple[str, Any]) -> int:
    return 1 if part[0] == "n" else 0 if part[0] == "features" else 2


def comparable(a: Result, b: Result) -> None:
    """Raises BadValue, with the reason and the command that cures it, where two figures must not be compared."""

    def differs(what: str, cure: str) -> BadValue:
        ours, theirs = (r.n if what == "n" else r.protocol.get(what) for r in (a, b))
        shown = "held-out items" if what == "n_held_out" else what
        return BadValue(f"{a.name} and {b.name} cannot be compared: {shown} {ours} and {theirs}: {cure}")

    together = "measure both in one go: `genloom evaluate RUN --against RUN2`"
    if a.key != b.key:
        raise BadValue(f"{a.name} ({a.key}) and {b.name} ({b.key}) are different figures: compare like with like")
    for what, cure in (
        ("data", "measure both on the same data: `genloom evaluate SAMPLES --data D`"),
        ("split", "measure both on the same split of the data"),
        ("features", f"{together}, or both on one machine"),
        ("resize", f"{together}, or with one version of genloom"),
        ("judge", f"{together}, or both on one machine"),
        ("kind", "a bound and an exact value compare one way only: train two models of one kind"),
        ("k", "measure both with one version of genloom"),
        ("size", "measure both on the data at one size: --data.size"),
    ):
        if a.protocol.get(what) != b.protocol.get(what):
            raise differs(what, cure)
    if a.key.removesuffix("_real") in BIASED:
        if a.n != b.n:
            raise differs("n", f"its value depends on n: measure both at n = {min(a.n, b.n)}: "
                               f"`genloom evaluate RUN -n {min(a.n, b.n)}`")  # fmt: skip
        if a.protocol.get("n_held_out") != b.protocol.get("n_held_out"):
            raise differs("n_held_out", f"its value depends on them: {together}")


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
