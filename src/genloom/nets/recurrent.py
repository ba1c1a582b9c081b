"""Recurrent networks over token ids: a state that is carried from token to token, and says what may come next.

With x_t the token's embedding, h_t what a layer shows of its state, s the logistic function, * element by element:

    rnn    h_t = tanh(W x_t + U h_{t-1} + b)                                        (Elman 1990)
    gru    r, z = s(W x_t + U h_{t-1} + b);  n = tanh(W_n x_t + b_n + r * (U_n h_{t-1} + c_n))
           h_t = (1 - z) * n + z * h_{t-1}                                          (Cho et al. 2014, arXiv:1406.1078)
    lstm   i, f, o = s(W x_t + U h_{t-1} + b);  g = tanh(W_g x_t + U_g h_{t-1} + b_g)
           c_t = f * c_{t-1} + i * g;  h_t = o * tanh(c_t)          (Hochreiter and Schmidhuber 1997; Gers et al. 2000)

PyTorch's own modules compute them; on CPUs an LSTM in bf16 takes a third of the time it takes in fp32. The other two
stay in fp32: what they add to their state at each token is small beside it, and bf16 rounds it away, so that they
hardly learn; they are also slower there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.errors import unknown
from genloom.nets.dropout import Dropout

Cell = Literal["rnn", "gru", "lstm"]
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
State = tuple[Tensor, ...]
"""h of all layers (layers, B, width), of an LSTM also c."""


@dataclass(frozen=True)
class RecurrentShape:
    """inputs: size of the vectors that come in; width: of a layer's state; depth: layers; cell: "rnn", "gru" or "lstm";
    dropout: share of what a layer shows to the next that is dropped in training."""

    inputs: int
    width: int
    depth: int = 1
    cell: Cell = "lstm"
    dropout: float = 0.0


class Recurrent(nn.Module):
    """Vectors (B, L, inputs) -> what the last layer shows after each (B, L, width), and the state at the end."""

    def __init__(self, shape: RecurrentShape) -> None:
        super().__init__()
        if shape.cell not in CELLS:
            raise unknown("config.cell", shape.cell, CELLS)
        self.exact = shape.cell != "lstm"
        between = shape.dropout if shape.depth > 1 else 0.0
        self.layers = CELLS[shape.cell](shape.inputs, shape.width, shape.depth, batch_first=True, dropout=between)
        for name, p in self.layers.named_parameters():
            if name.startswith("weight_hh"):  # norms neither grow nor shrink on the way through time
                for part in p.data.split(shape.width):
                    nn.init.orthogonal_(part)
            elif name.startswith("weight_ih"):
                nn.init.uniform_(p, -math.sqrt(3 / p.shape[1]), math.sqrt(3 / p.shape[1]))
            else:
                nn.init.zeros_(p)
        if shape.cell == "lstm":  # begin by remembering (Jozefowicz et al. 2015): the forget gate's bias is 1
            for layer in range(shape.depth):
                bias: Tensor = getattr(self.layers, f"bias_ih_l{layer}")
                nn.init.ones_(bias.data[shape.width : 2 * shape.width])

    def forward(self, x_BLD: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        given = None if state is None else state if len(state) > 1 else state[0]
        if self.exact:
            with torch.autocast(x_BLD.device.type, enabled=False):
                h_BLD, after = self.layers(x_BLD.float(), given)
        else:
            h_BLD, after = self.layers(x_BLD, given)
        return h_BLD, after if isinstance(after, tuple) else (after,)


class RecurrentTokens(nn.Module):
    """Token ids (B, L) -> logits (B, L, outputs) in fp32, and the state after the last: embedding, layers, head."""

    def __init__(self, vocabulary: int, outputs: int, embedding: int, shape: RecurrentShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.layers = Recurrent(shape)
        self.dropout = Dropout(shape.dropout)
        self.head = nn.Linear(shape.width, outputs)
        nn.init.zeros_(self.head.weight)  # all tokens are equally likely at first
        nn.init.zeros_(self.head.bias)

    def forward(self, ids_BL: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        h_BLD, after = self.layers(self.dropout(self.embedding(ids_BL)), state)
        return self.head(self.dropout(h_BLD)).float(), after


class RecurrentEncoder(nn.Module):
    """Token ids (B, L), of which those of own_BL count -> a vector of each text (B, outputs): the state after the last
    token that counts, and the mean of what was shown over all of them."""

    def __init__(self, vocabulary: int, outputs: int, shape: RecurrentShape) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, shape.inputs)
        self.layers = Recurrent(shape)
        self.head = nn.Linear(2 * shape.width, outputs)

    def forward(self, ids_BL: Tensor, own_BL: Tensor) -> Tensor:
        h_BLD, _ = self.layers(self.embedding(ids_BL))
        count_B = own_BL.sum(1)
        last_BD = h_BLD[torch.arange(len(ids_BL), device=ids_BL.device), count_B - 1]
        mean_BD = (h_BLD * own_BL[:, :, None]).sum(1) / count_B[:, None]
        return self.head(torch.cat((last_BD, mean_BD), 1))


class RecurrentDecoder(nn.Module):
    """Token ids (B, L) -> logits (B, L, outputs) in fp32, and the state after the last, of texts that each have a
    latent (B, Z): it sets the first state, and stands beside every token. The state's last part carries it, (1, B, Z).

    shape.inputs: of the token's embedding and the latent together.
    """

    def __init__(self, vocabulary: int, outputs: int, latent: int, shape: RecurrentShape) -> None:
        super().__init__()
        self.shape, self.parts = shape, 2 if shape.cell == "lstm" else 1
        self.embedding = nn.Embedding(vocabulary, shape.inputs - latent)
        self.first = nn.Linear(latent, self.parts * shape.depth * shape.width)
        self.layers = Recurrent(shape)
        self.head = nn.Linear(shape.width, outputs)
        nn.init.zeros_(self.head.weight)  # all tokens are equally likely at first
        nn.init.zeros_(self.head.bias)

    def begin(self, z_BZ: Tensor) -> State:
        """The state before the first token."""
        each = self.first(z_BZ).tanh().view(len(z_BZ), self.parts * self.shape.depth, -1).transpose(0, 1)
        return (*(part.contiguous() for part in each.split(self.shape.depth)), z_BZ[None])

    def forward(self, ids_BL: Tensor, state: State | None) -> tuple[Tensor, State]:
        assert state is not None
        *own, z_1BZ = state
        beside_BLZ = z_1BZ[0][:, None].expand(-1, ids_BL.shape[1], -1)
        x_BLD = torch.cat((self.embedding(ids_BL), beside_BLZ), 2)
        h_BLD, after = self.layers(x_BLD, tuple(own))
        return self.head(h_BLD).float(), (*after, z_1BZ)


def rows_of(state: State, rows: Tensor | Sequence[int]) -> State:
    """The states of these rows of the batch, in this order."""
    at = torch.as_tensor(rows, device=state[0].device)
    return tuple(part[:, at] for part in state)
