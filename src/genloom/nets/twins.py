"""Two networks that share the layers far from the pictures: what is shown is decided, or seen, in common."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.conv import ChannelNorm, Residual, Shuffle, Unshuffle, crop, pad, padded, to_maps, to_rows


def widths_of(width: int, count: int) -> list[int]:
    """Channels at each halving, from half the picture's size on."""
    return [width * 2 ** min(i, 2) for i in range(count)]


class TwinDecoder(nn.Module):
    """Features (B, D) to one picture for each of `shapes` (C, H, W), in [-1, 1]: as `Decoder`, the last `own` stages of
    which each domain has for itself."""

    def __init__(self, into: int, shapes: Sequence[tuple[int, ...]], *, width: int, count: int, own: int) -> None:
        super().__init__()
        self.size, self.channels = shapes[0][1:], [shape[0] for shape in shapes]
        stride, widths = 2**count, widths_of(width, count)[::-1]
        self.start = padded(self.size[0], stride) // stride, padded(self.size[1], stride) // stride
        self.into = nn.Linear(into, widths[0] * self.start[0] * self.start[1])

        def stages(first: int, last: int) -> list[nn.Module]:
            layers: list[nn.Module] = []
            for i in range(first, last):
                after = [nn.Conv2d(widths[i], 4 * widths[i + 1], 1), Shuffle()] if i + 1 < count else []
                layers += [Residual(widths[i]), *after]
            return layers

        def end(channels: int) -> list[nn.Module]:
            return [ChannelNorm(widths[-1]), nn.SiLU(), nn.Conv2d(widths[-1], 4 * channels, 3, padding=1)]

        self.shared = nn.Sequential(*stages(0, count - own))
        self.own = nn.ModuleList(nn.Sequential(*stages(count - own, count), *end(shape[0])) for shape in shapes)

    def forward(self, z: Tensor) -> list[Tensor]:
        if not len(z):  # pixel_shuffle leaves an empty batch as it is
            return [z.new_empty(0, channels, *self.size) for channels in self.channels]
        h = self.shared(to_maps(self.into(z), *self.start))
        return [torch.tanh(crop(F.pixel_shuffle(own(h), 2), *self.size).float()) for own in self.own]


class TwinFeatures(nn.Module):
    """Pictures of domain i (B, C_i, H, W) to features (B, D): as `ConvFeatures`, the first `own` halvings of which each
    domain has for itself."""

    def __init__(self, shapes: Sequence[tuple[int, ...]], out: int, *, width: int, count: int, own: int) -> None:
        super().__init__()
        self.stride, widths = 2**count, widths_of(width, count)
        height, width_px = shapes[0][1:]

        def stages(channels: list[int]) -> nn.Sequential:
            layers: list[nn.Module] = []
            for before, after in pairwise(channels):
                layers += [Unshuffle(), nn.Conv2d(4 * before, after, 3, padding=1), nn.LeakyReLU(0.2)]
            return nn.Sequential(*layers)

        self.own = nn.ModuleList(stages([shape[0], *widths[:own]]) for shape in shapes)
        self.shared = stages(widths[own - 1 :])
        area = padded(height, self.stride) * padded(width_px, self.stride) // self.stride**2
        self.out = nn.Linear(widths[-1] * area, out)

    def forward(self, i: int, x: Tensor) -> Tensor:
        h = self.shared(self.own[i](pad(x, self.stride)))
        return F.leaky_relu(self.out(to_rows(h)), 0.2).float()
