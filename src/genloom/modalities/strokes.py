"""Drawings as movements of a pen <-> lines, SVG files and pictures.

An item is (L, 3): a row is dx to the right, dy downwards, and what becomes of the pen after that movement: 0 it stays
on the paper, 1 it is lifted, so that the next movement draws nothing, 2 the drawing is over. Rows from the end on are
(0, 0, 2), so drawings of any length lie in one tensor. The pen comes from above: the first movement draws nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from genloom.core import Field
from genloom.modalities import image
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending
from genloom.modalities.folder import number, write_files
from genloom.modalities.registry import modality

ON, LIFTED, OVER = 0.0, 1.0, 2.0
SIDE, FINER = 64, 4  # pixels of a tile, and lines are drawn so many times larger
Line = np.ndarray
"""Places (m, 2) that the pen went through without leaving the paper."""


def rows_of(item: Tensor | np.ndarray) -> np.ndarray:
    """The movements (m, 3) of an item (L, 3) up to its end; what is no number is no movement."""
    rows = np.nan_to_num(np.asarray(item, np.float64), posinf=0.0, neginf=0.0)
    over = np.flatnonzero(rows[:, 2] >= (LIFTED + OVER) / 2)
    return rows[: over[0]] if len(over) else rows


def counts(items: Tensor) -> Tensor:
    """How many movements each of the drawings (B, L, 3) has, (B,)."""
    return (items[..., 2] < (LIFTED + OVER) / 2).long().cumprod(1).sum(1)


def lines_of(item: Tensor | np.ndarray) -> list[Line]:
    """The lines of a drawing; a point is a line with one place."""
    lines: list[list[np.ndarray]] = []
    place, lifted = np.zeros(2), True
    for dx, dy, pen in rows_of(item):
        place = place + np.array((dx, dy))
        if lifted:
            lines.append([])
        lines[-1].append(place)
        lifted = pen >= LIFTED / 2
    return [np.array(line) for line in lines]


def movements(lines: Sequence[Line]) -> np.ndarray:
    """Lines as rows (m, 3): the inverse of `lines_of`."""
    places = np.concatenate([np.asarray(line, np.float64).reshape(-1, 2) for line in lines])
    pen = np.zeros(len(places))
    pen[np.cumsum([len(line) for line in lines]) - 1] = LIFTED
    return np.concatenate([np.diff(places, axis=0, prepend=np.zeros((1, 2))), pen[:, None]], 1)


def padded(drawings: Sequence[np.ndarray], length: int) -> Tensor:
    """Rows (m, 3) of each drawing as items (n, length, 3), float32; there must be room for the end."""
    out = torch.zeros(len(drawings), length, 3)
    out[..., 2] = OVER
    for row, drawing in zip(out, drawings, strict=True):
        row[: len(drawing)] = torch.from_numpy(np.ascontiguousarray(drawing, np.float32))
    return out


def fitted(lines: Sequence[Line], side: float) -> list[Line]:
    """Lines moved and scaled to fill a square with a margin of a tenth, their shape kept."""
    if not lines:
        return []
    every = np.concatenate(lines)
    low, high = every.min(0), every.max(0)
    scale = 0.8 * side / max(float((high - low).max()), 1e-6)
    return [(line - (low + high) / 2) * min(scale, 1e6) + side / 2 for line in lines]


def svg(items: Tensor, columns: int | None = None, metadata: Mapping[str, str] | None = None) -> str:
    """All drawings as one SVG page, each in a square of 100."""
    across = columns or image.columns_for(max(1, len(items)))
    down = -(-len(items) // across)
    paths = []
    for i, item in enumerate(items):
        x, y = 100 * (i % across), 100 * (i // across)
        parts = []
        for line in fitted(lines_of(item), 100):
            first, *rest = (f"{a + x:.1f},{b + y:.1f}" for a, b in line)
            parts.append(f"M{first}" + "".join(f"L{p}" for p in rest or [first]))
        paths.append(f'<path d="{"".join(parts)}"/>')
    said = f"<metadata>{_escaped(json.dumps(dict(metadata)))}</metadata>" if metadata else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {100 * across} {100 * max(1, down)}">'
    style = '<g fill="none" stroke="black" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
    return "\n".join((head, said, style, *paths, "</g>", "</svg>", ""))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def ndjson(items: Tensor) -> str:
    """A line of JSON a drawing: {"drawing": [[[x ...], [y ...]] ...]}, a pair of lists each line."""
    found = ([np.round(line.T, 3).tolist() for line in lines_of(item)] for item in items)
    return "".join(json.dumps({"drawing": lines}) + "\n" for lines in found)


def drawn(items: Tensor, side: int = SIDE) -> Tensor:
    """Dark lines on white, uint8 (n, 1, side, side)."""
    out = torch.full((len(items), 1, side, side), 255, dtype=torch.uint8)
    for picture, item in zip(out, items, strict=True):
        large = Image.new("L", (side * FINER, side * FINER), 255)
        pen, wide = ImageDraw.Draw(large), max(1, side * FINER // 40)
        for line in fitted(lines_of(item), side * FINER):
            pen.line([tuple(p) for p in line], fill=0, width=wide, joint="curve")
            for x, y in (line[0], line[-1]):
                pen.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=0)
        small = large.resize((side, side), Image.Resampling.BOX)
        picture[0] = torch.from_numpy(np.array(small))
    return out


class StrokesCodec(Codec):
    """Drawings for people: pages of SVG, pictures, and lists of places."""

    seen_as = "pictures"

    def shaped(self, field: Field) -> str:
        return "movements, dx dy pen"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        return drawn(items.detach().cpu())

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return image.grid(self.tiles(items, field), columns, gap=2)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        """float32 (n, L, 3), dx and dy in standard deviations of the training movements."""
        return items.detach().cpu().float().nan_to_num().numpy()

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """.svg: a page; .png: the picture; .ndjson: a line each; .npy: the rows; a folder: an .svg an item."""
        target, items = Path(path), items.detach().cpu()
        suffix = target.suffix.lower()
        if is_folder(path):
            pages = (svg(item[None], 1, metadata).encode() for item in items)
            write_files(target, ((f"{number(i, len(items))}.svg", page) for i, page in enumerate(pages)))
        elif suffix == ".svg":
            image.write_bytes(target, svg(items, columns, metadata).encode())
        elif suffix == ".png":
            image.write_bytes(target, image.png(self.picture(items, field, columns), metadata))
        elif suffix == ".ndjson":
            image.write_bytes(target, ndjson(items).encode())
        elif suffix == ".npy":
            image.write_bytes(target, image.npy(self.array(items, field)))
        else:
            kind = modality("strokes")
            raise wrong_ending(path, kind.plural, kind.writes)
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        return ()

    def measured(self, field: Field) -> Field:
        return Field("image", (1, SIDE // 2, SIDE // 2))

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        return drawn(items.detach().cpu(), SIDE // 2)


CODEC = StrokesCodec()
