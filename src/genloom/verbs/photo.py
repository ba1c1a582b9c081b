"""A picture of the user's, as a run's model takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genloom.errors import BadData, NotFound

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Field


def read_photo(path: str | Path, sizes: Sequence[tuple[int, int]], channels: int) -> Tensor:
    """A picture file as (1, channels, H, W) in [-1, 1]; (H, W) must be one of `sizes`. Grey ones may stand for colour.

    Raises NotFound where there is no such file, BadData where it is no picture or another size or kind of one.
    """
    import numpy as np
    import torch

    from genloom.data.decode import read_picture
    from genloom.modalities.image import to_float

    place = Path(path)
    if not place.is_file():
        raise NotFound(f"there is no picture {place}: name an existing file")
    found = read_picture(place, None, "crop")
    if found.pixels is None:
        raise BadData(f"{place} cannot be read as a picture: give one that opens in a viewer")
    pixels = torch.from_numpy(np.array(found.pixels))
    pixels = pixels[None, None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)[None]
    size = (pixels.shape[2], pixels.shape[3])
    if size not in sizes:
        wanted = " or ".join(f"{h}x{w}" for h, w in sizes)
        raise BadData(
            f"{place} measures {size[0]}x{size[1]}, and this model works on {wanted} (height x width): scale it"
        )
    if pixels.shape[1] == 1 and channels == 3:
        pixels = pixels.expand(-1, 3, -1, -1)
    if pixels.shape[1] != channels:
        raise BadData(f"{place} has {pixels.shape[1]} channels, and this model works on {channels}: turn it to grey")
    return to_float(pixels)


def fitted_photo(path: str | Path, field: Field) -> tuple[Tensor, tuple[str, ...]]:
    """A picture file as (1, *field.shape) in [-1, 1], scaled to cover the field's size and cut to its middle, grey or
    coloured as the field is; and notes that say what was done to it.

    Raises NotFound where there is no such file, BadData where it is no picture or the field has other channels.
    """
    import numpy as np
    import torch

    from genloom.data.decode import read_picture
    from genloom.modalities.image import to_float

    place, (channels, height, width) = Path(path), field.shape
    if not place.is_file():
        raise NotFound(f"there is no picture {place}: name an existing file")
    if channels not in (1, 3):
        raise BadData(f"this model's pictures have {channels} channels: a photo is grey or has three colours")
    found = read_picture(place, (height, width), "crop")
    if found.pixels is None:
        raise BadData(f"{place} cannot be read as a picture: give one that opens in a viewer")
    pixels = torch.from_numpy(np.array(found.pixels))
    pixels = pixels[None, None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)[None]
    notes = []
    if (found.height, found.width) != (height, width):
        notes.append(f"{place} measures {found.height}x{found.width}; scaled and cut to the model's {height}x{width}")
    if pixels.shape[1] == 1 and channels == 3:
        pixels = pixels.expand(-1, 3, -1, -1)
    if pixels.shape[1] == 3 and channels == 1:
        notes.append(f"{place} has colours; the model's pictures are grey, and so it was made")
        pixels = pixels.float().mean(1, keepdim=True).round().to(torch.uint8)
    return to_float(pixels), tuple(notes)
