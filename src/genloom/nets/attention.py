"""Attention of many heads (Vaswani et al. 2017, arXiv:1706.03762, section 3.2), written out.

    Attention(Q, K, V) = softmax(Q K' / sqrt(K) + mask) V                    (1)
    MultiHead(x)       = [head_1 ... head_H] W_o,   head_i = Attention(x W_q_i, x W_k_i, x W_v_i)

Groups of heads may share keys and values (Ainslie et al. 2023, arXiv:2305.13245): G of them for H heads.

Dimensions: B batch, L queries, T keys, H heads, G heads with keys of their own, K width of a head, N rows of batched
products: batch times heads.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.nets.positions import rotate

Turn = tuple[Tensor, Tensor]
Remember = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes keys and values of new positions (N, L, K), gives those of all positions so far (N, T, K)."""


def causal_mask(context: int) -> Tensor:
    """(context, context), to be added to scores: 0 where a position may look, -inf ahead of it."""
    return torch.full((context, context), float("-inf")).triu(1)


def attention(q_NLK: Tensor, k_NTK: Tensor, v_NTK: Tensor, mask: Tensor, scale: float, *, plain: bool = True) -> Tensor:
    """softmax(scale q k' + mask) v (eq. 1), (N, L, K). mask: (L, T) or (N, L, T).

    plain: the mask hides from each of the last L positions what lies ahead of it, and no more; fused kernels then need
    none. Written out on the CPU, where the backward pass of PyTorch's fused attention took twice to four times as long
    for sequences of up to 256 in bf16; fused elsewhere.
    """
    if q_NLK.device.type != "cpu":
        length, known = q_NLK.shape[1], k_NTK.shape[1]
        given = None if plain and length in (1, known) else mask.to(q_NLK.dtype)
        if given is not None and given.ndim == 3:
            given = given[:, None]
        q, k, v = (x[:, None] for x in (q_NLK, k_NTK, v_NTK))
        ahead = plain and length == known and length > 1
        return F.scaled_dot_product_attention(q, k, v, attn_mask=given, is_causal=ahead, scale=scale)[:, 0]
    scores = torch.baddbmm(mask, q_NLK, k_NTK.transpose(1, 2), alpha=scale)
    return torch.bmm(scores.softmax(-1).to(v_NTK.dtype), v_NTK)


class MultiHeadAttention(nn.Module):
    """x (B, L, width) -> (B, L, width): each position gathers from those that the mask lets it see.

    heads: H; key_heads: G, a divisor of H: each serves H / G heads in a row; biases: whether the four maps have them.
    """

    def __init__(self, width: int, heads: int, key_heads: int | None = None, biases: bool = True) -> None:
        super().__init__()
        self.heads, self.key_heads = heads, key_heads or heads
        of_keys = width // heads * self.key_heads
        self.query = nn.Linear(width, width, biases)
        self.key = nn.Linear(width, of_keys, biases)
        self.value = nn.Linear(width, of_keys, biases)
        self.out = nn.Linear(width, width, biases)

    def forward(
        self, x_BLD: Tensor, mask: Tensor, turn: Turn | None = None, remember: Remember | None = None
    ) -> Tensor:
        """mask: (L, T), or (H, L, T) for one that differs between heads, to be added to the scores. turn: rotary angles
        of these positions. remember: where keys and values are kept while a text is written."""
        b, length, width = x_BLD.shape
        g, shared = self.key_heads, self.heads // self.key_heads
        q = self.query(x_BLD).view(b, length, self.heads, -1)
        k = self.key(x_BLD).view(b, length, g, -1)
        v = self.value(x_BLD).view(b, length, g, -1)
        if turn is not None:
            q, k = (rotate(t, *(c.to(t.dtype) for c in turn)) for t in (q, k))
        # Heads that share keys are further queries to these: (B G, H/G L, K) against (B G, T, K) copies no key.
        q = q.transpose(1, 2).reshape(b * g, shared * length, -1)
        k, v = (t.transpose(1, 2).flatten(0, 1) for t in (k, v))
        if remember is not None:
            k, v = remember(k, v)
        known = k.shape[1]
        if mask.ndim == 3:
            mask = mask.view(g, shared * length, known).repeat(b, 1, 1)
        elif shared > 1:
            mask = mask.repeat(shared, 1)
        plain = mask.ndim == 2 and shared == 1
        y = attention(q, k, v, mask.to(q.dtype), q.shape[-1] ** -0.5, plain=plain)
        y = y.reshape(b, self.heads, length, -1).transpose(1, 2).reshape(b, length, width)
        return self.out(y)
