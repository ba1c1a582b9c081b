"""Pictures written word by word: a transformer over the codes of a finished VQ-VAE (Esser, Rombach and Ommer 2021).

    p(s_1 ... s_L) = prod_t p(s_t | class, s_1 ... s_{t-1}),    s: the words of a picture, row by row

The second stage of van den Oord et al. 2017 with the transformer of `gpt` in the place of a PixelCNN. What differs from
the papers: the start symbol is the class, so that no place is spent on it; positions are rotary and count along the
rows, from which the network learns what lies above.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanSample,
    CanTokenise,
    DataSpec,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue
from genloom.nets.labels import Labels
from genloom.nets.transformer import Shape, Transformer
from genloom.samplers import decoding

CODES = "codes"
"""The field that `condense` puts in the place of items."""


@dataclass(frozen=True)
class VQGPTConfig:
    """width: of the residual stream, a multiple of 2 * heads; depth: blocks; heads: of each attention.

    expansion: width of an MLP's hidden layer as a multiple of `width`.
    values: how many of the last blocks add an embedding of the word to their attention's values.
    pairs: rows of the table that embeds (previous word, word); 0 leaves it out.
    dropout: share of each sub-layer's output that is dropped in training.
    conditional: whether classes are told, where the data has some.
    optimizer: how it learns.
    """

    width: int = 192
    depth: int = 4
    heads: int = 4
    expansion: int = 4
    values: int = 2
    pairs: int = 8192
    dropout: float = 0.0
    conditional: bool = True
    optimizer: Optimizer = Optimizer(
        name="muon", lr=2e-3, muon_lr=0.025, muon_skips=("network.head.*",), clip=0.0, warmup=0.03, hold=0.3
    )


class VQGPT(Model, CanSample):
    """Class -> words of a picture, one after the other -> the given autoencoder's decoder -> the picture."""

    Config = VQGPTConfig
    uses = {"autoencoder": CanTokenise}
    citation = """@inproceedings{esser2021taming,
  title={Taming Transformers for High-Resolution Image Synthesis},
  author={Esser, Patrick and Rombach, Robin and Ommer, Bj{\\"o}rn},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2021},
  eprint={2012.09841}
}"""

    def __init__(self, config: VQGPTConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "vq-gpt")
        self.autoencoder = given["autoencoder"]
        name, theirs = the_item(self.autoencoder.spec, "image", "the autoencoder")
        if (name, theirs.shape, theirs.range) != (self.item, field.shape, field.range):
            raise BadData(
                f"the autoencoder was made for {name} of shape {theirs.shape}, this data set has {self.item} of shape "
                f"{field.shape}: choose data of its shape (--data.size, --data.channels), or another autoencoder"
            )
        if config.width % (2 * config.heads):
            raise BadValue(
                f"config.width must be a multiple of 2 * config.heads = {2 * config.heads}, got {config.width}"
            )
        height, width = self.codec.code_shape
        self.length, self.words = height * width, self.codec.vocabulary
        self.labels = Labels(spec if config.conditional else {}, 0)
        self.listens_to = self.labels.fields
        self.network = Transformer(
            Shape(
                vocabulary=self.words + max(1, self.labels.classes), outputs=self.words, context=self.length,
                width=config.width, depth=config.depth, heads=config.heads, expansion=config.expansion,
                values=config.values, pairs=config.pairs, dropout=config.dropout,
            )
        )  # fmt: skip

    @property
    def codec(self) -> CanTokenise:
        """The autoencoder, as what it is here for."""
        return cast(CanTokenise, self.autoencoder)

    def players(self) -> tuple[Player, ...]:
        return (Player("network", ("network.*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("predict", "network"),)

    @torch.no_grad()
    def condense(self, batch: Batch) -> Batch:
        """Words in the place of items; conditions stay."""
        kept = {k: v for k, v in batch.items() if k != self.item}
        return {**kept, CODES: self.codec.codes(batch).flatten(1)}

    def start(self, n: int, label: Tensor | None) -> Tensor:
        """The start symbol of each item, (n, 1): the first id after the words, or that of the class."""
        if label is None:
            return torch.full((n, 1), self.words, device=self.network.head.weight.device)
        return self.words + label[:, None]

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean of -log p(s_t | class, s_<t) over all words, in nats. perplexity: between how many it is torn."""
        known = batch if CODES in batch else self.condense(batch)
        codes_BL, label = known[CODES], self.labels.of(known)
        logits_BLV = self.network(torch.cat([self.start(len(codes_BL), label), codes_BL[:, :-1]], 1))
        nats = F.cross_entropy(logits_BLV.flatten(0, 1), codes_BL.flatten())
        return Loss(nats, {"perplexity": nats.detach().exp()}, {} if label is None else {"label": label})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if "label" in memo:
            self.labels.count(memo["label"])

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
        """options: temperature, top_k and top_p of the words. callback: shows the picture as far as it is written, the
        rest being word 0."""
        decoding.check(options)
        label = self.labels.draw(n, condition, generator)
        fresh_BL = self.start(n, label)
        codes_BL = fresh_BL.new_zeros(n, self.length)
        cache = self.network.cache(n)
        for t in range(self.length if n else 0):
            codes_BL[:, t] = decoding.next_token(self.network(fresh_BL, cache)[:, -1], options, generator)
            fresh_BL = codes_BL[:, t : t + 1]
            if callback is not None:
                callback({"i": t, "of": self.length, "x": self._pictures(codes_BL)[self.item]})
        return {**self._pictures(codes_BL), **({} if label is None else {self.labels.name: label})}

    def _pictures(self, codes_BL: Tensor) -> Batch:
        return self.codec.decode_codes(codes_BL.view(-1, *self.codec.code_shape))
