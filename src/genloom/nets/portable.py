"""The transformers that other programs read: a decoder in the shape of GPT-2 or of Llama, by the choices of `Portable`.

                 GPT-2 (Radford et al. 2019)            Llama (Touvron et al. 2023, arXiv:2302.13971)
    positions    learnt                                 rotary
    norm         LayerNorm (arXiv:1607.06450)           RMSNorm (arXiv:1910.07467)
    mlp          W_2 gelu(W_1 x)                        W_2 (silu(W_g x) * W_1 x)  (arXiv:2002.05202)
    biases       everywhere                             nowhere
    head         the table of embeddings                a matrix of its own
    keys         one head each                          shared by groups of heads (arXiv:2305.13245)

A block is x <- x + Attention(norm(x)), x <- x + MLP(norm(x)); its weights are those of transformers' GPT2LMHeadModel
and LlamaForCausalLM, one to one. What `nets/transformer.py` gains beyond this cannot be said in their formats.
Differs from GPT-2: no dropout inside the softmax of attention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadValue, unknown
from genloom.nets.attention import MultiHeadAttention, Remember, Turn, causal_mask
from genloom.nets.dropout import Dropout
from genloom.nets.positions import BASE, alibi, rotary, sinusoidal
from genloom.nets.transformer import Cache


@dataclass(frozen=True)
class Portable:
    """positions: how the order of tokens is told, "learned", "sinusoidal", "rotary" or "alibi".
    norm: "layer" or "rms"; eps: what its variance is raised by.
    mlp: "gelu" (GPT-2's approximation of it), "relu" or "swiglu"; hidden: width of its hidden layer, 0 for `expansion`
    times the width, of "swiglu" two thirds of that, which takes as many weights.
    biases: whether matrices have them; tied: whether the last layer is the table of embeddings.
    key_heads: heads with keys and values of their own, a divisor of `heads`; 0 gives all their own.
    base: of rotary and sinusoidal positions, the longest wave over 2 pi.
    """

    positions: Literal["learned", "sinusoidal", "rotary", "alibi"] = "learned"
    norm: Literal["layer", "rms"] = "layer"
    eps: float = 1e-5
    mlp: Literal["gelu", "relu", "swiglu"] = "gelu"
    hidden: int = 0
    biases: bool = True
    tied: bool = True
    key_heads: int = 0
    base: float = BASE


GPT2 = Portable()
LLAMA = Portable(positions="rotary", norm="rms", mlp="swiglu", biases=False, tied=False)


@dataclass(frozen=True)
class PortableShape:
    """vocabulary: ids a position may hold; outputs: ids it may predict, the first of them; context: most positions;
    width, depth, heads: of the network; expansion: of an MLP's hidden layer; dropout: share of the embeddings and of
    every sub-layer's output that is dropped in training; style: the rest."""

    vocabulary: int
    outputs: int
    context: int
    width: int
    depth: int
    heads: int
    expansion: int = 4
    dropout: float = 0.0
    style: Portable = GPT2

    def check(self) -> None:
        """Raises BadValue where the numbers do not go together."""
        s = self.style
        for name, known in (("positions", ("learned", "sinusoidal", "rotary", "alibi")), ("norm", ("layer", "rms")),
                            ("mlp", ("gelu", "relu", "swiglu"))):  # fmt: skip
            if getattr(s, name) not in known:
                raise unknown(f"config.portable.{name}", getattr(s, name), known)
        per = 2 * self.heads if s.positions == "rotary" else self.heads
        if self.width % per:
            what = "2 * config.heads, as rotary positions turn pairs," if s.positions == "rotary" else "config.heads"
            raise BadValue(f"config.width must be a multiple of {what} = {per}, got {self.width}")
        if s.key_heads and (s.key_heads < 0 or self.heads % s.key_heads):
            raise BadValue(f"config.portable.key_heads must divide config.heads = {self.heads}, got {s.key_heads}")

    @property
    def hidden(self) -> int:
        """Width of an MLP's hidden layer."""
        full = self.expansion * self.width
        return self.style.hidden or (round(2 * full / 3 / 8) * 8 if self.style.mlp == "swiglu" else full)


class _RMS(torch.autograd.Function):
    """w x / rms(x) with its derivative written out: on CPUs a third of the time PyTorch's own takes (4,096 x 128)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        mean = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse = mean.add_(eps).rsqrt_()
        h = x * inverse
        ctx.save_for_backward(h, inverse, weight)
        return h * weight

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        h, inverse, weight = ctx.saved_tensors
        (grad,) = grads
        inner = grad * weight
        along = torch.linalg.vecdot(inner, h)[..., None] / h.shape[-1]
        return torch.addcmul(inner, h, along, value=-1).mul_(inverse), (grad * h).flatten(0, -2).sum(0), None


class RMSNorm(nn.Module):
    """w x / sqrt(mean(x^2) + eps)."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type == "cpu" and x.dtype == torch.float32:
            y: Tensor = _RMS.apply(x, self.weight, self.eps)
            return y
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class MLP(nn.Module):
    """Each position by itself: up, bent, down; "swiglu" bends by a second map, the gate."""

    def __init__(self, width: int, hidden: int, style: Portable) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, style.biases) if style.mlp == "swiglu" else None
        self.up = nn.Linear(width, hidden, style.biases)
        self.down = nn.Linear(hidden, width, style.biases)
        self.bend = style.mlp

    def forward(self, x: Tensor) -> Tensor:
        if self.gate is not None:
            return self.down(F.silu(self.gate(x)) * self.up(x))
        h = self.up(x)
        return self.down(F.relu(h) if self.bend == "relu" else F.gelu(h, approximate="tanh"))


