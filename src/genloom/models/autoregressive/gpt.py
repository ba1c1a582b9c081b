"""GPT: the next token from all before it (Radford et al. 2018), as a transformer trained from scratch.

    p(x_1 ... x_L) = prod_t p(x_t | start, x_1 ... x_{t-1})

Two networks do it. "speedrun" differs from the paper's: rotary positions instead of learnt ones, normalisation before
each sub-layer and of queries and keys, squared ReLU, an untied head, logits softly capped, value embeddings, a table
for pairs of tokens; see `genloom.nets.transformer`, where each has its source. "portable" is GPT-2's or Llama's, weight
by weight (`genloom.nets.portable`), for runs whose weights are to be used elsewhere.

A window of L tokens is preceded by a start symbol, so that all L of them are predicted: also the first, from the start
symbol alone, which the network learns to mean "somewhere in a text". `nll` is the exact -log p of all L tokens.

Items of tokens of any medium are learnt alike: texts, music, molecules. Whole items (molecules) end with a symbol,
after which nothing counts. What is told of items (a class, a number) is embedded and added to every position. Music on
a grid has an embedding of the voice and the place in the beat, in the spirit of TonicNet (Peracha 2019,
arXiv:1911.11775).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    TOKENS,
    Batch,
    CanContinue,
    CanLighten,
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
from genloom.errors import BadData, BadValue, unknown
from genloom.nets.condition import Conditioner
from genloom.nets.portable import Portable, PortableShape, PortableTransformer
from genloom.nets.quick import quick, serves
from genloom.nets.reading import Network, WindowReading
from genloom.nets.transformer import Shape, Transformer
from genloom.samplers import decoding


@dataclass(frozen=True)
class GPTConfig:
    """width: of the residual stream, a multiple of 2 * heads; depth: blocks; heads: of each attention.

    expansion: width of an MLP's hidden layer as a multiple of `width`.
    network: "speedrun" learns most in little time; "portable" is what other programs read. The next three are for
    "speedrun", `portable` says how "portable" is made.
    values: how many of the last blocks add an embedding of the token to their attention's values.
    pairs: rows of the table that embeds (previous token, token); 0 leaves it out, more pairs than rows share rows.
    cap: the logits stay within (-cap, cap); 0 leaves them free.
    dropout: share of each sub-layer's output that is dropped in training, for many epochs over little text.
    embedding_dropout: the same of the embeddings, of "speedrun"; "portable" drops them with the rest, as GPT-2 does.
    blank: share of the tokens that training windows are read from which are blanked out, for the same (Xie et al. 2017,
        arXiv:1703.02573: "blank noising"); all are predicted.
    untold: share of training items of which nothing is told, where the data tell something.
    start: the id of the token that stands before every text; None adds one of its own, which is never predicted.
    optimizer: how it learns.
    """

    width: int = 128
    depth: int = 4
    heads: int = 4
    expansion: int = 4
    network: Literal["speedrun", "portable"] = "speedrun"
    values: int = 2
    pairs: int = 8192
    cap: float = 15.0
    portable: Portable = Portable()
    dropout: float = 0.0
    embedding_dropout: float = 0.0
    blank: float = 0.0
    untold: float = 0.1
    start: int | None = None
    optimizer: Optimizer = Optimizer(
        name="muon",
        lr=2e-3,
        muon_lr=0.025,
        muon_skips=("network.head.*", "conditioner.*"),
        betas=(0.9, 0.99),
        clip=0.0,
        warmup=0.03,
        hold=0.3,
    )


class GPT(Model, CanSample, CanStream, CanContinue, CanLighten, HasLikelihood):
    """A causal transformer language model."""

    Config = GPTConfig
    citation = """@techreport{radford2018improving,
  title = {Improving Language Understanding by Generative Pre-Training},
  author = {Radford, Alec and Narasimhan, Karthik and Salimans, Tim and Sutskever, Ilya},
  institution = {OpenAI},
  year = {2018},
}"""
    kind: ClassVar[Literal["exact", "bound", "estimate"]] = "exact"
    context: int

    def __init__(self, config: GPTConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, TOKENS, "gpt")
        self.field, (self.context,), self.vocabulary = field, field.shape, field.vocabulary
        if self.context < 2 or self.vocabulary < 1:
            raise BadData(
                f"gpt needs windows of at least 2 tokens and a vocabulary, got {self.context} tokens of "
                f"{self.vocabulary} kinds: raise data.context"
            )
        if not 0 <= config.blank < 1:
            raise BadValue(f"config.blank is a share from 0 up to, not including, 1, got {config.blank:g}")
        if self.context % (2 * field.cycle) and field.cycle > 1:
            raise BadValue(
                f"data.context must be a multiple of {2 * field.cycle}, so that halves of windows begin with a beat, "
                f"got {self.context}"
            )
        if config.start is not None and not 0 <= config.start < self.vocabulary:
            raise BadValue(f"config.start must be a token id from 0 to {self.vocabulary - 1}, got {config.start}")
        self.start = self.vocabulary if config.start is None else config.start
        self.network = self._network(max(self.vocabulary, self.start + 1))
        told = {k: f for k, f in spec.items() if f.role == "item" or f.modality in ("class", "vector")}
        self.conditioner = Conditioner(told, config.width)
        self.listens_to = self.conditioner.fields

    def _network(self, ids: int) -> Transformer | PortableTransformer:
        """The network that sees `ids` kinds of tokens, the start symbol among them."""
        c = self.config
        if c.network == "portable":
            return PortableTransformer(
                PortableShape(
                    vocabulary=ids, outputs=self.vocabulary, context=self.context, width=c.width, depth=c.depth,
                    heads=c.heads, expansion=c.expansion, dropout=c.dropout, style=c.portable,
                )
            )  # fmt: skip
        if c.network != "speedrun":
            raise unknown("config.network", c.network, ("speedrun", "portable"))
        if c.width % (2 * c.heads):
            raise BadValue(f"config.width must be a multiple of 2 * config.heads = {2 * c.heads}, got {c.width}")
        return Transformer(
            Shape(
                vocabulary=ids, outputs=self.vocabulary, context=self.context, width=c.width, depth=c.depth,
                heads=c.heads, expansion=c.expansion, values=c.values, pairs=c.pairs, cap=c.cap, dropout=c.dropout,
                embedding_dropout=c.embedding_dropout, cycle=self.field.cycle,
            )
        )  # fmt: skip

    def players(self) -> tuple[Player, ...]:
        told = ("conditioner.*",) if self.conditioner.fields else ()
        return (Player("network", ("network.*", *told), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("predict", "network"),)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean of -log p(x_t | x_<t) over all tokens that count, in nats."""
        ids_BL, condition = batch[self.item], {k: batch[k] for k in self.conditioner.fields}
        blanked = self.training and self.config.blank > 0
        blank_BL = step.rand(*ids_BL.shape) < self.config.blank if blanked else None
        if not (self.field.whole or condition):
            return Loss(self.surprise(ids_BL, blank_BL=blank_BL).mean())
        drop_B = step.rand(len(ids_BL)) < self.config.untold if condition else None
        total_B = self.surprise(ids_BL, self._told(condition, drop_B), blank_BL).sum(1)
        count_B = counted(ids_BL, self.field).sum(1).float()
        return Loss(total_B.mean() / step.gather(count_B).mean(), memo=condition)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.conditioner.count(memo)

    def _told(self, condition: Batch, drop_B: Tensor | None = None) -> Tensor | None:
        """The embedding (B, D) of what is told of each item; None for data that tell nothing."""
        return self.conditioner(condition, drop_B).vector if condition else None

    def _begun(self, ids_BL: Tensor) -> Tensor:
        """The start symbol before the ids, (B, 1 + L)."""
        return F.pad(ids_BL, (1, 0), value=self.start)

    def surprise(self, ids_BL: Tensor, told_BD: Tensor | None = None, blank_BL: Tensor | None = None) -> Tensor:
        """-log p(x_t | x_<t) of every token, in nats, (B, L); of whole items up to the longest's end, 0 behind ends.
        blank_BL: tokens that the others are predicted without."""
        if not self.field.whole:
            return self._surprise(ids_BL, told_BD, blank_BL)
        ids_BL, own_BL = shortened(ids_BL, self.field)
        return self._surprise(ids_BL, told_BD, blank_BL) * own_BL

    def _surprise(self, ids_BL: Tensor, told_BD: Tensor | None, blank_BL: Tensor | None) -> Tensor:
        seen_BL = ids_BL[:, :-1]
        if blank_BL is not None:  # the start symbol says that nothing is known of a place
            seen_BL = seen_BL.masked_fill(blank_BL[:, : seen_BL.shape[1]], self.start)
        logits_BLV = self.network(self._begun(seen_BL), told_BD=told_BD)
        return F.cross_entropy(logits_BLV.flatten(0, 1), ids_BL.flatten(), reduction="none").view(ids_BL.shape)

    @torch.no_grad()
    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """-log p(x_1 ... x_L) in nats, (B,): the sum over all tokens, the first included. Exact; draws nothing.

        Windows may be shorter than the context; what the batch tells of items is told.
        """
        ids_BL = batch[self.item]
        told_BD = self._told({k: batch[k] for k in self.conditioner.fields})
        rows = max(1, 2**25 // (self.context * self.vocabulary))  # logits of at most 128 MB at a time
        parts = [
            self.surprise(ids_BL[i : i + rows], None if told_BD is None else told_BD[i : i + rows]).sum(1)
            for i in range(0, len(ids_BL), rows)
        ]
        return torch.cat([ids_BL.new_zeros(0, dtype=torch.float32), *parts])

    @torch.no_grad()
    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        """Any length is allowed; see `genloom.nets.reading` for what is looked at. Where the data tell something, this
        is told nothing; `telling` tells."""
        if self.conditioner.fields:
            null = self.conditioner.null(len(prompt_BL), self.network.embedding.weight.device)
            return self._begin(self.network, prompt_BL, self._told(null))
        return self._begin(quick(self.network) if serves(self.network) else self.network, prompt_BL)

    def lightened(self) -> CanContinue:
        return Light(self)

    def _begin(self, network: Network, prompt_BL: Tensor, told_BD: Tensor | None = None) -> tuple[Reading, Tensor]:
        reading = WindowReading(network, self.start, self.context, prompt_BL, told_BD)
        return reading, reading.said_BV

    @torch.no_grad()
    def telling(self, condition: Batch, n: int) -> CanContinue:
        """The same model, which is told this of n items (values of all condition fields)."""
        told_BD = self._told(condition)
        return self if told_BD is None else _Told(self, told_BD)

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """n items (n, P + N): the prompts of P tokens in `condition`, or nothing, and N = options.length new tokens, by
        default as many as an item holds."""
        device = self.network.embedding.weight.device
        model = self.telling(self.conditioner.draw(n, condition, generator), n)
        return decoding.sampled(model, n, condition, options, generator, callback, device, self.field)

    def stream(self, prompt: Tensor, *, options: Sampling = Sampling(), generator: torch.Generator) -> Iterator[Tensor]:
        """What `sample` would write after this prompt (P,) alone, token by token."""
        model = self.telling(self.conditioner.draw(1, None, generator), 1)
        return decoding.streamed(model, prompt.to(self.network.embedding.weight.device), options, generator)


class _Told(CanContinue):
    """A GPT that is told something of each of the items it continues."""

    alike = False

    def __init__(self, model: GPT, told_BD: Tensor) -> None:
        self.model, self.told_BD = model, told_BD
        self.item, self.context, self.vocabulary = model.item, model.context, model.vocabulary

    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        return self.model._begin(self.model.network, prompt_BL, self.told_BD)


class Light(CanContinue):
    """A GPT whose blocks' matrices are bytes, for decoding on a CPU."""

    def __init__(self, gpt: GPT) -> None:
        if gpt.conditioner.fields or not serves(gpt.network):
            raise BadValue("weights of one byte are for decoding on a CPU: leave --weights out, or use --device cpu")
        self.gpt = gpt
        self.item, self.vocabulary, self.context = gpt.item, gpt.vocabulary, gpt.context

    def begin(self, prompt_BL: Tensor) -> tuple[Reading, Tensor]:
        return self.gpt._begin(quick(self.gpt.network, "int8"), prompt_BL)
