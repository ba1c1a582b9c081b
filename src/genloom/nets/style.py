"""Layers of style-based generators and of the discriminators beside them (Karras et al. 2018, 2019 and 2020).

Equalised learning rate (2018, section 4.1): weights start as standard normal numbers and are scaled by what He's
initialisation would have drawn them with whenever they are used, so that Adam moves all of them at one relative speed.

Modulated convolution (2020, section 2.2): w'_ijk = s_i w_ijk, and demodulated w''_ijk = w'_ijk / sqrt(sum_ik w'_ijk^2).
A convolution is linear: to scale input channels by s and output channels by that root is the same function as a kernel
for each item, and takes one ordinary convolution, several times faster on a CPU than a grouped one.

Widths at each size follow one rule, `widths_of`: a base width at half the image's size, doubled at every halving up to
four times. Images are joined and cut by 2x2 space-to-depth, so that no layer works at the full size.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.conv import crop, pad, padded, to_rows, unshuffle

SLOPE, GAIN = 0.2, math.sqrt(2)


def lrelu(x: Tensor) -> Tensor:
    """Leaky rectification that keeps the second moment of standard normal numbers near 1."""
    return F.leaky_relu(x, SLOPE) * GAIN


def pixel_norm(x: Tensor) -> Tensor:
    """x / sqrt(mean_i x_i^2 + 1e-8) over dimension 1 (Karras et al. 2018, section 4.2)."""
    return x * torch.rsqrt(x.float().square().mean(1, keepdim=True) + 1e-8).to(x.dtype)


def widths_of(width: int, count: int) -> list[int]:
    """Channels at each halving, from half the image's size down to the smallest."""
    return [width * 2 ** min(i, 2) for i in range(count)]


class EqualLinear(nn.Module):
    """x W^T c + b with W standard normal and c = rate / sqrt(fan-in). rate: the layer's share of the learning rate."""

    def __init__(self, before: int, after: int, *, start: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before) / rate)
        self.bias = nn.Parameter(torch.full((after,), start / rate))
        self.scale, self.rate = rate / math.sqrt(before), rate

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualConv(nn.Module):
    """A convolution that keeps the size, scaled as `EqualLinear`."""

    def __init__(self, before: int, after: int, kernel: int = 3, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(after)) if bias else None
        self.scale, self.padding = 1 / math.sqrt(before * kernel**2), kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class Mapping(nn.Module):
    """z (B, L) to w (B, D): z brought to length sqrt(L), then fully connected layers that learn at a tenth of the rate
    (Karras et al. 2019, section 2 and appendix B: a hundredth, for runs a thousand times as long)."""

    def __init__(self, latent: int, style: int, depth: int, rate: float = 0.1) -> None:
        super().__init__()
        sizes = [latent, *[style] * depth]
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=rate) for a, b in pairwise(sizes))

    def forward(self, z: Tensor) -> Tensor:
        x = pixel_norm(z)
        for layer in self.layers:
            x = lrelu(layer(x))
        return x


class Modulated(nn.Module):
    """A convolution whose input channels a style scales (B, D); `demodulate`: output channels of unit variance."""

    def __init__(self, before: int, after: int, style: int, kernel: int = 3, *, demodulate: bool = True) -> None:
        super().__init__()
        self.affine = EqualLinear(style, before, start=1.0)  # y = A(w), of mean 1
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(before * kernel**2), kernel // 2, demodulate

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.affine(w)
        weight = self.weight * self.scale
        x = F.conv2d(x * s[:, :, None, None].to(x.dtype), weight, padding=self.padding)
        if not self.demodulate:
            return x
        energy = s.float().square() @ weight.float().square().sum((2, 3)).T  # sum over i, k of (s_i w_ijk)^2: (B, J)
        return x * torch.rsqrt(energy + 1e-8)[:, :, None, None].to(x.dtype)


class StyledConv(nn.Module):
    """Modulated convolution, growth by two where `grow`, noise of a learnt strength, bias, leaky rectification."""

    def __init__(self, before: int, after: int, style: int, *, grow: bool = False) -> None:
        super().__init__()
        self.conv = Modulated(before, after, style)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))
        self.grow = grow

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        x = self.conv(x, w)
        x = grown(x) if self.grow else x
        return lrelu(x + (self.strength * noise).to(x.dtype) + self.bias[:, None, None].to(x.dtype))


