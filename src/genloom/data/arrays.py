"""A person's .npy and .npz arrays of images.

Shapes: (n, h, w) grey, (n, h, w, 1 or 3) or (n, 1 or 3, h, w). Values: bytes 0..255; floats in [0, 1], or in [-1, 1] if
any is negative; booleans. Large uint8 .npy files stay on disk and are memory-mapped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.options import DataOptions
from genloom.data.shape import fit_array
from genloom.data.splits import Rows, by_content, content_keys
from genloom.errors import BadData

_IMAGES = ("images", "image", "x_train", "train_images", "x", "data", "arr_0")
_LABELS = ("labels", "label", "y_train", "train_labels", "y", "targets", "target", "arr_1")
_TEST_IMAGES, _TEST_LABELS = ("x_test", "test_images"), ("y_test", "test_labels")
_MAP_FROM = 256 << 20  # bytes from which an array is memory-mapped
_BLOCK = 4096


def load_array_file(path: Path, options: DataOptions) -> Dataset:
    """The data set of a .npy or .npz file. Raises BadData for shapes, values and files that are no images."""
    notes: list[str] = []
    held = _read(path)
    images = _images(_pick(held, _IMAGES, path, "images"), path, notes)
    raw_labels = _find(held, _LABELS)
    tests = _find(held, _TEST_IMAGES)
    count = len(images)
    if tests is not None:
        other = _images(tests, path, notes)
        if other.shape[1:] != images.shape[1:]:
            raise BadData(f"{path}: training images {tuple(images.shape[1:])} and test images {tuple(other.shape[1:])}")
        images = torch.cat([images, other])
        notes.append("the file's own test images are the test split")
        test_labels = _find(held, _TEST_LABELS)
        joined = raw_labels is not None and test_labels is not None
        raw_labels = np.concatenate([raw_labels, test_labels]) if joined else None
    if count < 2:
        raise BadData(f"{path} holds one image, and a model needs several: give more")
    labels, classes = _labels(raw_labels, len(images), path)
    images = fit_array(images, options, notes)
    strata = labels if labels is not None else np.zeros(len(images), np.int64)
    keys = content_keys(images[:count])
    rows: Rows = by_content(keys, strata[:count], notes, (0.1, 0.1 if tests is None else 0.0))
    if tests is not None:
        rows = (rows[0], rows[1], torch.arange(count, len(images)))
    card = Card(path.name, str(path), "the owner's", "", f"{len(images):,} images in an array")
    label_tensor = None if labels is None else torch.from_numpy(labels)
    return image_dataset(path.stem, options, images, label_tensor, classes, rows, card, notes)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a .npy file's one array is "images". Never unpickles."""
    try:
        if path.suffix.lower() == ".npy":
            mapped: Literal["c"] | None = (
                "c" if path.stat().st_size >= _MAP_FROM else None
            )  # copy on write: torch asks for writable memory
            return {"images": np.load(path, mmap_mode=mapped, allow_pickle=False)}
        with np.load(path, allow_pickle=False) as file:
            wanted = {*_IMAGES, *_LABELS, *_TEST_IMAGES, *_TEST_LABELS}
            chosen = [name for name in file.files if name.lower() in wanted or len(file.files) == 1]
            if not chosen:
                have = ", ".join(map(repr, file.files)) or "nothing"
                raise BadData(f"{path} holds {have}: name the images 'images'")
            held = {name.lower(): file[name] for name in chosen}
            return held if len(file.files) > 1 or chosen[0].lower() in wanted else {"images": held[chosen[0].lower()]}
    except (BadData, PermissionError):
        raise
    except MemoryError:
        raise BadData(
            f"{path} needs more memory than there is: save it as .npy with bytes, which stays on disk"
        ) from None
    except Exception as error:  # numpy, zip and zlib have a dozen ways to say that a file is broken
        if "pickle" in str(error).lower() and "object" in str(error).lower():
            raise BadData(f"{path} holds Python objects: save numbers of one shape (n, height, width)") from None
        raise BadData(f"{path} cannot be read as a numpy file: {_one_line(error)}; save it again") from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


def _find(held: dict[str, np.ndarray], names: tuple[str, ...]) -> np.ndarray | None:
    return next((held[n] for n in names if n in held), None)


