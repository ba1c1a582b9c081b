"""Samples that any tool made, brought to the shape of a data set: all of them, in their order, not split.

Pictures: a .npy or .npz array, or a folder of pictures (in the order of their names). Texts: a .jsonl file with one
text or {"text": ...} a line; a .txt file with one text a line, or with texts parted by the ruled line that `genloom
sample` writes; a folder of .txt files, one text each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genloom.core import Field
from genloom.data.arrays import pictures_in
from genloom.data.decode import read_picture
from genloom.data.folder import ENDINGS as PICTURES
from genloom.data.listing import Listing, scan
from genloom.data.options import DataOptions
from genloom.data.shape import describe_policy, fit_array, in_threads, to_grey
from genloom.errors import BadData, NotFound
from genloom.modalities.text import SEPARATOR

ARRAYS = (".npy", ".npz")
TEXTS = (".jsonl", ".txt")


def load_samples(
    path: Path, field: Field, options: DataOptions, most: int | None, notes: list[str]
) -> Tensor | list[str]:
    """Images as bytes (n, C, H, W) of the field's shape, or texts; the first `most` of them.

    options: of the data set, whose way of resizing is used. Raises NotFound, or BadData for what holds no such samples.
    """
    if not path.exists():
        raise NotFound(
            f"there is no {path}: give samples as a .npy array, a folder of pictures, a .jsonl or a .txt file"
        )
    found = _modality(path)
    if found != field.modality:
        raise BadData(f"{path} holds {found}s, and the data set {field.modality}s: give samples of the data set's kind")
    try:
        if found == "text":
            return load_texts(path)[:most]
        return (_folder if path.is_dir() else _array)(path, field.shape, options, most, notes)
    except PermissionError as error:
        raise BadData(f"{error.filename or path} cannot be read: {error.strerror}: change its permissions") from None


def _modality(path: Path) -> str:
    ending = path.suffix.lower()
    if not path.is_dir():
        if ending in (*ARRAYS, *TEXTS):
            return "image" if ending in ARRAYS else "text"
        hint = "give the folder it lies in" if ending in PICTURES else "give .npy, .npz, .jsonl, .txt or a folder"
        raise BadData(f"{path}: {ending or 'a file without an ending'} is no file of samples: {hint}")
    held = scan(path, PICTURES | {".txt"})
    pictures, texts = len(held.only(PICTURES)), len(held.only(frozenset({".txt"})))
    if not pictures and not texts:
        raise BadData(f"{path} holds no pictures and no .txt files: give a folder of samples, or the file itself")
    return "image" if pictures >= texts else "text"


def _array(path: Path, shape: tuple[int, ...], options: DataOptions, most: int | None, notes: list[str]) -> Tensor:
    """The images of an array file. The range of floats is read from their values, as for data sets."""
    blocks: list[Tensor] = []
    for block in pictures_in(path, notes):
        block = block if most is None else block[: most - sum(map(len, blocks))]
        if len(block):
            blocks.append(_shaped(block, shape, options, path, notes))
    return torch.cat(blocks)


def _folder(path: Path, shape: tuple[int, ...], options: DataOptions, most: int | None, notes: list[str]) -> Tensor:
    """The pictures of a folder that can be read, each brought to the shape by itself."""
    listing = scan(path, PICTURES)
    listing = listing if most is None else listing.take(list(range(min(most, len(listing)))))
    parts, bad, sizes = [], [], set()
    for name, picture, size in _pictures(listing, shape, options):
        if picture is None:
            bad.append(name)
        else:
            sizes.add(size)
            parts.append(_coloured(picture, shape[0], f"{path / name}"))
    named = f"{len(bad)} of {len(listing)} pictures cannot be read: {', '.join(bad[:5])}"
    if not parts:
        raise BadData(f"{path}: {named}; give pictures that open in a viewer")
    if bad:
        notes.append(f"{named}; left out")
    if sizes != {shape[1:]}:
        notes.append(f"samples: {describe_policy(options, *shape[1:])}")
    return torch.cat(parts)


def _pictures(
    listing: Listing, shape: tuple[int, ...], options: DataOptions
) -> Iterator[tuple[str, Tensor | None, tuple[int, int]]]:
    """(name, bytes (1, C, H, W) or None, its own height and width) of every file."""
    size = (shape[1], shape[2])
    for name, found in zip(
        listing.names,
        in_threads(lambda i: read_picture(listing.path(i), size, options.resize), range(len(listing))),
        strict=True,
    ):
        pixels = None if found.pixels is None else torch.from_numpy(np.array(found.pixels))
        if pixels is not None:
            pixels = (pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1))[None]
        yield name, pixels, (found.height, found.width)


def _shaped(images: Tensor, shape: tuple[int, ...], options: DataOptions, path: Path, notes: list[str]) -> Tensor:
    """Images (B, C, H, W) at the data set's channels and size; what is done is noted once."""
    said: list[str] = []
    found = _coloured(images, shape[0], str(path))
    fitted = fit_array(found, replace(options, size=f"{shape[1]}x{shape[2]}", channels="auto"), said)
    notes += [f"samples: {note}" for note in said if f"samples: {note}" not in notes]
    return fitted


