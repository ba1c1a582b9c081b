"""The transformer of Vaswani et al. 2017 (arXiv:1706.03762): an encoder that reads a whole text, and a decoder that
writes another while looking at it. Three kinds of attention, one formula.

Dimensions: B batch, S source positions, L new target positions, T all target positions so far, D width, H heads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from genloom.nets.dropout import Dropout
from genloom.nets.transformer import norm


@dataclass(frozen=True)
class Sizes:
    """vocabulary: ids of both texts; source, target: most positions of each; width, heads, encoder, decoder: of the
    network and how many layers; expansion: width of a layer's hidden units over `width`; dropout: share dropped."""

    vocabulary: int
    source: int
    target: int
    width: int = 256
    heads: int = 4
    encoder: int = 3
    decoder: int = 3
    expansion: int = 4
    dropout: float = 0.1


def sinusoids(length: int, width: int) -> Tensor:
    """Positions as waves (length, width): section 3.5, PE(t, 2i) = sin(t / 10000^(2i/D)), PE(t, 2i+1) the cosine."""
    angle = torch.arange(length)[:, None] * 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :width]


class Attention(nn.Module):
    """Multi-head attention, softmax(Q K' / sqrt(K)) V (equation 1 and section 3.2.2)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.out.weight)  # a layer begins as the identity

    def memory(self, y_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of what is looked at, (B, H, T, K) each."""
        return self._split(self.key(y_BTD)), self._split(self.value(y_BTD))

    def _split(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def forward(self, x_BLD: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """mask: added to the scores, -inf where nothing may be seen; broadcast to (B, H, L, T)."""
        key, value = memory
        query = self._split(self.query(x_BLD)) * key.shape[-1] ** -0.5
        scores = query @ key.transpose(2, 3) + mask.to(query.dtype)
        return self.out((scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2))


class _Feed(nn.Module):
    """Equation 2: max(0, x W1) W2."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        nn.init.zeros_(self.down.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x).relu())


class _Encoder(nn.Module):
    """One layer of the encoder: each position looks at all of the source."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.look = Attention(sizes.width, sizes.heads)
        self.feed = _Feed(sizes.width, sizes.expansion * sizes.width)
        self.dropout = Dropout(sizes.dropout)

    def forward(self, x_BSD: Tensor, mask: Tensor) -> Tensor:
        h = norm(x_BSD)
        x_BSD = x_BSD + self.dropout(self.look(h, self.look.memory(h), mask))
        return x_BSD + self.dropout(self.feed(norm(x_BSD)))


class _Decoder(nn.Module):
    """One layer of the decoder: each position looks at the target up to itself, then at the source."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.back = Attention(sizes.width, sizes.heads)
        self.across = Attention(sizes.width, sizes.heads)
        self.feed = _Feed(sizes.width, sizes.expansion * sizes.width)
        self.dropout = Dropout(sizes.dropout)

    def forward(
        self, x_BLD: Tensor, back: tuple[Tensor, Tensor], mask: Tensor, source: tuple[Tensor, Tensor], hidden: Tensor
    ) -> Tensor:
        x_BLD = x_BLD + self.dropout(self.back(norm(x_BLD), back, mask))
        x_BLD = x_BLD + self.dropout(self.across(norm(x_BLD), source, hidden))
        return x_BLD + self.dropout(self.feed(norm(x_BLD)))


@dataclass
class Reading:
    """A source as the decoder sees it: keys and values for each of its layers; hidden: the mask of what is padding;
    known: keys and values of the target so far, for each layer; length: how many positions that are."""

    source: list[tuple[Tensor, Tensor]]
    hidden: Tensor
    known: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    length: int = 0


class EncoderDecoder(nn.Module):
    """Source ids (B, S) and target ids (B, L) -> states (B, L, D) of which `head` makes the logits of what follows."""

    waves: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        # One table for both texts (section 3.4); its last row is the start of a target.
        self.embedding = nn.Embedding(sizes.vocabulary + 1, sizes.width)
        self.head = nn.Linear(sizes.width, sizes.vocabulary, bias=False)
        nn.init.zeros_(self.head.weight)
        nn.init.normal_(self.embedding.weight, std=sizes.width**-0.5)
        self.encoder = nn.ModuleList(_Encoder(sizes) for _ in range(sizes.encoder))
        self.decoder = nn.ModuleList(_Decoder(sizes) for _ in range(sizes.decoder))
        self.dropout = Dropout(sizes.dropout)
        longest = max(sizes.source, sizes.target) + 1
        self.register_buffer("waves", sinusoids(longest, sizes.width), persistent=False)

    def _embedded(self, ids_BL: Tensor, start: int) -> Tensor:
        x = self.embedding(ids_BL) * math.sqrt(self.sizes.width)
        return self.dropout(x + self.waves[start : start + ids_BL.shape[1]])

    def read(self, ids_BS: Tensor, lengths_B: Tensor) -> Reading:
        """The source, of which each row has so many tokens."""
        padding = torch.arange(ids_BS.shape[1], device=ids_BS.device) >= lengths_B[:, None]
        hidden = torch.zeros(padding.shape, device=ids_BS.device).masked_fill(padding, float("-inf"))[:, None, None]
        x = self._embedded(ids_BS, 0)
        for layer in self.encoder:
            x = layer(x, hidden)
        x = norm(x)
        return Reading([layer.across.memory(x) for layer in self.decoder], hidden)  # type: ignore[union-attr,operator]

    def forward(self, reading: Reading, ids_BL: Tensor, keep: bool = False) -> Tensor:
        """States (B, L, D) whose `head` are the logits. keep: the ids go on from what `reading` knows, and are added
        to it."""
        start = reading.length if keep else 0
        length = ids_BL.shape[1]
        x = self._embedded(ids_BL, start)
        mask = torch.full((length, start + length), float("-inf"), device=x.device).triu(1 + start)
        for i, layer in enumerate(self.decoder):
            back = layer.back.memory(norm(x))  # type: ignore[union-attr,operator]
            if keep:
                if start:
                    back = tuple(torch.cat(pair, 2) for pair in zip(reading.known[i], back, strict=True))
                    reading.known[i] = back
                else:
                    reading.known.append(back)
            x = layer(x, back, mask, reading.source[i], reading.hidden)
        if keep:
            reading.length = start + length
        return norm(x)
