"""What a model would compute anew at each draw of an item, computed once: a split that hands out the results.

Whether that is done depends on the model, the data and their options alone, never on the machine, so that a run that
is resumed elsewhere sees the same numbers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import Batch, Model
from genloom.data import Split
from genloom.data.options import DataOptions
from genloom.engine.precision import Plan, arrange_batch
from genloom.engine.preview import resting

MOST_BYTES = 1 << 30
"""The results of all items together are kept up to this size."""
CHUNK = 256


class Condensed(Split):
    """The rows of a split after `Model.condense`, in memory on the CPU."""

    def __init__(self, split: Split, columns: dict[str, Tensor]) -> None:
        self.spec, self._split, self._columns = split.spec, split, columns

    def __len__(self) -> int:
        return len(self._split)

    @property
    def items(self) -> int:
        return self._split.items

    def raw(self, index: Tensor) -> Batch:
        return self._split.raw(index)

    def batch(self, index: Tensor) -> Batch:
        return {name: column[index] for name, column in self._columns.items()}

    def fingerprint(self) -> bytes:
        return self._split.fingerprint()


def condensed(model: Model, split: Split, options: DataOptions, device: torch.device) -> Split:
    """The split, with what the model makes of its items once for all; the split itself where the model makes nothing
    of them, where items are augmented or overlap, or where the results would take more than MOST_BYTES.

    Computed in fp32 whatever the run's arithmetic: it is done once.
    """
    if type(model).condense is Model.condense or options.flip or len(split) != split.items or not len(split):
        return split
    columns: dict[str, Tensor] = {}
    with resting(model):
        for index in torch.arange(len(split)).split(CHUNK):
            made = model.condense(arrange_batch(split.batch(index), Plan(), device))
            for name, value in made.items():
                if name not in columns:
                    columns[name] = torch.empty((len(split), *value.shape[1:]), dtype=value.dtype)
                    if sum(c.nbytes for c in columns.values()) > MOST_BYTES:
                        return split
                columns[name][index] = value.cpu()
    return Condensed(split, columns)