def _coloured(images: Tensor, channels: int, where: str) -> Tensor:
    """Grey repeated for a data set of colours; colours are given up only where there are none."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.repeat(1, 3, 1, 1)
    if not bool((images == images[:, :1]).all()):
        raise BadData(
            f"{where}: expected grey samples (1 channel), as the data are, got colours (3 channels): "
            "turn them to grey, or measure them on data in colours (--data.channels rgb)"
        )
    return to_grey(images)


def load_texts(path: Path) -> list[str]:
    """The texts of a file or of a folder of .txt files; lines without text are passed over."""
    if path.is_dir():
        return [_read(path / name) for name in scan(path, frozenset({".txt"})).names]
    content = _read(path)
    if path.suffix.lower() == ".jsonl":
        return [_of_line(line, path, i) for i, line in enumerate(content.split("\n"), 1) if line.strip()]
    if SEPARATOR in content:
        return content.split(SEPARATOR)
    return [line for line in content.splitlines() if line.strip()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadData(f"{path} is no text in UTF-8: save it as UTF-8") from None


def _of_line(line: str, path: Path, number: int) -> str:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    found = found.get("text") if isinstance(found, dict) else found
    if not isinstance(found, str):
        raise BadData(f'{path}, line {number}: expected a text or {{"text": ...}} in JSON, got {line[:40]!r}: mend it')
    return found


def sources_in(path: Path, most: int | None = None) -> list[str] | None:
    """The "source" (or "prompt") beside each "text" of a .jsonl file: what the text is to keep to; None where no line
    has one. Raises BadData where some lines have none, or another kind of value."""
    if path.suffix.lower() != ".jsonl" or not path.is_file():
        return None
    lines = [(i, line) for i, line in enumerate(_read(path).split("\n"), 1) if line.strip()][:most]
    found = []
    for number, line in lines:
        _of_line(line, path, number)
        held = json.loads(line)
        found.append((number, held.get("source", held.get("prompt")) if isinstance(held, dict) else None))
    if all(source is None for _, source in found):
        return None
    for number, source in found:
        if not isinstance(source, str):
            raise BadData(f'{path}, line {number}: expected "source", a text, as other lines have: add it')
    return [source for _, source in found if source is not None]


def references_in(path: Path, most: int | None = None) -> list[list[str]] | None:
    """The "reference" (a text, or a list of them) beside each "text" of a .jsonl file; None where no line has one.

    Raises BadData where some lines have none, or another kind of value.
    """
    if path.suffix.lower() != ".jsonl" or not path.is_file():
        return None
    lines = [(i, line) for i, line in enumerate(_read(path).split("\n"), 1) if line.strip()][:most]
    found: list[list[str]] = []
    for number, line in lines:
        _of_line(line, path, number)
        held = json.loads(line)
        given = held.get("reference") if isinstance(held, dict) else None
        one = [given] if isinstance(given, str) else given
        if one is None and not found:
            return None if not any('"reference"' in rest for _, rest in lines) else _lacking(path, number)
        if not isinstance(one, list) or not one or not all(isinstance(r, str) for r in one):
            return _lacking(path, number)
        found.append(one)
    return found or None


def _lacking(path: Path, number: int) -> list[list[str]]:
    raise BadData(
        f'{path}, line {number}: expected "reference", a text or a list of texts, as other lines have: add it'
    )
