"""A person's folder of pictures: any size, aspect and mode; sub-folders are classes, or the splits themselves.

What cannot be read is skipped by name and counted. The content of a picture decides its split, so copies stay together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.options import DataOptions
from genloom.data.shape import describe_policy, fit, in_threads, parse_size, to_grey
from genloom.data.splits import Rows, by_content, content_keys
from genloom.errors import BadData

ENDINGS = frozenset(
    f".{e}"
    for group in ("png jpg jpeg jfif webp bmp gif tif tiff", "ppm pgm pbm pnm tga ico jp2 avif dib pcx")
    for e in group.split()
)
SPLITS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}
_KEEP_UP_TO = 256  # pixels a side; larger pictures of one size are scaled to _OTHERWISE, as mixed sizes are
_OTHERWISE = 64


@dataclass(frozen=True)
class _File:
    path: Path
    split: int | None
    label: str | None


def files_below(folder: Path, endings: frozenset[str]) -> list[Path]:
    """Files with these endings in the folder and below it, hidden ones left out, sorted by relative path."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__")))
        found += [Path(root, n) for n in names if not n.startswith(".") and os.path.splitext(n)[1].lower() in endings]
    return sorted(found, key=lambda f: f.relative_to(folder).as_posix())


def _arrange(folder: Path, paths: list[Path], notes: list[str]) -> list[_File]:
    """Splits and classes from the names of sub-folders."""
    parts = [path.relative_to(folder).parts[:-1] for path in paths]
    splits: list[int | None] = [None] * len(paths)
    tops = {p[0].lower() if p else "" for p in parts}
    if tops & {"train", "training"} and tops <= set(SPLITS):
        splits = [SPLITS[p[0].lower()] for p in parts]
        parts = [p[1:] for p in parts]
        notes.append(f"the sub-folders {', '.join(sorted(tops))} are the splits")
    names = {p[0] if p else "" for p in parts}
    if len(names) < 2:
        return [_File(path, split, None) for path, split in zip(paths, splits, strict=True)]
    if "" in names:
        notes.append("pictures lie beside the sub-folders as well as in them: the sub-folders are not taken as classes")
        return [_File(path, split, None) for path, split in zip(paths, splits, strict=True)]
    return [_File(path, split, p[0]) for path, split, p in zip(paths, splits, parts, strict=True)]


def _to_bytes(picture: Image.Image) -> Image.Image:
    """A picture of any mode as "L" or "RGB"; transparency on white, 16 bits and floats scaled to 8."""
    mode = picture.mode
    if mode in ("L", "RGB"):
        if "transparency" not in picture.info:
            return picture
        return _to_bytes(picture.convert("RGBA"))
    if mode == "1":
        return picture.convert("L")
    if mode.startswith("I;16") or mode in ("I", "F"):
        values = np.asarray(picture, np.float64)
        if not np.isfinite(values).all() or values.min() < 0:
            raise ValueError("pixel values that are negative or not finite")
        top = values.max(initial=0)
        white = (1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0) if mode == "F" else 65535.0
        if mode == "I" and top <= 255:
            white = 255.0
        if top > white:
            raise ValueError(f"pixel values up to {top:g}")
        return Image.fromarray(np.round(values * (255 / white)).astype(np.uint8))
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or (mode == "P" and "transparency" in picture.info):
        solid = picture.convert("RGBA")
        white_ = Image.new("RGBA", solid.size, "white")
        return Image.alpha_composite(white_, solid).convert("L" if mode in ("LA", "La") else "RGB")
    return picture.convert("RGB")


# How the camera was held (EXIF orientation) -> what turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _orientation(picture: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none or it cannot be read."""
    try:
        return int(picture.getexif().get(0x0112, 1))
    except Exception:  # broken remarks do not make a broken picture
        return 1


def _measure(path: Path) -> tuple[int, int] | None:
    """(height, width) as a person sees the picture, from the header alone; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            return (width, height) if _orientation(picture) >= 5 else (height, width)
    except Exception:  # decoders of a dozen formats raise what they like at broken files
        return None


def decode(path: Path, size: tuple[int, int], policy: str) -> np.ndarray | None:
    """One file as uint8 (H, W) or (H, W, 3), upright, at `size`; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            turn = _TURNS.get(_orientation(picture))
            if picture.format == "JPEG" and picture.mode in ("L", "RGB"):
                longest = 2 * max(size)  # large photographs are decoded at a half, quarter or eighth of their size
                picture.draft(picture.mode, (longest, longest))
            picture.load()
            solid = _to_bytes(picture)
            return np.asarray(fit(solid if turn is None else solid.transpose(turn), *size, policy))
    except Exception:
        return None


