"""Networks that turn pictures into pictures of the same size, and ones that judge them patch by patch."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.conv import ChannelNorm, Residual, Unshuffle, crop, halvings, pad, padded


class Translator(nn.Module):
    """Pictures (B, C, H, W) of any size to pictures (B, C', H, W) in [-1, 1]: a U-Net (Ronneberger et al. 2015; Isola
    et al. 2017, section 3.2.1), halved until the shorter side is 4 pixels.

    into, out: channels C and C'; size: (H, W); width: channels at half size, doubled at every further halving up to
    four times; blocks: residual blocks at each size, on the way down and again on the way up; noisy: how many stages of
    the way up, from the coarsest, are thinned by dropout, which is the only noise: `noise` numbers an item, uniform in
    [0, 1), say what is dropped. Nothing works at full size (space to depth); skips are added.
    """

    def __init__(
        self, into: int, out: int, size: tuple[int, ...], *, width: int, blocks: int = 1, noisy: int = 0,
        dropout: float = 0.5, who: str = "a translator",
    ) -> None:  # fmt: skip
        super().__init__()
        count = halvings(size[0], size[1], who, smallest=4)
        self.stride, self.dropout, self.out = 2**count, dropout, out
        widths = [width * 2 ** min(i, 2) for i in range(count)]
        sides = [[padded(side, self.stride) // 2 ** (i + 1) for side in size] for i in range(count)]
        self.enter = nn.Conv2d(4 * into, width, 3, padding=1)
        self.encoder = nn.ModuleList(_stage(w, blocks) for w in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(_stage(w, blocks) for w in widths)
        self.norm = ChannelNorm(width)
        self.leave = nn.Conv2d(width, 4 * out, 3, padding=1)
        self.thinned = {i: (widths[i], *sides[i]) for i in range(count)[::-1][:noisy]}  # stage -> its maps' shape
        self.noise = sum(map(math.prod, self.thinned.values()))

    def forward(self, x: Tensor, u_BK: Tensor | None = None) -> Tensor:
        size = x.shape[2:]
        if not len(x):  # pixel_unshuffle leaves an empty batch as it is
            return x.new_empty(0, self.out, *size)
        x = self.enter(F.pixel_unshuffle(pad(x, self.stride), 2))
        skips: list[Tensor] = []
        for i, stage in enumerate(self.encoder):
            x = stage(x)
            if i < len(self.down):
                skips.append(x)
                x = self.down[i](x)
        drops = [] if u_BK is None else list(u_BK.split([math.prod(s) for s in self.thinned.values()], 1))
        for i in reversed(range(len(self.decoder))):
            x = self.decoder[i](x)
            if i in self.thinned and drops:
                kept = drops.pop(0).view(-1, *self.thinned[i]) >= self.dropout
                x = x * kept.to(x.dtype) / (1 - self.dropout)
            x = self.up[i - 1](x) + skips[i - 1] if i else x
        made = F.pixel_shuffle(self.leave(F.silu(self.norm(x))), 2)
        return torch.tanh(crop(made, *size).float())


def _stage(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(Residual(width) for _ in range(blocks)))


class PatchCritic(nn.Module):
    """Pictures (B, C, H, W) to one logit for each patch, (B, P) (PatchGAN: Isola et al. 2017, section 3.2.2).

    The paper's patches measure 70 pixels of 256. Here the size is halved until a patch (6, 16, 36 or 76 pixels after
    one to four halvings) takes about that share of the shorter side. LeakyReLU(0.2), no normalisation.
    """

    def __init__(self, channels: int, size: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        count = max(1, round(math.log2(min(size) / 16)))
        self.stride = 2**count
        widths = [channels, *(width * 2 ** min(i, 2) for i in range(count))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [Unshuffle(), nn.Conv2d(4 * before, after, 3, padding=1), nn.LeakyReLU(0.2)]
        last = widths[-1]
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, last, 1), nn.LeakyReLU(0.2), nn.Conv2d(last, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(pad(x, self.stride))
        return logits.flatten(1).float()
