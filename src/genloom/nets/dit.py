"""A transformer over patches with the time and condition in every layer's scale and shift: DiT.

Peebles and Xie 2023 (arXiv:2212.09748), adaLN-zero, for sound, images and video alike. Differences: queries and keys
are normalised, layer normalisation comes without parameters, positions are learnt, and attention is written out as
matmul, softmax, matmul, since the CPU's fused kernel has a slow backward pass.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genloom.nets.condition import Cond
from genloom.nets.listen import CrossAttention
from genloom.nets.unet import TimeEmbedding, cut, fold, pad, unfold, zero


class DiTBlock(nn.Module):
    """Attention and a two-layer network, each scaled, shifted and gated by the embedding; the gates start at zero."""

    def __init__(self, width: int, embedding: int, head: int = 32, growth: int = 4) -> None:
        super().__init__()
        self.width, self.heads = width, max(1, width // head)
        self.film = zero(nn.Linear(embedding, 6 * width))
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, growth * width), nn.SiLU(), nn.Linear(growth * width, width))

    def forward(self, x_BLD: Tensor, e_BE: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.film(e_BE)[:, None].chunk(6, dim=-1)
        h = F.layer_norm(x_BLD, (self.width,)) * (1 + scale1) + shift1
        x_BLD = x_BLD + gate1 * self.attend(h)
        h = F.layer_norm(x_BLD, (self.width,)) * (1 + scale2) + shift2
        return x_BLD + gate2 * self.mlp(h)

    def attend(self, h_BLD: Tensor) -> Tensor:
        """Every token looks at every token."""
        b, length, d = h_BLD.shape
        q, k, v = self.qkv(h_BLD).reshape(b, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = F.layer_norm(q, q.shape[-1:]), F.layer_norm(k, k.shape[-1:])
        weights = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        return self.out((weights.to(v.dtype) @ v).transpose(1, 2).reshape(b, length, d))


class DiT(nn.Module):
    """An item (B, C, *S), a time (B,) and what is told of it -> an item of the same shape.

    shape: (C, *S); width: of a token, a multiple of 32; depth: layers; patch: pixels along each side of a token;
    embedding: width of the time and condition vectors; planes: channels of `told.planes`; tokens: width of
    `told.tokens`, to which every other layer listens, 0 for none. Sides are padded to multiples of the patch; the
    padding is cut off again.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: int,
        depth: int,
        patch: int,
        embedding: int = 128,
        planes: int = 0,
        tokens: int = 0,
    ) -> None:
        super().__init__()
        channels, *space = shape
        self.patch = patch
        pixels, length = patch ** len(space), math.prod(-(-size // patch) for size in space)
        self.time = TimeEmbedding(embedding)
        self.enter = nn.Linear((channels + planes) * pixels, width)
        self.positions = nn.Parameter(torch.randn(length, width) * 0.02)
        self.blocks = nn.ModuleList(DiTBlock(width, embedding) for _ in range(depth))
        self.listen = nn.ModuleDict({str(i): CrossAttention(width, tokens) for i in range(0, depth, 2) if tokens})
        self.film = zero(nn.Linear(embedding, 2 * width))
        self.leave = zero(nn.Linear(width, channels * pixels))

    def forward(self, x: Tensor, t_B: Tensor, told: Cond = Cond()) -> Tensor:
        space = x.shape[2:]
        e_BE = self.time(t_B)
        e_BE = F.silu(e_BE if told.vector is None else e_BE + told.vector)
        if told.planes is not None:
            x = torch.cat([x, told.planes], 1)
        x = fold(pad(x, self.patch), self.patch)
        grid = x.shape[2:]
        h_BLD = self.enter(x.flatten(2).transpose(1, 2)) + self.positions
        for i, block in enumerate(self.blocks):
            h_BLD = block(h_BLD, e_BE)
            if str(i) in self.listen:
                h_BLD = self.listen[str(i)](h_BLD, told.tokens, told.mask)
        shift, scale = self.film(e_BE)[:, None].chunk(2, dim=-1)
        h_BLD = self.leave(F.layer_norm(h_BLD, h_BLD.shape[-1:]) * (1 + scale) + shift)
        return cut(unfold(h_BLD.transpose(1, 2).unflatten(2, grid), self.patch), space)
