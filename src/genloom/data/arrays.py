"""A person's .npy and .npz arrays of images.

Shapes: (n, h, w) grey, (n, h, w, 1 or 3) or (n, 1 or 3, h, w). Values: bytes 0..255; floats in [0, 1], or in [-1, 1] if
any is negative; booleans. A large .npy of bytes is memory-mapped where it lies; other large arrays are turned into
bytes once, block by block, in a store (`data/store.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.data.arrayfile import InFile, find, read_file
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.listing import of_files
from genloom.data.options import DataOptions
from genloom.data.shape import fit_array, parse_size
from genloom.data.splits import KEY, KEY_BYTES, Rows, by_content, content_keys
from genloom.data.splitting import rows_of, split_path
from genloom.data.store import Draft, Source, obtain
from genloom.errors import BadData

_IMAGES = ("images", "image", "x_train", "train_images", "x", "data", "arr_0")
_LABELS = ("labels", "label", "y_train", "train_labels", "y", "targets", "target", "arr_1")
_TEST_IMAGES, _TEST_LABELS = ("x_test", "test_images"), ("y_test", "test_labels")
_MAP_FROM = 64 << 20  # bytes from which arrays stay on disk
_BLOCK = 16 << 20  # bytes of an array that are in memory at a time


def load_array_file(path: Path, options: DataOptions) -> Dataset:
    """The data set of a .npy or .npz file. Raises BadData for shapes, values and files that are no images."""
    notes: list[str] = []
    held = read_file(path, {*_IMAGES, *_LABELS, *_TEST_IMAGES, *_TEST_LABELS}, _MAP_FROM)
    images = find(held, _IMAGES)
    if images is None:
        raise BadData(f"{path} holds {', '.join(map(repr, held))} and no images: name them '{_IMAGES[0]}'")
    sources = [_Pictures.of(images, path, notes)]
    raw_labels = _in_memory(find(held, _LABELS))
    tests = find(held, _TEST_IMAGES)
    if tests is not None:
        sources.append(_Pictures.of(tests, path, notes))
        if sources[1].shape != sources[0].shape:
            raise BadData(f"{path}: training images {sources[0].shape} and test images {sources[1].shape}")
        notes.append("the file's own test images are the test split")
        test_labels = _in_memory(find(held, _TEST_LABELS))
        joined = raw_labels is not None and test_labels is not None
        raw_labels = np.concatenate([raw_labels, test_labels]) if joined else None
    count, total = len(sources[0]), sum(map(len, sources))
    if count < 2:
        raise BadData(f"{path} holds one image, and a model needs several: give more")
    labels, classes = _labels(raw_labels, total, path)
    pixels, keys = _pixels(path, sources, options, notes)
    strata = labels if labels is not None else np.zeros(total, np.int8)
    rows = _ruled(path, count, options, notes)
    if rows is None:
        rows = by_content(keys[:count], strata[:count], notes, (0.1, 0.1 if tests is None else 0.0))
    if tests is not None:
        rows = (rows[0], rows[1], torch.arange(count, total))
    label_tensor = None if labels is None else torch.from_numpy(labels)
    content = hashlib.sha256(repr(tuple(pixels.shape[1:])).encode())
    content.update(keys.data)
    card = _card(path, f"{total:,} images in an array")
    return image_dataset(path.stem, options, pixels, label_tensor, classes, rows, card, notes, content=content.digest())


def pictures_in(path: Path, notes: list[str]) -> Iterator[Tensor]:
    """All images of a .npy or .npz file in order, uint8 (B, 1 or 3, H, W) block by block.

    Raises BadData for shapes, values and files that are no images.
    """
    held = read_file(path, set(_IMAGES), _MAP_FROM)
    images = find(held, _IMAGES)
    if images is None:
        raise BadData(f"{path} holds {', '.join(map(repr, held))} and no images: name them '{_IMAGES[0]}'")
    return _Pictures.of(images, path, notes).bytes(notes)


def _card(path: Path, items: str) -> Card:
    card = read_card(path) or Card(path.name, str(path), "the owner's", "", items)
    return replace(card, items=card.items or items)


def _ruled(path: Path, count: int, options: DataOptions, notes: list[str]) -> Rows | None:
    """Rows by a recorded rule, if there is one. It knows items by their number."""
    file = None if options.split is None else Path(options.split).expanduser()
    numbers = [str(i) for i in range(count)] if (file or split_path(path)).exists() else []
    return rows_of(path, numbers, file, options.fold, notes)


def _in_memory(found: InFile | None) -> np.ndarray | None:
    if found is None or found.whole is not None:
        return None if found is None else found.whole
    return np.concatenate(list(found.blocks(_BLOCK)))


@dataclass(frozen=True)
class _Pictures:
    """An array that has the shape of pictures. channels: 1 or 3; last: whether they come last (or are not written)."""

    array: InFile
    path: Path
    channels: int
    last: bool

    @classmethod
    def of(cls, array: InFile, path: Path, notes: list[str]) -> _Pictures:
        """Raises BadData for other shapes and kinds of values."""
        wanted = "expected (n, height, width), (n, height, width, 1 or 3) or (n, 1 or 3, height, width)"
        shape = "x".join(map(str, array.shape)) or "a single number"
        if len(array.shape) not in (3, 4):
            raise BadData(f"{path}: {wanted}, got {shape}: reshape it to images")
        if 0 in array.shape:
            raise BadData(f"{path}: {wanted}, got {shape}, which is empty: give images")
        if array.dtype.kind not in "iufb":
            raise BadData(f"{path}: expected numbers, got {array.dtype}: save bytes or floats")
        if len(array.shape) == 3:
            return cls(array, path, 1, True)
        last = array.shape[3] in (1, 3)
        if not last and array.shape[1] not in (1, 3):
            found = min(array.shape[1], array.shape[3])  # sides of images are longer than their channels are many
            cure = "drop the alpha channel" if found == 4 else "keep 1 or 3 channels"
            raise BadData(f"{path}: {wanted}, got {shape} with {found} channels: {cure}")
        if last and array.shape[1] in (1, 3):
            notes.append(f"{shape} is read as (n, height, width, channels)")
        return cls(array, path, array.shape[3] if last else array.shape[1], last)

    def __len__(self) -> int:
        return int(self.array.shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a picture."""
        height, width = self.array.shape[1:3] if self.last else self.array.shape[2:4]
        return self.channels, height, width

    def as_images(self, block: np.ndarray) -> Tensor:
        """Bytes of this layout as (B, C, H, W), without a copy where they lie together."""
        channels, height, width = self.shape
        tensor = torch.from_numpy(np.ascontiguousarray(block))
        if self.last:
            return tensor.view(len(block), height, width, channels).permute(0, 3, 1, 2)
        return tensor

    def bytes(self, notes: list[str]) -> Iterator[Tensor]:
        """All pictures, uint8 (B, C, H, W) block by block, by the rules above. Raises BadData for other values."""
        dtype = self.array.dtype
        low = 0.0
        if dtype == np.bool_:
            notes.append("booleans became black and white")
        elif dtype != np.uint8:
            low = self._lowest()
            if dtype.kind == "f":
                notes.append(f"floats in [{'-1' if low < 0 else '0'}, 1] became bytes")
        for block in self.array.blocks(_BLOCK):
            if dtype == np.bool_:
                block = block.astype(np.uint8) * np.uint8(255)
            elif dtype.kind == "f":
                values = block.astype(np.float32)
                block = np.round((values + 1) * 127.5 if low < 0 else values * 255).astype(np.uint8)
            yield self.as_images(block.astype(np.uint8, copy=False))

    def _lowest(self) -> float:
        """The lowest value, 0 if none is negative. Raises BadData where values are out of range or not numbers."""
        low = high = 0.0
        odd, floats = 0, self.array.dtype.kind == "f"
        for block in self.array.blocks(_BLOCK):
            if floats and (count := int((~np.isfinite(block)).sum())):
                odd += count
            elif not odd:
                low, high = min(low, float(block.min())), max(high, float(block.max()))
        if odd:
            raise BadData(f"{self.path}: {odd:,} values are NaN or infinite: replace them, or drop those images")
        if not floats and (low < 0 or high > 255):
            raise BadData(f"{self.path}: expected whole numbers from 0 to 255, got {low:g} to {high:g}: scale them")
        if floats and (low < -1 or high > 1):
            raise BadData(
                f"{self.path}: expected floats in [0, 1] or [-1, 1], got {low:g} to {high:g}: scale them, or save bytes"
            )
        return low


