"""Points: rows of a few numbers, drawn as dots in the plane of the first two."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue
from genloom.modalities.codec import Clip, Codec, Place, wrong_ending
from genloom.modalities.image import npy, png, write_bytes

SIDE, EDGE = 320, 8  # pixels of the picture, and of the white around it
DOT = 1.5  # radius of a point in pixels
INK = (40, 80, 150)


def scatter(points: np.ndarray, bounds: tuple[float, float], side: int = SIDE) -> Image.Image:
    """Points (N, D) as dots; bounds: least and greatest value along both sides of the square."""
    low, high = bounds
    if not np.isfinite([low, high]).all():
        low, high = (float(np.nanmin(points)), float(np.nanmax(points))) if points.size else (-1.0, 1.0)
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 0, side - 1, side - 1), outline=(200, 200, 200))
    plane = points[:, :2] if points.shape[1] > 1 else np.concatenate([points, np.zeros_like(points)], 1)
    shown = plane[np.isfinite(plane).all(1)]
    places = EDGE + (shown - low) / max(high - low, 1e-12) * (side - 2 * EDGE)
    for x, y in places.tolist():
        if 0 <= x <= side and 0 <= y <= side:
            draw.ellipse((x - DOT, side - y - DOT, x + DOT, side - y + DOT), fill=INK)
    return picture


class VectorCodec(Codec):
    """Points are shown together: one alone says nothing."""

    def shaped(self, field: Field) -> str:
        return "numbers"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("a point has no picture of its own")

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        if not len(items):
            raise BadValue("a picture needs at least one point, got none: ask for n of 1 or more")
        return scatter(items.detach().float().cpu().numpy(), field.range)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        return items.detach().float().cpu().numpy()

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        target, array = Path(path), self.array(items, field)
        ending = target.suffix.lower()
        if ending == ".csv":
            out = io.StringIO()
            header = ",".join(f"x{i + 1}" for i in range(array.shape[1]))
            np.savetxt(out, array, delimiter=",", fmt="%.7g", header=header, comments="")
            write_bytes(target, out.getvalue().encode())
        elif ending == ".npy":
            write_bytes(target, npy(array))
        elif ending == ".png":
            write_bytes(target, png(self.picture(items, field), metadata))
        else:
            raise wrong_ending(path, "points", (".csv", ".npy", ".png"))
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        return ()

    def measured(self, field: Field) -> Field | None:
        return None

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("points are compared as they are, not as pictures")


CODEC = VectorCodec()
