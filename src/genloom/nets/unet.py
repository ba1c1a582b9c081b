"""A small U-Net for sound, images and video, shaped by what runs fast: few normalisations, matrix products, channels
innermost.

Ronneberger et al. 2015 (arXiv:1505.04597) with the residual blocks of diffusion models (arXiv:2006.11239), and these
differences, each measured on CPUs with matrix units and harmless on GPUs:
- The stem folds 2x2 pixels into channels (space to depth), so that no layer works at full resolution.
- LayerNorm over the channels of each pixel, on the channels-last view, replaces GroupNorm, whose gradient is slow on
  CPUs.
- Attention is written as matmul, softmax, matmul: the CPU's fused kernel has a slow backward pass.
- Skips are added, not concatenated: no copies, and no 1x1 convolutions to shrink the result.
- Blocks and output start at zero, so that the network begins as its skip path.

S stands for the spatial shape: (T,) of audio, (H, W) of images, (T, H, W) of video; "pixel" for one place in it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genloom.nets.condition import Cond
from genloom.nets.listen import CrossAttention, over_places

Factor = int | tuple[int, ...]
"""The same for every side, or one for each."""
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class ChannelNorm(nn.Module):
    """LayerNorm over C of x (B, C, *S), on the view with channels innermost: contiguous where x is in channels_last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.movedim(1, -1), (self.width,), self.weight, self.bias).movedim(-1, 1)


