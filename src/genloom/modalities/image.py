"""Images: stored bytes (N, C, H, W) <-> floats in [-1, 1] <-> pictures, arrays and folders that people can open.

C is 1 (grey) or 3 (RGB). Functions that draw or save take either bytes (uint8) or floats in [-1, 1].
"""

from __future__ import annotations

import contextlib
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadData, BadValue, Storage
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending

_SOFTWARE = "genloom"
_LONGEST = 4096  # pixels a side that enlarging a picture may not exceed


def to_float(images: Tensor) -> Tensor:
    """Bytes 0..255 of any shape -> float32 in [-1, 1]; 0 becomes -1 and 255 becomes 1."""
    return images.to(torch.float32, copy=True).mul_(2 / 255).sub_(1)


def to_bytes(images: Tensor) -> Tensor:
    """Floats in [-1, 1] of any shape -> the nearest bytes; beyond the range they are cut, and NaN becomes 0.

    The inverse of `to_float`; bytes pass unchanged.
    """
    if images.dtype == torch.uint8:
        return images
    scaled = images.detach().float().add(1).mul_(127.5).round_()
    return torch.nan_to_num(scaled, nan=0.0).clamp_(0, 255).to(torch.uint8)


def _check(images: Tensor) -> Tensor:
    """The images as bytes (N, C, H, W) on the CPU. Raises BadData for any other shape."""
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise BadData(f"expected images of shape (n, 1 or 3, height, width), got {tuple(images.shape)}")
    return to_bytes(images).cpu()


def to_array(images: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """(N, C, H, W) -> a uint8 array (n, h, w) for grey and (n, h, w, 3) for RGB images."""
    bytes_ = _check(images)
    array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    array = bytes_[:, 0].numpy() if bytes_.shape[1] == 1 else bytes_.permute(0, 2, 3, 1).numpy()
    return np.ascontiguousarray(array)


def columns_for(n: int, height: int = 1, width: int = 1) -> int:
    """Columns that make n tiles nearly a square picture, without a ragged last row where that is possible."""
    root = math.sqrt(max(n, 1) * height / width)
    low = max(1, min(n, math.ceil(root - 1e-9)))
    return next((c for c in range(low, int(low * 1.7) + 1) if n % c == 0), low)


def scale_for(height: int, width: int, rows: int = 1, columns: int = 1) -> int:
    """How many times to enlarge tiles of this size so that a person sees them: to about 64 pixels a side."""
    wanted = max(1, round(64 / max(height, width)))
    return max(1, min(wanted, _LONGEST // max(1, height * rows, width * columns)))


def _paste(images: Tensor, columns: int, gap: int, background: int, scale: int) -> Image.Image:
    """Bytes (N, C, H, W) as one picture of `columns` columns, each tile enlarged `scale` times by nearest neighbour."""
    n, channels, height, width = images.shape
    rows = math.ceil(n / columns)
    if scale > 1:
        images = images.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        height, width = height * scale, width * scale
    missing = rows * columns - n
    if missing:
        images = torch.cat([images, images.new_full((missing, channels, height, width), background)])
    padded = images.new_full((rows * columns, channels, height + gap, width + gap), background)
    padded[:, :, :height, :width] = images
    sheet = padded.view(rows, columns, channels, height + gap, width + gap).permute(0, 3, 1, 4, 2)
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), channels)
    sheet = sheet[: rows * (height + gap) - gap, : columns * (width + gap) - gap]
    array = sheet.contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if channels == 1 else array)


def grid(
    images: Tensor, columns: int | None = None, *, gap: int = 2, background: int = 255, scale: int | None = None
) -> Image.Image:
    """A picture of all images (N, C, H, W), row by row; mode "L" for grey and "RGB" for colour images.

    columns, scale: None chooses a nearly square sheet, and enlarges small images (nearest neighbour); gap: pixels
    between tiles. Raises BadValue where there is nothing to show.
    """
    bytes_ = _check(images)
    n, _, height, width = bytes_.shape
    if n == 0 or height == 0 or width == 0:
        raise BadValue("a picture needs at least one image, got none: ask for n of 1 or more")
    columns = max(1, min(columns, n)) if columns else columns_for(n, height, width)
    scale = scale or scale_for(height, width, math.ceil(n / columns), columns)
    return _paste(bytes_, columns, gap, background, scale)


def write_on(picture: Image.Image, at: tuple[int, int], text: str) -> None:
    """A line of text on a picture, its upper left corner at `at`."""
    ImageDraw.Draw(picture).text(at, text, fill="black", font=ImageFont.load_default(size=14))


