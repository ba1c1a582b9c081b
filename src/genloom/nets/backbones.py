"""Which network turns an item of a given shape into one of the same shape: by dimensions, or as asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from genloom.errors import BadData, BadValue
from genloom.nets.dit import DiT
from genloom.nets.rows import RowNet
from genloom.nets.unet import Factor, UNet, each_side

Backbone = Literal["auto", "unet", "dit", "rows"]
FINEST = 512
"""Places along a sound at a U-Net's finest level, about."""
COARSEST = 64
"""Places along a sound at its coarsest level, at most: few enough for all to attend to each other."""


@dataclass(frozen=True)
class Form:
    """A U-Net's levels and stem, as `UNet` takes them."""

    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    attention: tuple[int, ...]
    stem: Factor


def form_of(
    shape: tuple[int, ...], widths: tuple[int, ...], blocks: tuple[int, ...], attention: tuple[int, ...]
) -> Form:
    """What suits items of this shape, from the levels that suit pictures.

    Pictures: a stem of 2, as they are. Sounds (C, T): a stem that leaves about 512 places, and further levels, as wide
    as the coarsest with a block each before it, until 64 places or fewer are left, which attend. Clips (C, T, H, W): a
    stem of 2 frames by 2 x 2 pixels (4 x 4 from 64 on), and attention at the coarsest level. The finest level of these
    is at least as wide as a place holds numbers: a narrower one could not tell the noise of each from the item.
    """
    if len(shape) == 3:
        return Form(widths, blocks, attention, 2)
    if len(shape) == 2:
        length = shape[1]
        stem = max(2, 2 ** round(math.log2(max(1.0, length / FINEST))))
        while -(-length // (stem * 2 ** (len(widths) - 1))) > COARSEST:
            widths, blocks = (*widths, widths[-1]), (*blocks[:-1], 1, blocks[-1])
        return Form(_wide_enough(widths, shape[0] * stem), blocks, attention or (len(widths) - 1,), stem)
    frames, pixels = 2 if shape[1] >= 8 else 1, 4 if min(shape[2:]) >= 64 else 2
    widths = _wide_enough(widths, shape[0] * frames * pixels**2)
    return Form(widths, blocks, attention or (len(widths) - 1,), (frames, pixels, pixels))


def _wide_enough(widths: tuple[int, ...], least: int) -> tuple[int, ...]:
    """The widths, the finest raised to `least` in steps of 32."""
    return (max(widths[0], -(-least // 32) * 32), *widths[1:]) if least > widths[0] else widths


def backbone(
    kind: Backbone,
    shape: tuple[int, ...],
    *,
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    attention: tuple[int, ...],
    stem: int,
    width: int,
    depth: int,
    patch: int,
    embedding: int,
    planes: int = 0,
    tokens: int = 0,
) -> nn.Module:
    """A network (x (B, *shape), t (B,), told) -> (B, *shape).

    kind: "auto" is a U-Net, or a network of rows for shapes (D,). widths, blocks, attention and stem shape the U-Net,
    a stem of 0 leaves it and further levels to the shape (`form_of`);
    width and depth the others, patch the transformer; planes, tokens: channels and width of what it will be told.
    Raises BadValue where they do not fit together, BadData where the network does not suit the items.
    """
    if kind == "auto":
        kind = "rows" if len(shape) == 1 else "unet"
    if (kind == "rows") != (len(shape) == 1):
        raise BadData(f"backbone {kind!r} does not suit items of shape {shape}: use 'auto', which chooses by the data")
    if kind == "rows":
        return RowNet(shape[0], width=width, depth=depth, embedding=embedding)
    if kind == "dit":
        if min(shape[1:]) < patch:
            raise BadData(f"patches of {patch} do not fit into items of shape {shape}: lower --config.patch")
        return DiT(shape, width=width, depth=depth, patch=patch, embedding=embedding, planes=planes, tokens=tokens)
    if len(widths) != len(blocks):
        raise BadValue(
            f"blocks {blocks} says how many blocks each level has, and widths {widths} name {len(widths)} levels: "
            "give one number for each"
        )
    form = Form(widths, blocks, attention, stem) if stem else form_of(shape, widths, blocks, attention)
    sides = shape[1:]
    least = each_side(UNet.stride_of(form.widths, form.stem), len(sides))
    if any(side < of for side, of in zip(sides, least, strict=True)):
        raise BadData(
            f"this network needs items of at least {'x'.join(map(str, least))}, got "
            f"{'x'.join(map(str, sides))}: use larger items or fewer levels (--config.widths)"
        )
    return UNet(
        shape[0],
        widths=form.widths,
        blocks=form.blocks,
        attention=form.attention,
        stem=form.stem,
        embedding=embedding,
        dims=len(shape) - 1,
        planes=planes,
        tokens=tokens,
    )
