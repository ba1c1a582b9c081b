"""Pictures as they are read from memory or a mapped file, and other forms of them that are computed as they are read.

A form stands opposite the picture it is made of: a translator is given one and learns to make the other. Forms are
functions of bytes (B, C, H, W), each item by itself, so that data on disk have them at no cost in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genloom.data.options import DataOptions
from genloom.data.shape import to_grey
from genloom.errors import BadValue, nearest
from genloom.modalities.image import to_float

BLOCK = 4  # pixels a side of a coarse picture's squares
STEEP = 64.0  # change of brightness, of 255, from which on a pixel belongs to an edge
_SCALE, _ONE = np.float32(2 / 255), np.float32(1)


def edges(x: Tensor) -> Tensor:
    """White where the brightness changes by more than a quarter of its range (Sobel's filters), black elsewhere."""
    grey = (x if x.shape[1] == 1 else to_grey(x)).float()
    slope = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 4
    around = F.pad(grey, (1, 1, 1, 1), mode="replicate")
    across, down = F.conv2d(around, torch.stack([slope, slope.T])[:, None]).unbind(1)
    return ((across.square() + down.square() > STEEP**2).to(torch.uint8) * 255)[:, None]


def negative(x: Tensor) -> Tensor:
    """Dark where the picture is bright."""
    return 255 - x


def grey(x: Tensor) -> Tensor:
    """Brightness without colour (ITU-R 601)."""
    return to_grey(x)


def coarse(x: Tensor) -> Tensor:
    """Means over squares of 4x4 pixels, at the picture's own size."""
    small = F.avg_pool2d(x.float(), BLOCK, ceil_mode=True, count_include_pad=False)
    large = small.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
    return large[..., : x.shape[2], : x.shape[3]].round().to(torch.uint8)


@dataclass(frozen=True)
class Form:
    """make: from bytes (B, C, H, W) to bytes; one: whether it has one channel, whatever the picture has."""

    make: Callable[[Tensor], Tensor]
    one: bool = False


FORMS: Mapping[str, Form] = {
    "edges": Form(edges, one=True),
    "negative": Form(negative),
    "grey": Form(grey, one=True),
    "coarse": Form(coarse),
}


class Pictures:
    """Items' pictures, read by row, from a uint8 tensor (N, C, H, W) that may lie in a memory-mapped file.

    at: the row of each item in `images`, where they are not the same; form: what is made of every picture read.
    Rows are gathered by numpy: a training step's few dozen are copied before threads would have started.
    """

    def __init__(self, images: Tensor, form: Form | None = None, at: np.ndarray | None = None) -> None:
        n, c, h, w = images.shape
        stored = images if images.is_contiguous() else images.permute(0, 2, 3, 1)
        self._stored, self._stored_HWC = (c, h, w), not images.is_contiguous()
        self._flat = stored.reshape(n, -1).numpy()
        self._form, self._at = form, at
        self.shape = (1 if form and form.one else c, h, w)

    def __len__(self) -> int:
        return len(self._flat) if self._at is None else len(self._at)

    def _read(self, items: np.ndarray) -> np.ndarray:
        return self._flat[items if self._at is None else self._at[items]]

    def _images(self, flat: np.ndarray) -> Tensor:
        """(B, bytes or floats of an image in stored order) -> (B, C, H, W)."""
        c, h, w = self._stored
        x = torch.from_numpy(flat)
        return x.view(-1, h, w, c).permute(0, 3, 1, 2) if self._stored_HWC else x.view(-1, c, h, w)

    def raw(self, items: np.ndarray) -> Tensor:
        """uint8 (B, C, H, W)."""
        images = self._images(self._read(items))
        return images if self._form is None else self._form.make(images)

    def batch(self, items: np.ndarray) -> Tensor:
        """float32 (B, C, H, W) in [-1, 1], in fresh memory."""
        if self._form is not None:
            return to_float(self.raw(items))
        floats = self._read(items).astype(np.float32)  # the arithmetic of `to_float`, bit for bit
        floats *= _SCALE
        floats -= _ONE
        return self._images(floats)


Forms = Mapping[str, Callable[[], Pictures]]
"""Forms that a data set has of its items besides the pictures themselves, by name; read when they are asked for."""


def arranged(
    name: str, options: DataOptions, images: Tensor, forms: Forms, own: str, notes: list[str]
) -> dict[str, Pictures]:
    """{"image": the pictures}; where `options.pair` asks for a pair, {what is given: its pictures, own: the pictures}.

    own: what the pictures are called beside one of `forms`. Raises BadValue for a form that there is not.
    """
    pair = options.pair
    if pair is None:
        if options.pairing != "paired":
            raise BadValue(f"--data.pairing {options.pairing} is of pairs: say of which, as in --data.pair edges")
        return {"image": Pictures(images)}
    if pair == "auto":
        pair = next(iter(forms), "edges")
    if pair in forms:
        return {pair: forms[pair](), own: Pictures(images)}
    if pair not in FORMS:
        near = nearest(pair, [*forms, *FORMS], 1)
        meant = f"did you mean {near[0]}?" if near else f"give one of {', '.join([*forms, *FORMS])}"
        raise BadValue(f"--data.pair {pair}: {name} has no such form of its pictures; {meant}")
    if pair == "grey" and images.shape[1] == 1:
        raise BadValue(f"--data.pair grey: the pictures of {name} are grey already; choose edges, negative or coarse")
    notes.append(f"beside every picture stands its {pair} form, made from it; --data.pair chooses another")
    return {pair: Pictures(images, FORMS[pair]), "image": Pictures(images)}
