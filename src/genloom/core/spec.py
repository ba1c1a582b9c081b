"""What one item of a data set is made of: named fields, each with a modality, a shape and a range.

Tensor shapes leave out the batch dimension: an image is (C, H, W), a text is (L,), a class is ().
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from torch import Tensor

from genloom.errors import BadData

Role = Literal["item", "condition"]


@dataclass(frozen=True)
class Column:
    """One column of a table, and what is needed to turn it into numbers near [-1, 1] and back.

    kind: "number" or "category". values: a category's words, in the order of their codes. knots: a number's quantiles
    at even steps from 0 to 1 in the training rows. whole: whether every number in it is a whole one. missing: whether
    some rows have no number; that takes a further number, 1 where it is missing and -1 where it is not.
    """

    name: str
    kind: Literal["number", "category"]
    values: tuple[str, ...] = ()
    knots: tuple[float, ...] = ()
    whole: bool = False
    missing: bool = False

    @property
    def width(self) -> int:
        """How many of a row's numbers this column takes: one or two for numbers, one for each value of a category."""
        return len(self.values) if self.kind == "category" else 1 + self.missing


@dataclass(frozen=True)
class Field:
    """One named part of an item.

    modality: "image", "audio", "video", "table", "vector", "strokes" (floats), "text" (token ids) or "class" (an index
        into `classes`), "music" (token ids of notes), "molecule" (token ids of SMILES).
    shape: without the batch dimension: image (C, H, W), audio (C, T), video (C, T, H, W), table and vector (D,),
        strokes (L, 3), text, music and molecule (L,), class ().
    range: least and greatest value of a continuous field; models see and return images in this range. A field without
        bounds, as of another model's latents, has (-inf, inf) and is expected to have mean 0 and deviation 1. Of music
        the lowest and highest pitch of the training pieces.
    vocabulary: how many token ids a discrete field has; 0 for continuous ones.
    classes: names of a class field's values, in the order of their indices; of molecules what each token id stands for.
    role: "item" is what a model learns to generate, "condition" what it may be told beforehand.
    domain: fields of one domain are paired; different domains are independent collections.
    rate: samples of audio or frames of video a second; 0 where there is no time.
    end: the id that ends a text and fills the rest of its row, or stands between two pieces of music; -1 where items
        are windows without an end.
    columns: of a table, in the order of a row's numbers.
    whole: whether an item of token ids is a whole piece, filled up with `end`, instead of a window of a long row.
    grid: (steps a beat, voices) of music whose voices take turns at every step; windows of it begin with a beat.
    grain: of a field without bounds, the distance between neighbouring stored values; 0 where there is none.
    """

    modality: str
    shape: tuple[int, ...]
    range: tuple[float, float] = (-1.0, 1.0)
    vocabulary: int = 0
    classes: tuple[str, ...] = ()
    role: Role = "item"
    domain: str = ""
    rate: float = 0.0
    end: int = -1
    columns: tuple[Column, ...] = ()
    whole: bool = False
    grid: tuple[int, ...] = ()
    grain: float = 0.0

    @property
    def cycle(self) -> int:
        """After how many tokens of music on a grid a beat begins again; 1 for everything else."""
        return math.prod(self.grid)


CONTINUOUS = ("image", "audio", "video", "table", "vector")
"""Modalities whose items are floats in a range."""
TOKENS = ("text", "music", "molecule")
"""Modalities whose items are token ids (L,)."""

DataSpec: TypeAlias = Mapping[str, Field]
Batch: TypeAlias = Mapping[str, Tensor]


def batch_size(batch: Batch) -> int:
    """The number of items in a batch (0 for an empty mapping)."""
    return next((len(t) for t in batch.values()), 0)


def the_item(spec: DataSpec, modality: str | tuple[str, ...], who: str) -> tuple[str, Field]:
    """The name and field of the one item of `modality` (or of any of several) that the model `who` generates.

    Raises BadData where the data set holds no such item.
    """
    wanted = (modality,) if isinstance(modality, str) else modality
    found = [(k, f) for k, f in spec.items() if f.role == "item" and f.modality in wanted]
    if len(found) != 1:
        have = ", ".join(f"{f.modality} {k!r}" for k, f in spec.items() if f.role == "item") or "nothing"
        *most, last = wanted
        what = f"{', '.join(most)} or {last}" if most else last
        raise BadData(f"{who} generates one {what} field; this data set holds {have}: choose other data, or a recipe "
                      "that fits these (see `genloom recipes`)")  # fmt: skip
    return found[0]


