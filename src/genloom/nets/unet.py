"""A small U-Net for images, shaped by what runs fast: few normalisations, matrix products, channels innermost.

Ronneberger et al. 2015 (arXiv:1505.04597) with the residual blocks of diffusion models (arXiv:2006.11239), and these
differences, each measured on CPUs with matrix units and harmless on GPUs:
- The stem folds 2x2 pixels into channels (space to depth), so that no layer works at full resolution.
- LayerNorm over the channels of each pixel, on the NHWC view, replaces GroupNorm, whose gradient is slow on CPUs.
- Attention is written as matmul, softmax, matmul: the CPU's fused kernel has a slow backward pass.
- Skips are added, not concatenated: no copies, and no 1x1 convolutions to shrink the result.
- Blocks and output start at zero, so that the network begins as its skip path.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelNorm(nn.Module):
    """LayerNorm over C of x (B, C, H, W), on the NHWC view: contiguous where x is in channels_last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        y_BHWC = F.layer_norm(x_BCHW.permute(0, 2, 3, 1), (self.width,), self.weight, self.bias)
        return y_BHWC.permute(0, 3, 1, 2)


def zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights and bias set to zero."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Block(nn.Module):
    """x + conv(SiLU(FiLM(conv(norm(x))))): FiLM scales and shifts channels by the embedding (arXiv:1709.07871)."""

    def __init__(self, width: int, embedding: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(embedding, 2 * width)
        self.conv2 = zero(nn.Conv2d(width, width, 3, padding=1))
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    def forward(self, x_BCHW: Tensor, e_BD: Tensor) -> Tensor:
        scale, shift = self.film(e_BD)[:, :, None, None].chunk(2, dim=1)
        h = self.conv1(self.norm(x_BCHW))
        h = F.silu(torch.addcmul(shift, h, 1 + scale))
        return x_BCHW + self.conv2(h)


class Attention(nn.Module):
    """x + self-attention over all pixels, heads of 32 channels, queries and keys normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm = ChannelNorm(width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = zero(nn.Conv2d(width, width, 1))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        b, c, h, w = x_BCHW.shape
        qkv = self.qkv(self.norm(x_BCHW)).permute(0, 2, 3, 1).reshape(b, h * w, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        y_BCHW = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(b, h, w, c).permute(0, 3, 1, 2)
        return x_BCHW + self.out(y_BCHW)


class TimeEmbedding(nn.Module):
    """Times t (B,) in [0, 1] as vectors (B, width): sines and cosines, then a two-layer network (arXiv:2006.11239)."""

    frequencies: Tensor

    def __init__(self, width: int, waves: int = 32) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.logspace(0, 2, waves) * math.pi / 2, persistent=False)
        self.net = nn.Sequential(nn.Linear(2 * waves, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t_B: Tensor) -> Tensor:
        angles = t_B[:, None] * self.frequencies
        return self.net(torch.cat([angles.sin(), angles.cos()], 1))


class UNet(nn.Module):
    """An image (B, C, H, W), a time (B,) and an optional condition (B, embedding) -> an image of the same shape.

    channels: C; widths: channels of each level, from fine to coarse, multiples of 32 run fastest; blocks: residual
    blocks of each level on the way down, and again on the way up (the coarsest level has them once); attention: levels
    (0 is the finest) that attend; stem: pixels folded into channels along each side; embedding: width of the time and
    condition vectors. `stride` is the factor that heights and widths are padded to; the padding is cut off again.
    """

    def __init__(
        self,
        channels: int,
        *,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        attention: tuple[int, ...] = (),
        stem: int = 2,
        embedding: int = 128,
    ) -> None:
        super().__init__()
        self.stem, self.stride = stem, self.stride_of(widths, stem)
        self.time = TimeEmbedding(embedding)
        self.enter = nn.Conv2d(channels * stem**2, widths[0], 3, padding=1)
        levels = range(len(widths))

        def stage(level: int) -> nn.ModuleList:
            return nn.ModuleList(Block(widths[level], embedding) for _ in range(blocks[level]))

        self.encoder = nn.ModuleList(stage(i) for i in levels)
        self.attend = nn.ModuleDict({str(i): Attention(widths[i]) for i in attention})
        # 2x2 windows that do not overlap: every pixel is used once, in and out.
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(widths[i + 1], widths[i], 2, stride=2) for i in levels[:-1])
        self.decoder = nn.ModuleList(stage(i) for i in levels[:-1])
        self.norm = ChannelNorm(widths[0])
        self.leave = zero(nn.Conv2d(widths[0], channels * stem**2, 3, padding=1))

    @staticmethod
    def stride_of(widths: tuple[int, ...], stem: int) -> int:
        """The factor that heights and widths are padded to."""
        return int(stem * 2 ** (len(widths) - 1))

    @staticmethod
    def _through(stage: nn.Module, x_BCHW: Tensor, e_BD: Tensor) -> Tensor:
        for block in stage.children():
            x_BCHW = block(x_BCHW, e_BD)
        return x_BCHW

    def forward(self, x_BCHW: Tensor, t_B: Tensor, condition_BD: Tensor | None = None) -> Tensor:
        height, width = x_BCHW.shape[-2:]
        e_BD = self.time(t_B)
        e_BD = F.silu(e_BD if condition_BD is None else e_BD + condition_BD)
        x = F.pad(x_BCHW, (0, -width % self.stride, 0, -height % self.stride))
        x = self.enter(F.pixel_unshuffle(x, self.stem))
        skips: list[Tensor] = []
        for i in range(len(self.encoder)):
            x = self._through(self.encoder[i], x, e_BD)
            if str(i) in self.attend:
                x = self.attend[str(i)](x)
            if i < len(self.down):
                skips.append(x)
                x = self.down[i](x)
        for i in reversed(range(len(self.up))):
            x = self.up[i](x) + skips[i]
            x = self._through(self.decoder[i], x, e_BD)
        x = F.pixel_shuffle(self.leave(self.norm(x)), self.stem)
        return x[..., :height, :width]