def _pixels(path: Path, sources: list[_Pictures], options: DataOptions, notes: list[str]) -> tuple[Tensor, np.ndarray]:
    """(uint8 (N, C, H, W) at the options' size and channels, the key of every image)."""
    first = sources[0]
    channels, height, width = first.shape
    wanted = {"auto": channels, "grey": 1, "rgb": 3}[options.channels]
    same = wanted == channels and (parse_size(options.size) or (height, width)) == (height, width)
    large = sum(s.array.bytes for s in sources) >= _MAP_FROM
    whole = first.array.whole if same and len(sources) == 1 and first.array.dtype == np.uint8 else None
    if large and whole is not None and not whole.flags.c_contiguous:
        whole = None  # a picture's bytes do not lie together
    if not large:
        images = first.as_images(whole) if whole is not None else _joined(list(_converted(sources, options, notes)))
        return images, content_keys(images)

    def make(draft: Draft) -> Mapping[str, Any]:
        said: list[str] = []
        size = parse_size(options.size) or (height, width)
        columns: dict[str, tuple[Any, tuple[int, ...]]] = {"keys": (np.uint8, (KEY_BYTES,))}
        if whole is None:
            columns["images"] = (np.uint8, (*size, *((3,) if wanted == 3 else ())))
        done = draft.begin({}, columns, sum(map(len, sources)))
        for images in _converted(sources, options, said):
            skipped = min(done, len(images))  # an earlier process wrote them
            done -= skipped
            if len(fresh := images[skipped:]):
                keys = content_keys(fresh).view(np.uint8).reshape(-1, KEY_BYTES)
                rows = {} if whole is not None else {"images": fresh.permute(0, 2, 3, 1).numpy()}
                if "images" in rows and wanted == 1:
                    rows["images"] = rows["images"][..., 0]
                draft.append(keys=keys, **rows)
        return {"notes": said}

    shaping = {"size": parse_size(options.size), "resize": options.resize, "channels": options.channels}
    kind = "keys" if whole is not None else "array"
    source = Source(kind, path, of_files([path]).fingerprint, {} if whole is not None else shaping)
    store = obtain(source, make, notes)
    notes += store.about["notes"]
    keys = store.columns["keys"].view(KEY)[:, 0]
    if whole is not None:
        return first.as_images(whole), keys
    found = torch.from_numpy(store.columns["images"])
    return (found[:, None] if found.ndim == 3 else found.permute(0, 3, 1, 2)), keys


def _converted(sources: list[_Pictures], options: DataOptions, notes: list[str]) -> Iterator[Tensor]:
    """All pictures as they will be, block by block; the notes are written once."""
    for source in sources:
        said: list[str] = []
        for block in source.bytes(said):
            yield fit_array(block, options, said)
        notes += [note for note in dict.fromkeys(said) if note not in notes]


def _joined(blocks: list[Tensor]) -> Tensor:
    """One tensor (N, C, H, W); its memory is (N, H, W, C), which reads as grey where C is 1."""
    return torch.cat([b.permute(0, 2, 3, 1) for b in blocks]).permute(0, 3, 1, 2)


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
    values = np.unique(raw)
    index = np.empty(n, np.min_scalar_type(len(values)))
    for start in range(0, n, 1 << 20):
        index[start : start + (1 << 20)] = np.searchsorted(values, raw[start : start + (1 << 20)])
    names = tuple(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values.tolist())
    return (index, names) if len(values) > 1 else (None, ())