def load_folder(folder: Path, options: DataOptions) -> Dataset:
    """The data set of all pictures in `folder`. Raises BadData where there are none, or just one, that can be read."""
    notes: list[str] = []
    paths = files_below(folder, ENDINGS)
    if not paths:
        raise BadData(f"{folder} holds no pictures (.png, .jpg, .webp, ...): give a folder of pictures")
    size = _choose_size(paths, options, folder, notes)
    arrays = list(in_threads(lambda path: decode(path, size, options.resize), paths))
    bad = [path for path, array in zip(paths, arrays, strict=True) if array is None]
    _report(folder, bad, len(paths), options, notes)
    files = _arrange(folder, [p for p, a in zip(paths, arrays, strict=True) if a is not None], notes)
    pictures = [a for a in arrays if a is not None]
    if len(pictures) < 2:
        raise BadData(f"{folder} holds one picture that can be read, and a model needs several: add more")
    images = _stack(pictures, size, options, notes)
    names = sorted({f.label for f in files if f.label is not None})
    labels = np.array([names.index(f.label) if f.label is not None else 0 for f in files], np.int64)
    rows = _rows(images, labels, [f.split for f in files], notes)
    card = Card(folder.name, str(folder), "the owner's", "", f"{len(files):,} images in a folder")
    label_tensor = torch.from_numpy(labels) if len(names) > 1 else None
    return image_dataset(folder.name, options, images, label_tensor, tuple(names), rows, card, notes)


def _report(folder: Path, bad: list[Path], total: int, options: DataOptions, notes: list[str]) -> None:
    """Names what could not be read; refuses where everything could not, or where options.strict."""
    if not bad:
        return
    names = ", ".join(str(p.relative_to(folder)) for p in bad[:5]) + (", ..." if len(bad) > 5 else "")
    said = f"{len(bad)} of {total} pictures cannot be read: {names}"
    if len(bad) == total:
        raise BadData(f"{folder}: {said}; give pictures that open in a viewer")
    if options.strict:
        raise BadData(f"{folder}: {said}; mend or remove them, or leave out --data.strict")
    notes.append(f"{said}; skipped")


def _choose_size(paths: list[Path], options: DataOptions, folder: Path, notes: list[str]) -> tuple[int, int]:
    """The target (height, width): what the options say, or what all files share, or 64."""
    sizes = {s for s in in_threads(_measure, paths) if s is not None}
    wanted = parse_size(options.size)
    if wanted is None:
        shared = next(iter(sizes)) if len(sizes) == 1 else None
        if shared is not None and max(shared) <= _KEEP_UP_TO:
            return shared
        wanted = (_OTHERWISE, _OTHERWISE)
    if sizes - {wanted}:
        low, high = min(sizes), max(sizes)
        span = f"{low[0]}x{low[1]}" + (f" to {high[0]}x{high[1]}" if low != high else "")
        notes.append(f"{describe_policy(options, *wanted)}, from {span}; --data.size and --data.resize change that")
    return wanted


def _stack(pictures: list[np.ndarray], size: tuple[int, int], options: DataOptions, notes: list[str]) -> torch.Tensor:
    """uint8 (N, C, H, W), stored as (N, H, W, C); grey where all pictures are and the options leave it open."""
    grey = options.channels == "auto" and all(_is_grey(p) for p in pictures)
    if grey or options.channels == "grey":
        if options.channels == "grey" and not all(_is_grey(p) for p in pictures):
            notes.append("colours turned to grey (ITU-R 601)")
        out = np.empty((len(pictures), *size), np.uint8)
        for i, p in enumerate(pictures):
            out[i] = p if p.ndim == 2 else p[:, :, 0] if _is_grey(p) else _grey(p)
        return torch.from_numpy(out)[:, None]
    out = np.empty((len(pictures), *size, 3), np.uint8)
    for i, p in enumerate(pictures):
        out[i] = p if p.ndim == 3 else p[:, :, None]
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def _is_grey(picture: np.ndarray) -> bool:
    return picture.ndim == 2 or bool((picture == picture[:, :, :1]).all())


def _grey(picture: np.ndarray) -> np.ndarray:
    return to_grey(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None])[0, 0].numpy()


def _rows(images: torch.Tensor, labels: np.ndarray, splits: list[int | None], notes: list[str]) -> Rows:
    """Rows by the sub-folders where they name splits; what they do not name is cut from the training part."""
    keys = content_keys(images)
    if all(s is None for s in splits):
        return by_content(keys, labels, notes)
    given = np.array(splits)
    parts = [np.flatnonzero(given == s) for s in range(3)]
    if len(parts[1]) == 0:
        inner = by_content([keys[i] for i in parts[0]], labels[parts[0]], notes, shares=(0.1, 0.0))
        parts[1], parts[0] = parts[0][inner[1].numpy()], parts[0][inner[0].numpy()]
    if len(parts[2]) == 0:
        parts[2] = parts[1]
        notes.append("no test sub-folder: the validation items are the test items too")
    first, second, third = (torch.from_numpy(p) for p in parts)
    return first, second, third
