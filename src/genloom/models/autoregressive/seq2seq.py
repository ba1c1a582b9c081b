"""seq2seq: a text from another text, by an encoder and a decoder (Vaswani et al. 2017, arXiv:1706.03762).

    p(y | x) = prod_t p(y_t | y_1 ... y_{t-1}, x)

Translation, summaries, answers: x is a `prompt`, y the text that answers it. What differs from the paper: each
sub-layer normalises what it reads, instead of what it has added to; the last layer has weights of its own; Muon
learns the matrices, with a rate that falls to zero at the end of the run, instead of Adam's with the inverse square
root; sizes for minutes on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanSample,
    DataSpec,
    HasLikelihood,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
    the_prompt,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadValue
from genloom.modalities.ended import closed, lengths
from genloom.nets.encoder_decoder import EncoderDecoder, Sizes
from genloom.samplers import decoding

ALIKE = 32  # rows that are read together


@dataclass(frozen=True)
class Seq2SeqConfig:
    """width: of the network, a multiple of heads; heads: of each attention; encoder, decoder: layers of each.

    expansion: hidden units of a layer as a multiple of `width`.
    dropout: share of each sub-layer's output that is dropped in training.
    smoothing: share of the probability that training wants spread over all tokens (section 5.4).
    optimizer: how it learns.
    """

    width: int = 192
    heads: int = 4
    encoder: int = 3
    decoder: int = 3
    expansion: int = 4
    dropout: float = 0.1
    smoothing: float = 0.1
    optimizer: Optimizer = Optimizer(
        name="muon",
        lr=2e-3,
        muon_lr=0.02,
        muon_skips=("network.head.*",),
        betas=(0.9, 0.98),
        clip=1.0,
        warmup=0.05,
        hold=0.3,
    )


class Seq2Seq(Model, CanSample, HasLikelihood):
    """Reads a prompt with an encoder, writes its answer with a decoder."""

    Config = Seq2SeqConfig
    citation = """@inproceedings{vaswani2017attention,
  title={Attention Is All You Need},
  author={Vaswani, Ashish and Shazeer, Noam and Parmar, Niki and Uszkoreit, Jakob and Jones, Llion and Gomez, Aidan N.
    and Kaiser, {\\L}ukasz and Polosukhin, Illia},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017},
  eprint={1706.03762}
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"

    def __init__(self, config: Seq2SeqConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "text", "seq2seq")
        self.prompt, told = the_prompt(spec, "seq2seq")
        self.listens_to = (self.prompt,)
        (self.length,), (self.reads,), self.vocabulary = field.shape, told.shape, field.vocabulary
        if config.width % config.heads:
            raise BadValue(f"config.width must be a multiple of config.heads = {config.heads}, got {config.width}")
        self.start, self.end = self.vocabulary, field.end
        self.network = EncoderDecoder(
            Sizes(
                vocabulary=self.vocabulary, source=self.reads, target=self.length, width=config.width,
                heads=config.heads, encoder=config.encoder, decoder=config.decoder, expansion=config.expansion,
                dropout=config.dropout,
            )
        )  # fmt: skip

    def players(self) -> tuple[Player, ...]:
        return (Player("network", ("network.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("answer", "network"),)

    def surprise(self, batch: Batch, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """-log p(y | x) in nats, with smoothed labels if asked for, and the tokens it is a sum over, (B,) each: those
        of the answer and its end.

        Rows of like length are read together: a batch of captions is two thirds padding otherwise.
        """
        asked, told = lengths(batch[self.prompt], self.end), lengths(batch[self.item], self.end)
        order = (asked + told).argsort(stable=True)
        found = [self._surprise(batch, rows, asked[rows], told[rows], smoothing) for rows in order.split(ALIKE)]
        nats = torch.cat(found) if found else told.float()
        return nats[order.argsort()], told

    def _surprise(self, batch: Batch, rows: Tensor, asked: Tensor, told: Tensor, smoothing: float) -> Tensor:
        prompt_BS = batch[self.prompt][rows][:, : int(asked.max())]
        text_BL = batch[self.item][rows][:, : int(told.max())]
        before = F.pad(text_BL[:, :-1], (1, 0), value=self.start)
        state_BLD = self.network(self.network.read(prompt_BS, asked), before)
        counts_BL = torch.arange(text_BL.shape[1], device=text_BL.device) < told[:, None]
        logits = self.network.head(state_BLD[counts_BL]).float()  # of the answers' own tokens alone
        nats = F.cross_entropy(logits, text_BL[counts_BL], reduction="none", label_smoothing=smoothing)
        return nats.new_zeros(text_BL.shape).masked_scatter(counts_BL, nats).sum(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Cross-entropy with smoothed labels, a mean over the tokens of all answers, their ends included."""
        nats, tokens = self.surprise(batch, self.config.smoothing)
        return Loss(nats.mean() / step.gather(tokens).float().mean())  # over all processes: long answers weigh more

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """-log p(y | x) in nats, (B,): of all tokens of the answer and of its end. Exact; draws nothing."""
        return self.surprise(batch)[0]

    @torch.no_grad()
    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n answers (n, L) to the prompts in `condition`, or to an empty prompt; options.length: L."""
        decoding.check(options)
        device = self.network.embedding.weight.device
        length = min(options.length or self.length, self.length)
        empty = torch.full((n, 1), self.end, dtype=torch.int64)
        prompt_BS = (condition or {}).get(self.prompt, empty).to(device)
        if prompt_BS.ndim != 2 or len(prompt_BS) != n or prompt_BS.shape[1] > self.reads:
            raise BadValue(
                f"expected prompts of shape ({n}, up to {self.reads}), got {tuple(prompt_BS.shape)}: "
                "one for each answer"
            )
        out_BL = torch.full((n, length), self.end, device=device)
        if not n:
            return {self.item: out_BL}
        asked = lengths(prompt_BS, self.end)
        reading = self.network.read(prompt_BS[:, : int(asked.max())], asked)
        token_B1 = torch.full((n, 1), self.start, device=device)
        ended_B = torch.zeros(n, dtype=torch.bool, device=device)
        for t in range(length):
            logits_BV = self.network.head(self.network(reading, token_B1, keep=True)[:, -1]).float()
            token_B = decoding.next_token(logits_BV, options, generator)
            out_BL[:, t] = torch.where(ended_B, self.end, token_B)
            ended_B |= token_B == self.end
            if callback is not None:
                callback({"i": t, "of": length, "x": out_BL})
            if bool(ended_B.all()):
                break
            token_B1 = token_B[:, None]
        return {self.item: closed(out_BL, self.end)}
