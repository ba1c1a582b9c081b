"""Networks that grow: all sizes are built at the start and come into play one after another (Karras et al. 2018).

`growth` says from the progress of a run how far they have grown. A new size fades in: the picture is a mixture of what
the size before it made, enlarged, and of its own, in the shares 1 - alpha and alpha; the discriminator mirrors this
(their figure 2). Widths: a base width at the full size, doubled at every halving up to eight times.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.conv import pad, padded, to_maps, to_rows
from genloom.nets.style import EqualConv, EqualLinear, lrelu, minibatch_deviation, pixel_norm


def growth(progress: float, steps: int, grown: float) -> tuple[int, float]:
    """(level, alpha): the newest size in play, 0 the smallest, and its share in (0, 1].

    Every growth takes an equal part of the run up to progress `grown`: half of it the size before stays as it is, half
    of it the next one fades in.
    """
    t = min(progress / grown, 1.0) * steps
    level = min(int(t), steps)
    fading = 2 * (t - level) - 1
    return (level + 1, fading) if level < steps and fading > 0 else (level, 1.0)


def enlarged(x: Tensor, times: int = 1) -> Tensor:
    """Every pixel repeated, 2^times as high and as wide."""
    return F.interpolate(x, scale_factor=2**times, mode="nearest") if times else x


def reduced(x: Tensor, times: int = 1) -> Tensor:
    """Means over squares of 2^times pixels a side."""
    return F.avg_pool2d(x, 2**times) if times else x


def mixture(before: Tensor, now: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) before + alpha now."""
    return before.lerp(now, alpha) if alpha < 1 else now


def at_level(x: Tensor, steps: int, level: int, alpha: float) -> Tensor:
    """Real pictures (B, C, H, W) as large and as sharp as the generator's are now."""
    x = reduced(pad(x, 2**steps), steps - level)
    return mixture(enlarged(reduced(x)), x, alpha) if level and alpha < 1 else x


def _widths(width: int, steps: int) -> list[int]:
    """Channels from the smallest size to the full one."""
    return [width * 2 ** min(i, 3) for i in reversed(range(steps + 1))]


class GrowingGenerator(nn.Module):
    """Latents (B, L) to pictures of a level's size, unbounded: two convolutions a size, each layer pixel-normed."""

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, steps: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.start = padded(height, 2**steps) >> steps, padded(width_px, 2**steps) >> steps
        widths = _widths(width, steps)
        self.into = EqualLinear(latent, widths[0] * self.start[0] * self.start[1])
        self.first = EqualConv(widths[0], widths[0])
        self.convs = nn.ModuleList(c for a, b in pairwise(widths) for c in (EqualConv(a, b), EqualConv(b, b)))
        self.pictures = nn.ModuleList(EqualConv(w, channels, 1) for w in widths)

    def forward(self, z: Tensor, level: int, alpha: float) -> Tensor:
        x = pixel_norm(lrelu(to_maps(self.into(pixel_norm(z)), *self.start)))
        x = before = pixel_norm(lrelu(self.first(x)))
        for i in range(level):
            before, x = x, enlarged(x)
            for conv in self.convs[2 * i : 2 * i + 2]:
                x = pixel_norm(lrelu(conv(x)))
        picture: Tensor = self.pictures[level](x)
        if level and alpha < 1:
            picture = mixture(enlarged(self.pictures[level - 1](before)), picture, alpha)
        return picture


class GrowingJudge(nn.Module):
    """Pictures of a level's size to features (B, D): the generator's mirror, then minibatch deviation."""

    def __init__(self, shape: tuple[int, ...], width: int, steps: int, group: int = 4) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.group = group
        widths = _widths(width, steps)
        self.pictures = nn.ModuleList(EqualConv(channels, w, 1) for w in widths)
        self.convs = nn.ModuleList(c for a, b in pairwise(widths) for c in (EqualConv(b, b), EqualConv(b, a)))
        self.features = widths[0]
        area = (padded(height, 2**steps) >> steps) * (padded(width_px, 2**steps) >> steps)
        self.conv = EqualConv(self.features + 1, self.features)
        self.out = EqualLinear(self.features * area, self.features)

    def forward(self, x: Tensor, level: int, alpha: float) -> Tensor:
        h = lrelu(self.pictures[level](x))
        for i in reversed(range(level)):
            for conv in self.convs[2 * i : 2 * i + 2]:
                h = lrelu(conv(h))
            h = reduced(h)
            if i == level - 1 and alpha < 1:
                h = mixture(lrelu(self.pictures[i](reduced(x))), h, alpha)
        return lrelu(self.out(to_rows(lrelu(self.conv(minibatch_deviation(h, self.group))))))