def the_class(spec: DataSpec) -> tuple[str, Field] | None:
    """The name and field of the class condition, or None where the data carries no labels."""
    found = [(k, f) for k, f in spec.items() if f.role == "condition" and f.modality == "class"]
    return found[0] if found else None


def the_prompt(spec: DataSpec, who: str) -> tuple[str, Field]:
    """The name and field of the text that the model `who` answers. Raises BadData where the data set holds none."""
    found = [(k, f) for k, f in spec.items() if f.role == "condition" and f.modality == "text"]
    if not found or not all(f.end >= 0 for f in (found[0][1], *(f for f in spec.values() if f.role == "item"))):
        raise BadData(
            f"{who} answers prompts, and this data set holds none: choose one of prompts with answers, as a .jsonl "
            "with a prompt and an answer in each line, or --data.read answers"
        )
    return found[0]


def translations(spec: DataSpec) -> dict[str, tuple[str, str]]:
    """Which pictures can be turned into which: task -> (given, made), fields of images, called "black-to-color".

    From a condition to the item it is paired with, and between the items of different domains, both ways.
    """
    images = pictures(spec).items()
    pairs = [
        (a, b)
        for b, made in images
        for a, given in images
        if made.role == "item" and (given.role == "condition" or given.domain != made.domain)
    ]
    return {f"{a}-to-{b}": (a, b) for a, b in sorted(pairs)}


def the_pair(spec: DataSpec, who: str) -> tuple[str, str]:
    """The names of the picture that `who` is given and of the one it makes. Raises BadData where there is no pair."""
    found = [(a, b) for a, b in translations(spec).values() if spec[a].role == "condition" and _is_image(spec[b])]
    if len(found) != 1:
        cure = "--data.pairing paired" if len(pictures(spec)) > 1 else "a second form of them, as by --data.pair edges"
        raise BadData(f"{who} learns from pairs of pictures, {_held(spec)}: choose {cure}")
    return found[0]


def the_domains(spec: DataSpec, who: str) -> tuple[str, str]:
    """The names of the two collections of pictures that `who` learns from. Raises BadData where there are not two."""
    found = [k for k in pictures(spec) if spec[k].role == "item"]
    if len(found) != 2:
        one = "two sub-folders, or a second form of them by --data.pair edges, with --data.pairing unpaired or hidden"
        cure = "--data.pairing hidden" if len(pictures(spec)) > 1 else one
        raise BadData(f"{who} learns from two collections of pictures, {_held(spec)}: choose {cure}")
    return found[0], found[1]


def pictures(spec: DataSpec) -> dict[str, Field]:
    """The fields that are images, by name."""
    return {name: field for name, field in spec.items() if _is_image(field)}


def _is_image(field: Field) -> bool:
    return field.modality == "image"


def _held(spec: DataSpec) -> str:
    held = ", ".join(f"{f.modality} {k!r}" for k, f in spec.items() if f.role == "item" or _is_image(f))
    return f"and this data set holds {held or 'nothing'}"


def spec_to_json(spec: DataSpec) -> dict[str, Any]:
    """A JSON-ready form of a specification; `spec_from_json` reads it back."""
    return {
        name: {**asdict(field), "range": [x if math.isfinite(x) else None for x in field.range]}  # JSON has no infinity
        for name, field in spec.items()
    }


def spec_from_json(data: Mapping[str, Any]) -> dict[str, Field]:
    """The specification written by `spec_to_json`."""
    return {name: _field(entry) for name, entry in data.items()}


def _field(entry: Mapping[str, Any]) -> Field:
    columns = tuple(
        Column(**{**c, "values": tuple(c["values"]), "knots": tuple(c["knots"])}) for c in entry.get("columns", ())
    )
    tuples = {k: tuple(entry.get(k, ())) for k in ("shape", "classes", "grid")}
    low, high = entry["range"]
    tuples["range"] = (-math.inf if low is None else low, math.inf if high is None else high)
    return Field(**{**entry, **tuples, "columns": columns})
