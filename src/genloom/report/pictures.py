"""Pictures that stand in the page: sheets of tiles, and their pixels as an address."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from PIL import Image, features

from genloom.report.content import Playable

LARGE = 150_000  # bytes from which on a picture is stored as WebP at QUALITY, as photographs are
QUALITY = 88


def picture(image: Image.Image, label: str) -> Markup:
    """An <img> whose pixels stand in the page: PNG, and a smaller WebP where that would be large."""
    image = image if image.mode in ("L", "LA", "P", "RGB", "RGBA") else image.convert("RGB")
    kind, stored = "png", _encoded(image, "PNG", optimize=True)
    if len(stored) > LARGE and features.check("webp") and max(image.size) < 16_384:
        smaller = _encoded(image.convert("RGBA"), "WEBP", quality=QUALITY, alpha_quality=100)
        kind, stored = ("webp", smaller) if len(smaller) < len(stored) else (kind, stored)
    return Markup('<img alt="{}" width="{}" height="{}" src="data:image/{};base64,{}">').format(
        label, image.width, image.height, kind, base64.b64encode(stored).decode()
    )


def playable(clip: Playable) -> Markup:
    """A sound or a moving picture as an element that holds it."""
    sound = '<audio controls preload="metadata" aria-label="{}" src="data:{};base64,{}"></audio>'
    element = Markup(sound if clip.kind.startswith("audio/") else '<img alt="{}" src="data:{};base64,{}">')
    return element.format(clip.label, clip.kind, base64.b64encode(clip.content).decode())


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sheet(rows: Sequence[np.ndarray[Any, Any]], scale: int = 2, gap: int = 2) -> Image.Image:
    """Rows of tiles below each other, each uint8 (n, h, w) or (n, h, w, 3); shorter rows end early.

    What lies between tiles is transparent, so that it is the page's own colour. scale: how many times tiles are
    enlarged; gap: pixels between them, before that.
    """
    arrays = [np.asarray(row) for row in rows]
    if any(a.ndim == 4 for a in arrays):
        arrays = [a if a.ndim == 4 else a[..., None].repeat(3, -1) for a in arrays]
    else:
        arrays = [a[..., None] for a in arrays]
    height, width, channels = arrays[0].shape[1:]
    n = max(len(a) for a in arrays)
    whole = np.zeros((len(arrays) * (height + gap) - gap, n * (width + gap) - gap, channels + 1), np.uint8)
    for i, items in enumerate(arrays):
        for j, item in enumerate(items):
            tile = whole[i * (height + gap) :, j * (width + gap) :][:height, :width]
            tile[..., :channels], tile[..., channels] = item, 255
    whole = whole.repeat(scale, 0).repeat(scale, 1)
    return Image.fromarray(whole, "LA" if channels == 1 else "RGBA")


def pairs(samples: Sequence[Any] | np.ndarray[Any, Any], nearest: np.ndarray[Any, Any], scale: int = 2) -> Image.Image:
    """Samples in a row, the nearest training item under each: uint8 arrays (n, h, w) or (n, h, w, 3)."""
    return sheet([np.asarray(samples), np.asarray(nearest)], scale)
