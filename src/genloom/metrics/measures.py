"""Numbers that can be computed of an item, by name: properties of molecules, functions of the user."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadData, BadValue, unknown
from genloom.metrics.extractors import imported
from genloom.modalities import chemistry
from genloom.modalities.registry import modality
from genloom.modalities.smiles import strings


@dataclass(frozen=True)
class Measure:
    """name: in tables; of: items (n, ...) to their numbers (n,), nan where an item has none."""

    name: str
    of: Callable[[Tensor], np.ndarray]


def measure_for(name: str, field: Field) -> Measure:
    """The number of that name of items of a field: `logp` and others of molecules, package.module:function of any,
    which is given items (n, ...) in the field's range and answers n numbers. Raises NotFound, BadValue."""
    if ":" in name:
        return Measure(name, _of_user(name))
    if field.modality == "molecule":
        if name not in chemistry.PROPERTIES:
            raise unknown("property", name, chemistry.PROPERTIES)
        chemistry.check()
        return Measure(chemistry.NAMES[name], lambda items: chemistry.properties(strings(_ids(items), field), name))
    raise BadValue(
        f"--property {name}: no property of {modality(field.modality).plural} has a name; give package.module:function"
    )


def spelled(items: Tensor, field: Field) -> list[str | None]:
    """One form for all spellings of the same item, to tell different ones apart; None where it is none."""
    if field.modality == "molecule":
        return [chemistry.canonical(s) for s in strings(_ids(items), field)]
    return [row.numpy().tobytes().hex() for row in items.detach().cpu().contiguous()]


def _ids(items: Tensor) -> np.ndarray:
    return items.detach().cpu().long().numpy()


def _of_user(name: str) -> Callable[[Tensor], np.ndarray]:
    function = imported(name, "--property", "items")

    def of(items: Tensor) -> np.ndarray:
        found = function(items)
        values = np.asarray(found.detach().cpu() if isinstance(found, Tensor) else found, np.float64)
        if values.shape != (len(items),):
            raise BadData(f"--property {name}: expected a number for each of {len(items)} items, got {values.shape}")
        return values

    return of
