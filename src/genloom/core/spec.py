"""What one item of a data set is made of: named fields, each with a modality, a shape and a range.

Tensor shapes leave out the batch dimension: an image is (C, H, W), a text is (L,), a class is ().
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from torch import Tensor

from genloom.errors import BadData

Role = Literal["item", "condition"]


@dataclass(frozen=True)
class Field:
    """One named part of an item.

    modality: "image" (floats), "text" (token ids) or "class" (an index into `classes`).
    shape: without the batch dimension: image (C, H, W), text (L,), class ().
    range: least and greatest value of a continuous field; models see and return images in this range.
    vocabulary: how many token ids a discrete field has; 0 for continuous ones.
    classes: names of a class field's values, in the order of their indices.
    role: "item" is what a model learns to generate, "condition" what it may be told beforehand.
    domain: fields of one domain are paired; different domains are independent collections.
    """

    modality: str
    shape: tuple[int, ...]
    range: tuple[float, float] = (-1.0, 1.0)
    vocabulary: int = 0
    classes: tuple[str, ...] = ()
    role: Role = "item"
    domain: str = ""


DataSpec: TypeAlias = Mapping[str, Field]
Batch: TypeAlias = Mapping[str, Tensor]


def batch_size(batch: Batch) -> int:
    """The number of items in a batch (0 for an empty mapping)."""
    return next((len(t) for t in batch.values()), 0)


def the_item(spec: DataSpec, modality: str, who: str) -> tuple[str, Field]:
    """The name and field of the one item of `modality` that the model `who` generates.

    Raises BadData where the data set holds no such item.
    """
    found = [(k, f) for k, f in spec.items() if f.role == "item" and f.modality == modality]
    if len(found) != 1:
        have = ", ".join(f"{f.modality} {k!r}" for k, f in spec.items() if f.role == "item") or "nothing"
        raise BadData(f"{who} generates one {modality} field; this data set holds {have}: choose data of {modality}s")
    return found[0]


def the_class(spec: DataSpec) -> tuple[str, Field] | None:
    """The name and field of the class condition, or None where the data carries no labels."""
    found = [(k, f) for k, f in spec.items() if f.role == "condition" and f.modality == "class"]
    return found[0] if found else None


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """A JSON-ready form of a specification; `spec_from_json` reads it back."""
    return {name: asdict(field) for name, field in spec.items()}


def spec_from_json(data: Mapping[str, Any]) -> dict[str, Field]:
    """The specification written by `spec_to_json`."""
    return {
        name: Field(**{**f, "shape": tuple(f["shape"]), "range": tuple(f["range"]), "classes": tuple(f["classes"])})
        for name, f in data.items()
    }
