"""Small convolutional parts for images (B, C, H, W) of any size, quick on a CPU in bf16 and channels_last.

Feature maps are kept in channels_last memory from end to end, also where they turn into rows: where two layouts meet,
as after a plain `flatten` in the backward pass, an addition or activation costs five to twenty times as much.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadData


def halvings(height: int, width: int, who: str, smallest: int = 8) -> int:
    """How often an image is halved until its shorter side is at most `smallest` pixels; at least twice.

    Raises BadData for images that a stride of 4 does not fit into.
    """
    if min(height, width) < 4:
        raise BadData(f"{who} needs images of at least 4x4 pixels, got {height}x{width}: choose a larger --data.size")
    count = 2
    while min(height, width) > smallest * 2**count:
        count += 1
    return count


def padded(size: int, multiple: int) -> int:
    """The least multiple of `multiple` that is no smaller than `size`."""
    return -(-size // multiple) * multiple


def pad(x: Tensor, multiple: int) -> Tensor:
    """x with its last rows and columns repeated until both sides are multiples of `multiple`; undone by `crop`."""
    height, width = x.shape[-2:]
    bottom, right = padded(height, multiple) - height, padded(width, multiple) - width
    return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def crop(x: Tensor, height: int, width: int) -> Tensor:
    """The upper left height x width pixels."""
    return x if x.shape[-2:] == (height, width) else x[..., :height, :width]


def to_rows(h: Tensor) -> Tensor:
    """Feature maps (B, C, H, W) as rows (B, H W C): a view in channels_last."""
    return h.permute(0, 2, 3, 1).flatten(1)


def to_maps(rows: Tensor, height: int, width: int) -> Tensor:
    """Rows (B, H W C) as feature maps (B, C, H, W) in channels_last: a view."""
    return rows.unflatten(1, (height, width, -1)).permute(0, 3, 1, 2)


def unshuffle(x: Tensor) -> Tensor:
    """2x2 pixels to one of four times the channels (Shi et al. 2016, backwards), in channels_last."""
    return F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)


class Unshuffle(nn.Module):
    """`unshuffle` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return unshuffle(x)


class Shuffle(nn.Module):
    """The inverse of `Unshuffle`: four channels to 2x2 pixels, in channels_last."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(x, 2).contiguous(memory_format=torch.channels_last)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of every pixel, on the NHWC view: without a copy in channels_last, where
    a CPU's GroupNorm is several times slower."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """x + conv(silu(conv(silu(norm(x))))), 3x3, the last convolution starting at zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.silu(self.first(F.silu(self.norm(x)))))


class Encoder(nn.Module):
    """Images (B, C, H, W) to features (B, D): halved `count` times by space-to-depth, `blocks` residual blocks at
    every size but the full one, widths doubling up to 4 x `width`, then one linear layer."""

    def __init__(self, shape: tuple[int, ...], out: int, *, width: int, blocks: int, count: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.stride = 2**count
        widths = [width * 2 ** min(i, 2) for i in range(count)]
        layers: list[nn.Module] = []
        for before, after in zip([channels, *widths[:-1]], widths, strict=True):
            kernel = 1 if layers else 3
            layers += [Unshuffle(), nn.Conv2d(4 * before, after, kernel, padding=kernel // 2)]
            layers += [Residual(after) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, ChannelNorm(widths[-1]), nn.SiLU())
        area = padded(height, self.stride) * padded(width_px, self.stride) // self.stride**2
        self.out = nn.Linear(widths[-1] * area, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(to_rows(self.layers(pad(x, self.stride))))


class Decoder(nn.Module):
    """The mirror of `Encoder`: features (B, D) to images (B, C, H, W), by depth-to-space; no final activation."""

    def __init__(self, into: int, shape: tuple[int, ...], *, width: int, blocks: int, count: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        stride = 2**count
        self.size = height, width_px
        self.start = padded(height, stride) // stride, padded(width_px, stride) // stride
        widths = [width * 2 ** min(i, 2) for i in reversed(range(count))]
        self.into = nn.Linear(into, widths[0] * self.start[0] * self.start[1])
        layers: list[nn.Module] = []
        for here, after in zip(widths, [*widths[1:], 0], strict=True):
            layers += [Residual(here) for _ in range(blocks)]
            layers += [nn.Conv2d(here, 4 * after, 1), Shuffle()] if after else []
        self.layers = nn.Sequential(*layers, ChannelNorm(widths[-1]), nn.SiLU())
        self.last = nn.Conv2d(widths[-1], 4 * channels, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        h = self.layers(to_maps(self.into(z), *self.start))
        return crop(F.pixel_shuffle(self.last(h), 2), *self.size)
