"""A network that sorts pictures into groups which nobody named, several times over (IIC: Ji, Henriques and Vedaldi
2019, arXiv:1807.06653).

It learns by making two views of one picture fall into the same group and all groups alike in size
(`genloom.objectives.contrastive.mutual_information`). Where groups form is decided early and by chance, so several
heads try (section 3.2); heads of five times as many groups, which serve nothing else, keep the features from settling
on the first difference that is found ("overclustering", the same section).

Features are normalised over a whole picture, not pixel by pixel: otherwise the amount of ink is what all heads find.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.conv import Unshuffle, pad, padded, to_rows

FINER = 5  # groups of an overclustering head, as a multiple


class Groups(nn.Module):
    """Images (B, C, H, W) to logits (attempts, B, K) for each of `counts` = (K, ...).

    shape: (C, H, W); width: channels at half size, doubled at every further halving up to four times; features: size of
    the layer that all heads read; hidden: of each head's own; halved: how often the size is halved.
    """

    def __init__(
        self, shape: tuple[int, ...], counts: Sequence[int], *, attempts: int, width: int, features: int, hidden: int,
        halved: int,
    ) -> None:  # fmt: skip
        super().__init__()
        channels, height, width_px = shape
        self.counts, self.attempts, self.stride = tuple(counts), attempts, 2**halved
        widths = [channels, *(width * 2 ** min(i, 2) for i in range(halved))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            conv = nn.Conv2d(4 * before, after, 3, padding=1, bias=False)
            layers += [Unshuffle(), conv, PictureNorm(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        area = padded(height, self.stride) * padded(width_px, self.stride) // self.stride**2
        self.out = nn.Sequential(nn.Linear(widths[-1] * area, features), nn.LayerNorm(features), nn.ReLU())
        self.heads = nn.ModuleList(self._head(features, hidden, k) for k in self.counts)
        self.finer = nn.ModuleList(self._head(features, hidden, FINER * k) for k in self.counts)

    def _head(self, features: int, hidden: int, groups: int) -> nn.ModuleList:
        return nn.ModuleList(
            nn.Sequential(nn.Linear(features, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, groups))
            for _ in range(self.attempts)
        )

    def features(self, x: Tensor) -> Tensor:
        """Images to what the heads read, (B, D)."""
        rows: Tensor = self.out(to_rows(self.layers(pad(x, self.stride))))
        return rows

    def forward(self, x: Tensor) -> list[Tensor]:
        return self._said(self.heads, self.features(x))

    def both(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """What `forward` says, and what the finer heads say, (attempts, B, 5 K) for each code."""
        h = self.features(x)
        return self._said(self.heads, h), self._said(self.finer, h)

    def _said(self, heads: nn.ModuleList, h: Tensor) -> list[Tensor]:
        return [torch.stack([head(h).float() for head in tries.children()]) for tries in heads]


class PictureNorm(nn.Module):
    """Layer normalisation over all values of a picture's feature maps, with a gain and a shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        h = x.permute(0, 2, 3, 1)
        return (F.layer_norm(h, h.shape[1:]) * self.gain + self.shift).permute(0, 3, 1, 2)
