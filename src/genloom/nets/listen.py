"""Text for networks: captions of word ids as one vector and as tokens, and attention of items to those tokens.

The encoder is a small transformer that learns with the network it informs (Vaswani et al. 2017, arXiv:1706.03762); the
attention is that of latent diffusion (Rombach et al. 2022, arXiv:2112.10752, section 3.3). Attention is written as
matmul, softmax, matmul: the CPU's fused kernel is slow for rows as short as captions.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PAD = 0  # the id that pads; of modalities.words, which this layer must not import


def attend(q: Tensor, k: Tensor, v: Tensor, mask_BL: Tensor) -> Tensor:
    """softmax(q k) v over heads: q (B, heads, N, K), k and v (B, heads, L, K) -> (B, N, heads K).

    mask_BL: where a key counts; each row must have one that does. Queries and keys are normalised (arXiv:2010.04245).
    """
    q, k = F.layer_norm(q, q.shape[-1:]), F.layer_norm(k, k.shape[-1:])
    scores = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~mask_BL[:, None, None], -math.inf)
    return (scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2)


class CrossAttention(nn.Module):
    """x + what each place of x (B, N, width) finds among the tokens (B, L, `tokens`); starts at zero."""

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm = nn.LayerNorm(width)
        self.query, self.keys = nn.Linear(width, width), nn.Linear(tokens, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x_BND: Tensor, tokens_BLE: Tensor, mask_BL: Tensor) -> Tensor:
        b, n, d = x_BND.shape
        q = self.query(self.norm(x_BND)).reshape(b, n, self.heads, -1).transpose(1, 2)
        k, v = self.keys(tokens_BLE).reshape(b, -1, 2, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return x_BND + self.out(attend(q, k, v, mask_BL))


def over_places(layer: nn.Module, x: Tensor, tokens_BLE: Tensor | None, mask_BL: Tensor | None) -> Tensor:
    """A CrossAttention over the pixels of x (B, C, *S)."""
    rows = x.movedim(1, -1)
    found: Tensor = layer(rows.flatten(1, -2), tokens_BLE, mask_BL)
    return found.reshape(rows.shape).movedim(-1, 1)


class TextBlock(nn.Module):
    """Attention among all tokens of a caption, then a two-layer network, each added to what comes in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.SiLU(), nn.Linear(4 * width, width))

    def forward(self, x_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        b, length, d = x_BLD.shape
        qkv = self.qkv(self.norm1(x_BLD)).reshape(b, length, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x_BLD = x_BLD + self.out(attend(q, k, v, mask_BL))
        return x_BLD + self.mlp(self.norm2(x_BLD))


class TextEncoder(nn.Module):
    """Captions of word ids (B, L), padded with 0 -> (vector (B, width), tokens (B, L + 1, width), mask (B, L + 1)).

    A place of its own stands before the words: it gathers the vector, and is all there is of an empty caption.
    """

    def __init__(self, vocabulary: int, length: int, width: int, depth: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.places = nn.Embedding(length + 1, width)
        nn.init.normal_(self.places.weight, std=0.3)
        self.blocks = nn.ModuleList(TextBlock(width) for _ in range(depth))
        self.norm, self.leave = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, ids_BL: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask_BL = F.pad(ids_BL != PAD, (1, 0), value=True)
        first_BLD = self.places.weight[None, :1].expand(len(ids_BL), -1, -1)
        x_BLD = torch.cat([first_BLD, self.words(ids_BL) + self.places.weight[1 : ids_BL.shape[1] + 1]], 1)
        for block in self.blocks:
            x_BLD = block(x_BLD, mask_BL)
        x_BLD = self.norm(x_BLD)
        return self.leave(x_BLD[:, 0]), x_BLD, mask_BL
