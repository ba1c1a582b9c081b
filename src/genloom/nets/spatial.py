"""Autoencoders whose code keeps its place: images (B, C, H, W) to maps (B, c, H/f, W/f) and back; a judge of patches.

The parts are those of `nets.conv`: space-to-depth, residual blocks, layer normalisation over channels.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadData, BadValue
from genloom.nets.conv import ChannelNorm, Residual, Shuffle, Unshuffle, crop, pad, padded


def code_size(shape: tuple[int, ...], factor: int, who: str) -> tuple[int, int]:
    """Height and width of the code of images of this shape (C, H, W), each side rounded up.

    Raises BadValue for a factor that is no power of two, BadData for images that would leave less than 2x2.
    """
    if factor < 2 or factor & (factor - 1):
        raise BadValue(f"{who} halves images: --config.factor is a power of two such as 2, 4 or 8, got {factor}")
    height, width = (padded(side, factor) // factor for side in shape[1:])
    if min(height, width) < 2:
        raise BadData(
            f"{who} at factor {factor} needs images of more than {factor}x{factor} pixels, got {shape[1]}x{shape[2]}: "
            "lower --config.factor or choose a larger --data.size"
        )
    return height, width


def widths_of(width: int, factor: int) -> list[int]:
    """Channels at each halving, fine to coarse: doubled up to four times."""
    return [width * 2 ** min(i, 2) for i in range(int(math.log2(factor)))]


class SpatialEncoder(nn.Module):
    """Images (B, C, H, W) to maps (B, out, H/factor, W/factor); sides that do not divide are padded by repetition."""

    def __init__(self, channels: int, out: int, *, width: int, blocks: int, factor: int) -> None:
        super().__init__()
        self.factor, widths = factor, widths_of(width, factor)
        layers: list[nn.Module] = []
        for before, after in zip([channels, *widths[:-1]], widths, strict=True):
            kernel = 1 if layers else 3
            layers += [Unshuffle(), nn.Conv2d(4 * before, after, kernel, padding=kernel // 2)]
            layers += [Residual(after) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers, ChannelNorm(widths[-1]), nn.SiLU())
        self.leave = nn.Conv2d(widths[-1], out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.leave(self.layers(pad(x, self.factor)))


class SpatialDecoder(nn.Module):
    """The mirror of `SpatialEncoder`: maps (B, into, h, w) to images (B, *shape); no final activation."""

    def __init__(self, into: int, shape: tuple[int, ...], *, width: int, blocks: int, factor: int) -> None:
        super().__init__()
        self.size, widths = (shape[1], shape[2]), widths_of(width, factor)[::-1]
        layers: list[nn.Module] = [nn.Conv2d(into, widths[0], 3, padding=1)]
        for here, after in zip(widths, [*widths[1:], 0], strict=True):
            layers += [Residual(here) for _ in range(blocks)]
            layers += [nn.Conv2d(here, 4 * after, 1), Shuffle()] if after else []
        self.layers = nn.Sequential(*layers, ChannelNorm(widths[-1]), nn.SiLU())
        self.last = nn.Conv2d(widths[-1], 4 * shape[0], 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        return crop(F.pixel_shuffle(self.last(self.layers(z)), 2), *self.size)


class PatchJudge(nn.Module):
    """Images (B, C, H, W) to one logit for every 4x4 pixels (B, 1, H/4, W/4), each seeing about 20x20 of them: what the
    patch discriminator of pix2pix (Isola et al. 2017, arXiv:1611.07004) is for. No normalisation, so that an item's
    verdict is its own."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(Unshuffle(), nn.Conv2d(4 * channels, width, 3, padding=1)),
                nn.Sequential(Unshuffle(), nn.Conv2d(4 * width, 2 * width, 3, padding=1)),
                nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            ]
        )
        self.leave = nn.Conv2d(2 * width, 1, 1, bias=False)  # real and copied patches would pull a bias both ways

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and the features of every stage."""
        x, features = pad(x, 4), []
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
            features.append(x)
        return self.leave(x), features
