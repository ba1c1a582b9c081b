"""One picture file into bytes: every format and mode, upright, at the size that is asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from PIL import Image

from genloom.data.shape import fit


@dataclass(frozen=True)
class Decoded:
    """pixels: uint8 (H, W) where the picture is grey (red = green = blue), else (H, W, 3); None where it is unreadable.
    height, width: of the file, as a person sees it, before any scaling; 0 where unknown.
    refused: it is the system that would not give us the file (permissions, a disk error), not its content."""

    pixels: np.ndarray | None
    height: int = 0
    width: int = 0
    refused: bool = False


def to_bytes(picture: Image.Image) -> Image.Image:
    """A picture of any mode as "L" or "RGB"; transparency on white, 16 bits and floats scaled to 8."""
    mode = picture.mode
    if mode in ("L", "RGB"):
        if "transparency" not in picture.info:
            return picture
        return to_bytes(picture.convert("RGBA"))
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


def measure(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """(height, width) as a person sees the picture, from the header alone; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return _upright(picture)
    except Exception:  # decoders of a dozen formats raise what they like at broken files
        return None


def _upright(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (width, height) if _orientation(picture) >= 5 else (height, width)


def read_picture(path: str | os.PathLike[str], size: tuple[int, int] | None, policy: str) -> Decoded:
    """The picture in a file at `size` (height, width; None keeps its own); never raises."""
    try:
        with Image.open(path) as picture:
            height, width = _upright(picture)
            pixels = _pixels(picture, size or (height, width), policy)
    except OSError as error:  # Pillow's own complaints carry no number
        return Decoded(None, refused=error.errno is not None)
    except Exception:
        return Decoded(None)
    if pixels.ndim == 3 and _is_grey(pixels):
        pixels = pixels[:, :, 0]
    return Decoded(pixels, height, width)


def decode(path: str | os.PathLike[str], size: tuple[int, int], policy: str) -> np.ndarray | None:
    """One file as uint8 (H, W) or (H, W, 3), upright, at `size`; None where it cannot be read."""
    try:
        with Image.open(path) as picture:
            return _pixels(picture, size, policy)
    except Exception:
        return None


def _pixels(picture: Image.Image, size: tuple[int, int], policy: str) -> np.ndarray:
    turn = _TURNS.get(_orientation(picture))
    if picture.format == "JPEG" and picture.mode in ("L", "RGB"):
        longest = 2 * max(size)  # large photographs are decoded at a half, quarter or eighth of their size
        picture.draft(picture.mode, (longest, longest))
    picture.load()
    solid = to_bytes(picture)
    return np.asarray(fit(solid if turn is None else solid.transpose(turn), *size, policy))


def _is_grey(picture: np.ndarray) -> bool:
    """Whether red = green = blue everywhere; most colourful pictures show it in their first row."""
    return all(bool((part == part[:, :, :1]).all()) for part in (picture[:1], picture))
