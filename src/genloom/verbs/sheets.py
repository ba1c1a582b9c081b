"""Items laid out on sheets for a page, whatever their modality."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genloom.modalities.registry import modality

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.core import Field

GRIDS = ((64, 64), (128, 36), (10**6, 16))  # pictures of up to so many pixels a side: so many of them


def tile_size(field: Field) -> tuple[int, int]:
    """Height and width in pixels of the picture of an item; (1, 1) where items have none."""
    import torch

    kind = modality(field.modality)
    if not kind.tiled:
        return 1, 1
    height, width = kind.codec.tiles(torch.zeros(1, *field.shape), field).shape[2:]
    return height, width


def sheet_of(items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
    """Items as a sheet of tiles, or as the one picture that their modality makes of them."""
    kind = modality(field.modality)
    if not kind.tiled:
        return kind.codec.picture(items, field, columns)
    return tiles(kind.codec.tiles(items, field), columns)


def enlarged(height: int, width: int) -> int:
    """How many times small pictures are enlarged, so that a browser does not blur their pixels."""
    return max(1, min(4, round(112 / max(height, width))))


def tiles(images: Tensor, columns: int | None = None) -> Image.Image:
    """Images (n, C, h, w), bytes or in [-1, 1], as a sheet with see-through gaps, nearly square or of `columns`."""
    from genloom.modalities import image
    from genloom.report.pictures import sheet

    array = image.to_array(images)
    n, height, width = array.shape[:3]
    columns = columns or image.columns_for(n, height, width)
    return sheet([array[i : i + columns] for i in range(0, n, columns)], enlarged(height, width))
