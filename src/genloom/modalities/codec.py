"""What a modality must be able to do with its items, so that every verb, preview and report can show and keep them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class Clip:
    """Something to be heard or watched that a page can hold: a whole file. kind: "audio/wav" or "image/gif"."""

    kind: str
    content: bytes
    label: str = ""


class Codec(ABC):
    """Items (n, *field.shape), as they are stored or as floats in the field's range, for people.

    An item has a `tile` where a picture can stand for it; sheets, walks and pairs of neighbours are made of tiles. What
    has none (rows of a table) is shown by `picture` alone.
    """

    seen_as: ClassVar[str] = ""
    """What `to_measured` makes of items, in a word that names of figures carry: FD(digits-spectrograms@...)."""

    @abstractmethod
    def shaped(self, field: Field) -> str:
        """What the numbers of an item's shape are: "channels, height, width"."""

    @abstractmethod
    def tiles(self, items: Tensor, field: Field) -> Tensor:
        """One picture an item, all of one size: uint8 (n, 1 or 3, h, w). Only asked for where the entry is `tiled`."""

    @abstractmethod
    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        """One picture of all items; columns: how many stand beside each other. Raises BadValue for no items."""

    @abstractmethod
    def array(self, items: Tensor, field: Field) -> np.ndarray:
        """The items as a .npy file holds them and as Python callers get them."""

    @abstractmethod
    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """Writes to any of the modality's endings, or a folder of single items; whole or not at all. metadata: goes
        where the format has room for it. Raises BadValue for another ending, Storage where it cannot be written."""

    @abstractmethod
    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        """What a page holds beside the picture, to be played; () where the picture says it all."""

    @abstractmethod
    def measured(self, field: Field) -> Field | None:
        """The pictures by which items are compared with real ones: an image field, None where there are none."""

    @abstractmethod
    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        """Items as those pictures, uint8 (n, C, H, W) of `measured(field).shape`."""


def is_folder(path: Place) -> bool:
    """Whether a place means a folder of single items: a final slash, no ending, or a folder that exists."""
    target = Path(path)
    return os.fspath(path).endswith(("/", os.sep)) or target.is_dir() or not target.suffix


def wrong_ending(path: Place, plural: str, endings: tuple[str, ...]) -> BadValue:
    """The error of a place with an ending that items cannot be written to."""
    return BadValue(f"expected a place ending in {', '.join(endings)} or / for {plural}, got {os.fspath(path)!r}")
