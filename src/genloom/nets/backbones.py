"""Which network turns an item of a given shape into one of the same shape: by dimensions, or as asked."""

from __future__ import annotations

from typing import Literal

from torch import nn

from genloom.errors import BadData, BadValue
from genloom.nets.dit import DiT
from genloom.nets.rows import RowNet
from genloom.nets.unet import UNet

Backbone = Literal["auto", "unet", "dit", "rows"]


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

    kind: "auto" is a U-Net, or a network of rows for shapes (D,). widths, blocks, attention and stem shape the U-Net;
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
    stride, sides = UNet.stride_of(widths, stem), shape[1:]
    if min(sides) < stride:
        raise BadData(
            f"this network needs items of at least {'x'.join([str(stride)] * len(sides))}, got "
            f"{'x'.join(map(str, sides))}: use larger items or fewer levels (--config.widths)"
        )
    return UNet(
        shape[0],
        widths=widths,
        blocks=blocks,
        attention=attention,
        stem=stem,
        embedding=embedding,
        dims=len(shape) - 1,
        planes=planes,
        tokens=tokens,
    )
