"""The two networks of DCGAN: strided convolutions up and down, batch-normalised, without pooling or hidden layers.

Batch normalisation is made for a game: a loss changes nothing, every process normalises by the whole global batch, and
real and generated images, judged apart, each have statistics of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import Step
from genloom.nets.conv import crop, halvings, pad, padded, to_maps, to_rows

SMALLEST = 7  # pixels of the shorter side at which growth begins, at most: 4 of 64 and 32 pixels, 7 of 28


def stages(height: int, width: int, who: str) -> int:
    """How often the networks double or halve an image of this size. Raises BadData below 4x4 pixels."""
    return halvings(height, width, who, smallest=SMALLEST)


def weights_as_published(network: nn.Module) -> None:
    """Every weight from N(0, 0.02), those of normalisations from N(1, 0.02), every bias 0 (section 4)."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, MapNorm):
            nn.init.normal_(layer.weight, 1.0, 0.02)


class MapNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of maps (B, C, H, W) over items and places."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, step: Step) -> Tensor:
        """Normalised by the statistics of all processes' rows."""
        start, stop, total = step.rows
        if stop - start == total:
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        return self.by(x, step.gather(moments(x)).mean(0))

    def by(self, x: Tensor, moments_2C: Tensor) -> Tensor:
        """Normalised by a mean and a mean square."""
        mean, square = moments_2C
        scale = self.weight * ((square - mean.square()).clamp_min(0) + self.eps).rsqrt()
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


def moments(x: Tensor) -> Tensor:
    """The mean and mean square of each item's channels: (B, C, H, W) -> (B, 2, C), fp32."""
    x = x.float()
    return torch.stack([x.mean((2, 3)), x.square().mean((2, 3))], 1)


class Generator(nn.Module):
    """Noise (B, latent) to images (B, C, H, W) in [-1, 1]: projected to small maps, then doubled `count` times by
    convolutions of fractional stride; ReLU inside, tanh at the end, batch norm in all layers but the last.

    width: channels at half the image's size, twice as many at each smaller size, up to eight times. `statistics`
    follow what training batches saw; they normalise where no step is given.
    """

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, count: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        self.start = padded(self.height, 2**count) >> count, padded(self.width, 2**count) >> count
        widths = [width * 2 ** min(i, 3) for i in reversed(range(count))]
        self.into = nn.Linear(latent, widths[0] * self.start[0] * self.start[1], bias=False)
        self.norms = nn.ModuleList(MapNorm(w) for w in widths)
        pairs = list(pairwise([*widths, channels]))
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, 2, 1, bias=i == len(pairs) - 1) for i, (a, b) in enumerate(pairs)
        )
        for i, w in enumerate(widths):
            self.register_buffer(f"statistics{i}", torch.stack([torch.zeros(w), torch.ones(w)]))
        weights_as_published(self)

    def forward(self, z: Tensor, step: Step | None = None, seen: dict[str, Tensor] | None = None) -> Tensor:
        """The images. step: given while training; seen: receives the moments (B, 2, C) of what each normalisation saw,
        for `update`."""
        h = to_maps(self.into(z), *self.start)
        for i, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            assert isinstance(norm, MapNorm)
            if step is None:
                h = norm.by(h, self.get_buffer(f"statistics{i}"))
            else:
                if seen is not None:
                    seen[f"statistics{i}"] = moments(h.detach())
                h = norm(h, step)
            h = layer(F.relu(h))
        return torch.tanh(crop(h, self.height, self.width).float())

    @torch.no_grad()
    def update(self, seen: Mapping[str, Tensor], share: float = 0.1) -> None:
        """Moves the statistics towards those of one batch of all processes by `share`."""
        for name, rows in seen.items():
            self.get_buffer(name).lerp_(rows.mean(0), share)


class Discriminator(nn.Module):
    """Images (B, C, H, W) to logits (B,): halved by strided convolutions, LeakyReLU(0.2), batch norm in all layers but
    the first and the last. Real and generated images must come in calls of their own."""

    def __init__(self, shape: tuple[int, ...], width: int, count: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.stride = 2**count
        widths = [channels, *(width * 2 ** min(i, 3) for i in range(count))]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1, bias=i == 0) for i, (a, b) in enumerate(pairwise(widths)))
        self.norms = nn.ModuleList(MapNorm(w) for w in widths[2:])
        area = padded(height, self.stride) * padded(width_px, self.stride) // self.stride**2
        self.out = nn.Linear(widths[-1] * area, 1)
        weights_as_published(self)

    def forward(self, x: Tensor, step: Step) -> Tensor:
        h = pad(x, self.stride)
        for layer, norm in zip(self.layers, [None, *self.norms], strict=True):
            h = layer(h)
            h = F.leaky_relu(h if norm is None else norm(h, step), 0.2)
        logit: Tensor = self.out(to_rows(h)).float()
        return logit[:, 0]