class Block(nn.Module):
    """Attention and MLP, each on the normalised stream and added back to it."""

    def __init__(self, shape: PortableShape) -> None:
        super().__init__()
        s, d = shape.style, shape.width
        self.norm_1, self.norm_2 = make_norm(d, s), make_norm(d, s)
        self.attention = MultiHeadAttention(d, shape.heads, s.key_heads, s.biases)
        self.mlp = MLP(d, shape.hidden, s)
        self.dropout = Dropout(shape.dropout)

    def forward(self, x: Tensor, mask: Tensor, turn: Turn | None, remember: Remember | None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm_1(x), mask, turn, remember))
        return x + self.dropout(self.mlp(self.norm_2(x)))


def make_norm(width: int, style: Portable) -> nn.Module:
    """The normalisation of a stream: (x - mean) / sqrt(variance + eps) w + b, or without mean and b."""
    if style.norm == "rms":
        return RMSNorm(width, style.eps)
    return nn.LayerNorm(width, style.eps, bias=style.biases)


class PortableTransformer(nn.Module):
    """Token ids (B, L) -> logits (B, L, outputs): what may follow each position, seen everything up to it."""

    mask: Tensor

    def __init__(self, shape: PortableShape) -> None:
        super().__init__()
        shape.check()
        self.shape, s, d = shape, shape.style, shape.width
        self.embedding = nn.Embedding(shape.vocabulary, d)
        self.positions = nn.Embedding(shape.context, d) if s.positions == "learned" else None
        self.dropout = Dropout(shape.dropout)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.depth))
        self.norm = make_norm(d, s)
        self.head = None if s.tied else nn.Linear(d, shape.outputs, bias=False)
        self.register_buffer("mask", causal_mask(shape.context), persistent=False)
        if s.positions == "sinusoidal":
            self.register_buffer("waves", sinusoidal(shape.context, d, s.base), persistent=False)
        if s.positions == "rotary":
            cos, sin = rotary(shape.context, d // shape.heads, s.base)
            self.register_buffer("cos", cos, persistent=False)
            self.register_buffer("sin", sin, persistent=False)
        self._begin()

    def _begin(self) -> None:
        """First weights as GPT-2's: N(0, 0.02), less by the root of their number where they write into the stream."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        for block in self.blocks:
            assert isinstance(block, Block)
            for last in (block.attention.out, block.mlp.down):
                nn.init.normal_(last.weight, std=0.02 / math.sqrt(2 * self.shape.depth))
        if self.shape.style.positions == "sinusoidal":  # waves are of size one: embeddings must be too, see `forward`
            nn.init.normal_(self.embedding.weight, std=self.shape.width**-0.5)

    def cache(self, batch: int) -> Cache:
        """Empty memory for `batch` sequences."""
        shape, weight = self.shape, self.embedding.weight
        rows = batch * (shape.style.key_heads or shape.heads)
        return Cache((shape.depth, rows, shape.context, shape.width // shape.heads), batch, weight.device)

    def forward(self, ids_BL: Tensor, cache: Cache | None = None, told_BD: Tensor | None = None) -> Tensor:
        """Logits in fp32. With a cache, `ids_BL` continue what it holds, and are added to it. told_BD: what is known of
        each whole sequence, added to all its positions."""
        return self.says(self.states(ids_BL, cache, told_BD))

    def states(self, ids_BL: Tensor, cache: Cache | None = None, told_BD: Tensor | None = None) -> Tensor:
        """The vector (B, L, width) of each position, from which `says` reads what follows."""
        s = self.shape.style
        start = cache.length if cache is not None else 0
        stop = start + ids_BL.shape[1]
        x = self.embedding(ids_BL) if told_BD is None else self.embedding(ids_BL) + told_BD[:, None]
        mask, turn = self.mask[start:stop, :stop], None
        if self.positions is not None:
            x = x + self.positions.weight[start:stop]
        elif s.positions == "sinusoidal":
            x = x * math.sqrt(self.shape.width) + self.get_buffer("waves")[start:stop]  # arXiv:1706.03762, section 3.4
        elif s.positions == "rotary":
            turn = self.get_buffer("cos")[start:stop], self.get_buffer("sin")[start:stop]
        else:
            mask = mask + alibi(self.shape.heads, start, stop).to(x.device)
        x = self.dropout(x)
        for i, block in enumerate(self.blocks):
            x = block(x, mask, turn, cache.of(i) if cache is not None else None)
        h: Tensor = self.norm(x)
        if cache is not None:
            cache.length, cache.last, cache.vectors = stop, ids_BL[:, -1:], h
        return h

    def says(self, h: Tensor) -> Tensor:
        """Logits in fp32 of the vectors (..., width)."""
        if self.head is not None:
            return self.head(h).float()
        return F.linear(h, self.embedding.weight[: self.shape.outputs]).float()
