"""Items of other libraries' data sets, one at a time: what a row or a (picture, class) pair holds, as bytes.

Nothing is imported here: objects are known by what they can do, so torchvision and `datasets` may be missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from genloom.data.decode import to_bytes
from genloom.errors import BadData

PARTS = ("train", "validation", "test")
_NAMES = {
    "train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2, "testing": 2,
}  # fmt: skip


class Item(NamedTuple):
    """pixels: uint8 or float (H, W) or (H, W, 3), or a text; label: its class, None without one."""

    content: np.ndarray | str
    label: int | None


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold the item and its class. modality: "image" or "text"; classes: their names."""

    item: str
    modality: str
    label: str | None
    classes: tuple[str, ...]


def is_table(found: Any) -> bool:
    """Whether an object is a `datasets.Dataset`: rows by name, with typed columns."""
    return hasattr(found, "features") and hasattr(found, "column_names") and hasattr(found, "__getitem__")


def is_map_style(found: Any) -> bool:
    """Whether an object is a data set that knows its length and gives items by number."""
    return hasattr(found, "__len__") and hasattr(found, "__getitem__") and not isinstance(found, str | bytes)


def parts_of(found: Any, name: str, notes: list[str]) -> dict[int, Any]:
    """The splits of an object, by part 0, 1, 2; one of unknown name is left out with a note, a single one is part 0.

    Raises BadData for what is no data set of this kind.
    """
    if isinstance(found, Mapping):
        parts: dict[int, Any] = {}
        for key, value in found.items():
            part = _NAMES.get(str(key).lower())
            if part is None or part in parts:
                notes.append(f"the split {str(key)!r} is not used: neither train, validation nor test")
            else:
                parts[part] = value
        if not parts and len(found) == 1:
            parts = {0: next(iter(found.values()))}
        if not parts or (0 not in parts and len(parts) > 1):
            have = ", ".join(map(repr, found)) or "nothing"
            raise BadData(f"{name} has the splits {have}: one must be called 'train'")
        if 0 not in parts:
            parts = {0: next(iter(parts.values()))}
    else:
        parts = {0: found}
    for part, value in parts.items():
        if not is_map_style(value):
            kind = type(value).__name__
            cure = "load it without streaming" if hasattr(value, "__iter__") else "give a data set with a length"
            raise BadData(f"{name}: expected a data set that gives items by number, got {kind}: {cure}")
        if not len(value):
            raise BadData(f"{name}: its {PARTS[part]} split is empty")
    return parts


def columns_of(table: Any, name: str, notes: list[str]) -> Columns:
    """The picture (or else the text) and the class in a table's columns. Raises BadData where there is neither."""
    kinds = {column: _kind(feature) for column, feature in table.features.items()}
    pictures = [c for c, kind in kinds.items() if kind == "image"]
    texts = [c for c, kind in kinds.items() if kind == "text"]
    if not pictures and not texts:
        have = ", ".join(f"{c} ({type(f).__name__})" for c, f in table.features.items())
        raise BadData(f"{name} has no column of pictures and none of text, but {have}: choose another data set")
    item = (pictures or sorted(texts, key=lambda c: c != "text"))[0]
    modality = "image" if pictures else "text"
    if len(pictures or texts) > 1:
        notes.append(f"the column {item!r} is used, of {', '.join(map(repr, pictures or texts))}")
    labels = [c for c, kind in kinds.items() if kind == "class"] if modality == "image" else []
    label = next((c for c in ("label", "labels") if c in labels), labels[0] if labels else None)
    if len(labels) > 1:
        notes.append(f"the classes are those of the column {label!r}, of {', '.join(map(repr, labels))}")
    classes = tuple(map(str, table.features[label].names)) if label else ()
    return Columns(item, modality, label, classes)


def _kind(feature: Any) -> str:
    """What a column of `datasets` holds, by the names of its feature types."""
    name = type(feature).__name__
    if name == "Image":
        return "image"
    if name == "ClassLabel":
        return "class"
    if name == "Value" and getattr(feature, "dtype", "") in ("string", "large_string"):
        return "text"
    return "other"


def rows(table: Any, columns: Columns) -> Iterator[Item | Exception]:
    """The rows in order, each read when it is asked for; an exception in place of one that cannot be read."""
    wanted = [columns.item, *([columns.label] if columns.label else [])]
    plain = (getattr(table, "format", None) or {}).get("type") is None
    if plain and hasattr(table, "select_columns"):  # a person's own transform may want all columns
        table = table.select_columns(wanted)  # the others are never decoded
    for i in range(len(table)):
        try:
            row = table[i]
            label = _label(row[columns.label]) if columns.label else None
            content = row[columns.item]
            yield Item(content if columns.modality == "text" else pixels(content), label)
        except Exception as error:  # decoders raise what they like at broken files
            yield error


def pairs(found: Any) -> Iterator[Item | Exception]:
    """The items of a map-style data set in order: (picture, class), a picture alone, or a mapping of both."""
    for i in range(len(found)):
        try:
            item = found[i]
            if isinstance(item, Mapping):
                content = next((item[k] for k in ("image", "img", "pixel_values", "x") if k in item), None)
                label = next((item[k] for k in ("label", "labels", "target", "y") if k in item), None)
            elif isinstance(item, tuple | list):
                content, label = item[0], item[1] if len(item) > 1 else None
            else:
                content, label = item, None
            yield Item(pixels(content), _label(label))
        except Exception as error:
            yield error


def pixels(content: Any) -> np.ndarray:
    """A picture as an array (H, W) or (H, W, 3), bytes or floats. Raises ValueError for what is none.

    Pictures of Pillow in any mode, tensors (C, H, W), arrays (H, W, C); tensors and arrays of two dimensions are grey.
    """
    if isinstance(content, Image.Image):
        return np.asarray(to_bytes(content))
    tensor = hasattr(content, "detach")
    array = np.asarray(content.detach().cpu().numpy() if tensor else content)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        if array.size and (array.min() < 0 or array.max() > 255):
            raise ValueError(f"whole numbers from {array.min()} to {array.max()}, expected 0 to 255")
        array = array.astype(np.uint8)
    if array.dtype.kind not in "uf" or array.ndim not in (2, 3):
        raise ValueError(f"a {type(content).__name__} of {array.dtype} and shape {array.shape} is no picture")
    if array.ndim == 3:
        first = array.shape[0] in (1, 3) and (tensor or array.shape[2] not in (1, 3))
        array = array.transpose(1, 2, 0) if first else array
        if array.shape[2] == 1:
            array = array[:, :, 0]
        elif array.shape[2] != 3:
            raise ValueError(f"shape {array.shape}: expected 1 or 3 channels")
    return array


def _label(value: Any) -> int | None:
    """A class as a number; None for what is none (boxes, masks, captions) and for -1, which stands for unknown."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value