def grown(x: Tensor) -> Tensor:
    """Twice the height and width, between pixels interpolated: repetition followed by a [1, 2, 1] filter."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def smoothed(x: Tensor) -> Tensor:
    """x after a [1, 2, 1] / 4 filter both ways: two means over 2x2 neighbours. What lies in four channels and becomes
    2x2 pixels is a strided transposed convolution, which StyleGAN follows with a filter: without one its last bits
    are a chequered pattern."""
    return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 2, 1), 2, 1)


class StyleSynthesis(nn.Module):
    """Styles (B, levels, D) and noise to images (B, C, H, W), unbounded: a learnt constant, two styled convolutions at
    every size, and the sum of what each size adds to the picture (the "output skips" of Karras et al. 2020).

    levels: one style for each convolution; to the picture at a size goes the style of its last one. noises: (h, w) of
    each convolution's noise.
    """

    def __init__(self, shape: tuple[int, ...], style: int, width: int, count: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        sides = padded(self.height, 2**count), padded(self.width, 2**count)
        sizes = [(sides[0] >> i, sides[1] >> i) for i in range(count, 0, -1)]  # from the smallest to half size
        widths = widths_of(width, count)[::-1]
        self.constant = nn.Parameter(torch.randn(1, widths[0], *sizes[0]))
        self.convs = nn.ModuleList([StyledConv(widths[0], widths[0], style)])
        self.noises = [sizes[0]]
        for before, here, size in zip(widths, widths[1:], sizes[1:], strict=False):
            self.convs += [StyledConv(before, here, style, grow=True), StyledConv(here, here, style)]
            self.noises += [size, size]
        self.pictures = nn.ModuleList(Modulated(w, channels, style, 1, demodulate=False) for w in widths[:-1])
        self.pictures += [Modulated(widths[-1], 4 * channels, style, 3, demodulate=False)]  # of the full size
        self.offset = nn.Parameter(torch.zeros(channels))
        self.levels = len(self.convs)

    def forward(self, w: Tensor, noise: list[Tensor]) -> Tensor:
        x = self.convs[0](self.constant.expand(len(w), -1, -1, -1), w[:, 0], noise[0])
        for size, to_picture in enumerate(self.pictures):
            if size == 0:
                picture = to_picture(x, w[:, 0])
                continue
            for i in (2 * size - 1, 2 * size):
                x = self.convs[i](x, w[:, i], noise[i])
            added = to_picture(x, w[:, 2 * size])
            picture = grown(picture)
            if size + 1 < len(self.pictures):
                picture = picture + added
            else:
                picture = grown(picture) + smoothed(F.pixel_shuffle(added, 2))
        return crop(picture + self.offset[:, None, None].to(picture.dtype), self.height, self.width)


class Residual(nn.Module):
    """conv(down(conv(x))) + conv1x1(down(x)), over sqrt(2); widths from `before` to `after`."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.last = EqualConv(before, before), EqualConv(before, after)
        self.skip = EqualConv(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = lrelu(self.last(F.avg_pool2d(lrelu(self.first(x)), 2)))
        return (h + self.skip(F.avg_pool2d(x, 2))) / GAIN


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """x (B, C, H, W) with one more channel: the standard deviation among neighbours in the batch, averaged over
    channels and positions (Karras et al. 2018, section 3), so that a discriminator sees whether items resemble each
    other. Groups are the greatest of at most `group` consecutive rows that divide the batch."""
    size = max(g for g in range(1, max(1, min(group, len(x))) + 1) if len(x) % g == 0)
    groups = x.float().unflatten(0, (-1, size))
    deviation = (groups.var(1, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))  # one number a group
    plane = deviation.repeat_interleave(size)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, plane.to(x.dtype)], 1)


class StyleJudge(nn.Module):
    """Images (B, C, H, W) to features (B, D): residual blocks, minibatch deviation, a fully connected layer."""

    def __init__(self, shape: tuple[int, ...], width: int, count: int, group: int = 4) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.stride, self.group = 2**count, group
        widths = widths_of(width, count)
        self.stem = EqualConv(4 * channels, width, 3)
        self.blocks = nn.Sequential(*(Residual(a, b) for a, b in pairwise(widths)))
        self.features = widths[-1]
        area = padded(height, self.stride) * padded(width_px, self.stride) >> (2 * count)
        self.conv = EqualConv(self.features + 1, self.features)
        self.out = EqualLinear(self.features * area, self.features)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(lrelu(self.stem(unshuffle(pad(x, self.stride)))))
        return lrelu(self.out(to_rows(lrelu(self.conv(minibatch_deviation(h, self.group))))))