def _pick(held: dict[str, np.ndarray], names: tuple[str, ...], path: Path, what: str) -> np.ndarray:
    found = _find(held, names)
    if found is None:
        raise BadData(f"{path} holds {', '.join(map(repr, held))} and no {what}: name them '{names[0]}'")
    return found


def _images(array: np.ndarray, path: Path, notes: list[str]) -> Tensor:
    """Any accepted array as uint8 (N, C, H, W), without a copy where it holds bytes already."""
    wanted = "expected (n, height, width), (n, height, width, 1 or 3) or (n, 1 or 3, height, width)"
    shape = "x".join(map(str, array.shape)) or "a single number"
    if array.ndim not in (3, 4):
        raise BadData(f"{path}: {wanted}, got {shape}: reshape it to images")
    if array.size == 0:
        raise BadData(f"{path}: {wanted}, got {shape}, which is empty: give images")
    channels = 1
    if array.ndim == 4:
        last = array.shape[3] in (1, 3)
        if not last and array.shape[1] not in (1, 3):
            found = min(array.shape[1], array.shape[3])  # sides of images are longer than their channels are many
            cure = "drop the alpha channel" if found == 4 else "keep 1 or 3 channels"
            raise BadData(f"{path}: {wanted}, got {shape} with {found} channels: {cure}")
        if last and array.shape[1] in (1, 3):
            notes.append(f"{shape} is read as (n, height, width, channels)")
        channels = array.shape[3] if last else array.shape[1]
        if channels == 1:
            array = array[:, :, :, 0] if last else array[:, 0]
        elif not last:
            return torch.from_numpy(np.ascontiguousarray(_bytes(array, path, notes)))
    tensor = torch.from_numpy(np.ascontiguousarray(_bytes(array, path, notes)))
    return tensor[:, None] if channels == 1 else tensor.permute(0, 3, 1, 2)


def _bytes(array: np.ndarray, path: Path, notes: list[str]) -> np.ndarray:
    """The values as uint8; floats, booleans and wider integers by the rules above, block by block."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        notes.append("booleans became black and white")
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind not in "iuf":
        raise BadData(f"{path}: expected numbers, got {array.dtype}: save bytes or floats")
    low = high = 0.0
    blocks = [slice(i, i + _BLOCK) for i in range(0, len(array), _BLOCK)]
    for block in blocks:
        part = array[block]
        if array.dtype.kind == "f" and not np.isfinite(part).all():
            odd = int((~np.isfinite(part)).sum())
            raise BadData(f"{path}: {odd:,} values are NaN or infinite: replace them, or drop those images")
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if array.dtype.kind in "iu":
        if low < 0 or high > 255:
            raise BadData(f"{path}: expected whole numbers from 0 to 255, got {low:g} to {high:g}: scale them")
        return array.astype(np.uint8)
    if low < -1 or high > 1:
        raise BadData(
            f"{path}: expected floats in [0, 1] or [-1, 1], got {low:g} to {high:g}: scale them, or save bytes"
        )
    notes.append(f"floats in [{'-1' if low < 0 else '0'}, 1] became bytes")
    out = np.empty(array.shape, np.uint8)
    for block in blocks:
        part = array[block].astype(np.float32)
        out[block] = np.round((part + 1) * 127.5 if low < 0 else part * 255)
    return out


def _labels(raw: np.ndarray | None, n: int, path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Labels as indices 0..K-1 (n,) and their names, or none."""
    if raw is None:
        return None, ()
    if raw.ndim == 2 and raw.shape[1] == 1:
        raw = raw[:, 0]
    if raw.shape != (n,):
        raise BadData(f"{path}: expected one label for each of {n} images, got shape {raw.shape}: save labels as (n,)")
    if raw.dtype.kind not in "iubUS" and not (raw.dtype.kind == "f" and (raw == np.round(raw)).all()):
        raise BadData(f"{path}: expected labels that are whole numbers or names, got {raw.dtype}")
    values, index = np.unique(raw, return_inverse=True)
    names = tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist())
    return (index.astype(np.int64), names) if len(values) > 1 else (None, ())
