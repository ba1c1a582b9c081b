"""Recurrent language models: the next token from a state that has read all before it (Mikolov et al. 2010; Graves 2013,
arXiv:1308.0850; with gates, Sundermeyer et al. 2012).

    h_t = cell(h_{t-1}, x_{t-1}),   p(x_t | x_1 ... x_{t-1}) = softmax(V h_t + b)

The cell is an Elman network, a GRU or an LSTM (`genloom.nets.recurrent`). As in `gpt`, a window of L tokens is preceded
by a start symbol and an empty state, from which the first is predicted: `nll` is the exact -log p of all L tokens.
Of whole items (molecules) nothing behind the end counts. Differs from the papers: windows are drawn at random, so no
state is carried from one to the next while training; the last layer begins at zero; gradients are clipped by their
norm (Pascanu et al. 2013). A text that is being written is never cut: the state carries on past the L tokens that
training has shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    TOKENS,
    Batch,
    CanContinue,
    CanSample,
    CanStream,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Reading,
    Sampling,
    Step,
    counted,
    shortened,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData
from genloom.nets.reading import StateReading
from genloom.nets.recurrent import Cell, RecurrentShape, RecurrentTokens
from genloom.samplers import decoding


@dataclass(frozen=True)
class RecurrentConfig:
    """cell: "rnn" (Elman), "gru" or "lstm"; width: of each layer's state; depth: layers; embedding: size of a token's
    vector.
    dropout: share of the embeddings, and of what each layer shows, that is dropped in training.
    optimizer: how it learns.
    """

    cell: Cell = "lstm"
    width: int = 256
    depth: int = 1
    embedding: int = 64
    dropout: float = 0.0
    optimizer: Optimizer = Optimizer(lr=5e-3, betas=(0.9, 0.99), clip=1.0, warmup=0.03, hold=0.3)


class RecurrentLM(Model, CanSample, CanStream, CanContinue, HasLikelihood):
    """A language model with a state."""

    Config = RecurrentConfig
    citation = """@article{graves2013generating,
  title = {Generating Sequences With Recurrent Neural Networks},
  author = {Graves, Alex},
  journal = {arXiv preprint arXiv:1308.0850},
  year = {2013},
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"
    context: int | None = None  # what lies far back fades by itself

    def __init__(self, config: RecurrentConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, TOKENS, "recurrent")
        self.field, (self.window,), self.vocabulary = field, field.shape, field.vocabulary
        if self.vocabulary < 1:
            raise BadData("recurrent needs a vocabulary, got one of 0 tokens: give texts with content")
        self.start = self.vocabulary  # the start symbol: an id that is never predicted
        shape = RecurrentShape(config.embedding, config.width, config.depth, config.cell, config.dropout)
        self.network = RecurrentTokens(self.vocabulary + 1, self.vocabulary, config.embedding, shape)

    def players(self) -> tuple[Player, ...]:
        return (Player("network", ("network.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("predict", "network"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean of -log p(x_t | x_<t) over all tokens that count, in nats."""
        ids_BL = batch[self.item]
        count_B = counted(ids_BL, self.field).sum(1).float()
        return Loss(self.surprise(ids_BL).sum(1).mean() / step.gather(count_B).mean())

    def surprise(self, ids_BL: Tensor) -> Tensor:
        """-log p(x_t | x_<t) of every token, in nats, (B, L); of whole items up to the longest's end, 0 behind ends."""
        ids_BL, own_BL = shortened(ids_BL, self.field)
        logits_BLV, _ = self.network(F.pad(ids_BL[:, :-1], (1, 0), value=self.start))
        nats = F.cross_entropy(logits_BLV.flatten(0, 1), ids_BL.flatten(), reduction="none")
        return nats.view(ids_BL.shape) * own_BL

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """-log p(x_1 ... x_L) in nats, (B,): the sum over all tokens that count, the first included. Exact; draws
        nothing."""
        parts = [self.surprise(part).sum(1) for part in batch[self.item].split(256) if len(part)]
        return torch.cat([batch[self.item].new_zeros(0, dtype=torch.float32), *parts])

    @torch.no_grad()
    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        reading = StateReading(self.network)
        begun = F.pad(prompt_BL.to(self.network.head.weight.device), (1, 0), value=self.start)
        return reading, reading.read(begun)[:, -1]

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n texts (n, P + N): the prompts of P tokens in `condition`, or nothing, and N = options.length new tokens, by
        default as many as an item holds."""
        return decoding.sampled(self, n, condition, self._long(options), generator, callback, self._device,
                                self.spec[self.item])  # fmt: skip

    def stream(self, prompt: Tensor, *, options: Sampling = Sampling(), generator: torch.Generator) -> Iterator[Tensor]:
        """What `sample` would write after this prompt (P,) alone, token by token."""
        return decoding.streamed(self, prompt.to(self._device), self._long(options), generator)

    @property
    def _device(self) -> torch.device:
        return self.network.head.weight.device

    def _long(self, options: Sampling) -> Sampling:
        return options if options.length is not None else replace(options, length=self.window)