def zero(layer: nn.Module) -> nn.Module:
    """The layer with weights and bias set to zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


def each_side(factor: Factor, dims: int) -> tuple[int, ...]:
    """A factor for each of the spatial dimensions."""
    return (factor,) * dims if isinstance(factor, int) else factor


def fold(x: Tensor, factor: Factor) -> Tensor:
    """(B, C, *S) to (B, C product(factors), *S/factors): neighbouring pixels become channels. Undone by `unfold`."""
    if x.dim() == 4 and isinstance(factor, int):
        return F.pixel_unshuffle(x, factor)
    b, c, *space = x.shape
    d, factors = len(space), each_side(factor, len(space))
    coarse = [size // f for size, f in zip(space, factors, strict=True)]
    x = x.reshape(b, c, *(n for pair in zip(coarse, factors, strict=True) for n in pair))
    inner, outer = [3 + 2 * i for i in range(d)], [2 + 2 * i for i in range(d)]
    return x.permute(0, 1, *inner, *outer).reshape(b, c * math.prod(factors), *coarse)


def unfold(x: Tensor, factor: Factor) -> Tensor:
    """The inverse of `fold`."""
    if x.dim() == 4 and isinstance(factor, int):
        return F.pixel_shuffle(x, factor)
    b, c, *space = x.shape
    d, factors = len(space), each_side(factor, len(space))
    channels = c // math.prod(factors)
    x = x.reshape(b, channels, *factors, *space)
    order = [n for i in range(d) for n in (2 + d + i, 2 + i)]
    fine = [size * f for size, f in zip(space, factors, strict=True)]
    return x.permute(0, 1, *order).reshape(b, channels, *fine)


def pad(x: Tensor, multiple: Factor) -> Tensor:
    """x with zeros behind, until every side is a multiple of its own. Undone by `cut`."""
    sides = zip(reversed(x.shape[2:]), reversed(each_side(multiple, x.dim() - 2)), strict=True)
    return F.pad(x, [n for size, of in sides for n in (0, -size % of)])


def cut(x: Tensor, space: tuple[int, ...]) -> Tensor:
    """The part of x (B, C, ...) that is `space` large, from the first corner."""
    for dim, size in enumerate(space, 2):
        x = x.narrow(dim, 0, size)
    return x


class Block(nn.Module):
    """x + conv(SiLU(FiLM(conv(norm(x))))): FiLM scales and shifts channels by the embedding (arXiv:1709.07871)."""

    def __init__(self, width: int, embedding: int, dims: int = 2) -> None:
        super().__init__()
        self.norm = ChannelNorm(width)
        self.conv1 = CONV[dims](width, width, 3, padding=1)
        self.film = zero(nn.Linear(embedding, 2 * width))
        self.conv2 = zero(CONV[dims](width, width, 3, padding=1))

    def forward(self, x: Tensor, e_BD: Tensor) -> Tensor:
        scale, shift = self.film(e_BD)[(..., *[None] * (x.dim() - 2))].chunk(2, dim=1)
        h = self.conv1(self.norm(x))
        h = F.silu(torch.addcmul(shift, h, 1 + scale))
        return x + self.conv2(h)


class Attention(nn.Module):
    """x + self-attention over all pixels, heads of 32 channels."""

    def __init__(self, width: int, dims: int = 2) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm = ChannelNorm(width)
        self.qkv = CONV[dims](width, 3 * width, 1)
        self.out = zero(CONV[dims](width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        b, c, *space = x.shape
        qkv = self.qkv(self.norm(x)).movedim(1, -1).reshape(b, -1, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D)
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        y = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(b, *space, c).movedim(-1, 1)
        return x + self.out(y)


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
    """An item (B, C, *S), a time (B,) and what is told of it -> an item of the same shape.

    channels: C; dims: 1 for sound, 2 for images, 3 for video; widths: channels of each level, from fine to coarse,
    multiples of 32 run fastest; blocks: residual blocks of each level on the way down, and again on the way up (the
    coarsest level has them once); attention: levels (0 is the finest) that attend; stem: pixels folded into channels
    along each side (one number, or one a side); embedding: width of the time and condition vectors; planes: channels of
    `told.planes`; tokens: width of `told.tokens`, to which the attending levels (or the coarsest, where none attends)
    listen, 0 for none.
    `stride` is the factor that every side is padded to; the padding is cut off again.
    """

    def __init__(
        self,
        channels: int,
        *,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        attention: tuple[int, ...] = (),
        stem: Factor = 2,
        embedding: int = 128,
        dims: int = 2,
        planes: int = 0,
        tokens: int = 0,
    ) -> None:
        super().__init__()
        self.stem, self.stride = stem, self.stride_of(widths, stem)
        self.time = TimeEmbedding(embedding)
        folded = math.prod(each_side(stem, dims))
        self.enter = CONV[dims]((channels + planes) * folded, widths[0], 3, padding=1)
        levels = range(len(widths))

        def stage(level: int) -> nn.ModuleList:
            return nn.ModuleList(Block(widths[level], embedding, dims) for _ in range(blocks[level]))

        self.encoder = nn.ModuleList(stage(i) for i in levels)
        self.attend = nn.ModuleDict({str(i): Attention(widths[i], dims) for i in attention})
        listening = (attention or (len(widths) - 1,)) if tokens else ()
        self.listen = nn.ModuleDict({str(i): CrossAttention(widths[i], tokens) for i in listening})
        # 2x2 windows that do not overlap: every pixel is used once, in and out.
        self.down = nn.ModuleList(CONV[dims](widths[i], widths[i + 1], 2, stride=2) for i in levels[:-1])
        self.up = nn.ModuleList(CONV_TRANSPOSE[dims](widths[i + 1], widths[i], 2, stride=2) for i in levels[:-1])
        self.decoder = nn.ModuleList(stage(i) for i in levels[:-1])
        self.norm = ChannelNorm(widths[0])
        self.leave = zero(CONV[dims](widths[0], channels * folded, 3, padding=1))

    @staticmethod
    def stride_of(widths: tuple[int, ...], stem: Factor) -> Factor:
        """The factor that every side is padded to."""
        coarsest = 2 ** (len(widths) - 1)
        return stem * coarsest if isinstance(stem, int) else tuple(s * coarsest for s in stem)

    @staticmethod
    def _through(stage: nn.Module, x: Tensor, e_BD: Tensor) -> Tensor:
        for block in stage.children():
            x = block(x, e_BD)
        return x

    def forward(self, x: Tensor, t_B: Tensor, told: Cond = Cond()) -> Tensor:
        space = x.shape[2:]
        e_BD = self.time(t_B)
        e_BD = F.silu(e_BD if told.vector is None else e_BD + told.vector)
        if told.planes is not None:
            x = torch.cat([x, told.planes], 1)
        x = self.enter(fold(pad(x, self.stride), self.stem))
        skips: list[Tensor] = []
        for i in range(len(self.encoder)):
            x = self._through(self.encoder[i], x, e_BD)
            if str(i) in self.attend:
                x = self.attend[str(i)](x)
            if str(i) in self.listen:
                x = over_places(self.listen[str(i)], x, told.tokens, told.mask)
            if i < len(self.down):
                skips.append(x)
                x = self.down[i](x)
        for i in reversed(range(len(self.up))):
            x = self.up[i](x) + skips[i]
            x = self._through(self.decoder[i], x, e_BD)
        return cut(unfold(self.leave(self.norm(x)), self.stem), space)