def labelled(
    rows: Mapping[str, Tensor] | Sequence[tuple[str, Tensor]],
    columns: int | None = None,
    *,
    gap: int = 2,
    scale: int | None = None,
) -> Image.Image:
    """Groups of images under one another, each below its title: real above generated, originals above copies.

    rows: title -> images (N, C, H, W); all of one height and width, grey and RGB may be mixed. columns: tiles in a
    row (None: the longest group in one row up to 16). Raises BadValue where every group is empty.
    """
    groups = [(title, _check(images)) for title, images in (rows.items() if isinstance(rows, Mapping) else rows)]
    groups = [(title, images) for title, images in groups if len(images)]
    if not groups:
        raise BadValue("a picture needs at least one image, got none: ask for n of 1 or more")
    columns = columns or min(16, max(len(images) for _, images in groups))
    height, width = groups[0][1].shape[2:]
    total = sum(math.ceil(len(images) / columns) for _, images in groups)
    scale = scale or scale_for(height, width, total, columns)
    sheets = [(title, _paste(images, columns, gap, 255, scale).convert("RGB")) for title, images in groups]
    font = ImageFont.load_default(size=14)
    band = 22
    widest = max(max(s.width for _, s in sheets), *(math.ceil(font.getlength(t)) + 4 for t, _ in sheets))
    out = Image.new("RGB", (widest, sum(s.height + band + gap for _, s in sheets) - gap), "white")
    draw, top = ImageDraw.Draw(out), 0
    for title, sheet in sheets:
        draw.text((2, top + 2), title, fill="black", font=font)
        out.paste(sheet, (0, top + band))
        top += sheet.height + band + gap
    return out


def png(picture: Image.Image, metadata: Mapping[str, str] | None = None) -> bytes:
    """The picture as PNG bytes; `metadata` goes into its text chunks, where `read_metadata` finds it."""
    info = PngInfo()
    info.add_text("Software", _SOFTWARE)
    for key, value in (metadata or {}).items():
        info.add_itxt(key, value)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The texts a PNG carries. Raises BadData where the file is no picture."""
    try:
        with Image.open(path) as picture:
            picture.load()
            return {str(k): str(v) for k, v in getattr(picture, "text", {}).items()}
    except (OSError, SyntaxError, ValueError) as error:
        raise BadData(f"expected a PNG file, {os.fspath(path)} cannot be read as one: {error}") from None


def npy(array: np.ndarray) -> bytes:
    """An array as the content of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: a temporary neighbour is moved over it. Raises Storage where that fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(content)
        os.replace(part, path)
    except OSError as error:
        raise Storage(f"cannot write {path}: {error.strerror or error}: choose another place or make room") from None
    finally:
        with contextlib.suppress(OSError):  # there may be no folder at all
            part.unlink(missing_ok=True)


def save(
    images: Tensor,
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Writes images (N, C, H, W) and returns the path written.

    `x.png`: one grid. `x.npy`: a uint8 array (n, h, w) or (n, h, w, 3). A path without an ending, with a final slash
    or of an existing folder: one numbered PNG an item (and earlier numbered pictures of ours are removed).
    Raises BadValue for another ending or nothing to show, Storage where the place cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if is_folder(path):
        _save_folder(images, target, metadata)
    elif suffix == ".png":
        write_bytes(target, png(grid(images, columns), metadata))
    elif suffix == ".npy":
        write_bytes(target, npy(to_array(images)))
    else:
        raise wrong_ending(path, "images", (".png", ".npy"))
    return target


def _save_folder(images: Tensor, folder: Path, metadata: Mapping[str, str] | None) -> None:
    """One PNG an item, numbered from 0 with leading zeros."""
    array = to_array(images)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Storage(f"cannot write folder {folder}: {error.strerror or error}: choose another place") from None
    digits = max(4, len(str(max(0, len(array) - 1))))
    names = {f"{i:0{digits}d}.png" for i in range(len(array))}
    for i, item in enumerate(array):
        write_bytes(folder / f"{i:0{digits}d}.png", png(Image.fromarray(item), metadata))
    for old in folder.glob("*.png"):
        if old.stem.isdigit() and old.name not in names and _is_ours(old):
            old.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether this module wrote the PNG; nobody else's file is ever removed."""
    try:
        return read_metadata(path).get("Software") == _SOFTWARE
    except BadData:
        return False


class ImageCodec(Codec):
    """Images are their own pictures."""

    def shaped(self, field: Field) -> str:
        return "channels, height, width"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        return _check(items)

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return grid(items, columns)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        return to_array(items)

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        return save(items, path, columns=columns, metadata=metadata)

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        return ()

    def measured(self, field: Field) -> Field:
        return field

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        return to_bytes(items)


CODEC = ImageCodec()
