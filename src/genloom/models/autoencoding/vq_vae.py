"""VQ-VAE: an autoencoder whose code is a small picture of words from a codebook (van den Oord et al. 2017).

The codebook follows its latents by moving means (the paper's appendix A.1). What differs from the paper: vectors that
nothing is nearest to are put elsewhere; copies are judged by more than pixels (`copying.py`); at the end every vector
moves to the mean of the training latents nearest to it, since it is the averaged encoder's that will be used. With
`quantiser` "fsq" there is no codebook: numbers are rounded (Mentzer et al. 2023).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanCompress,
    CanDecode,
    CanEncode,
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
from genloom.errors import BadData, BadValue
from genloom.models.autoencoding.copying import Copying, CopyOptions
from genloom.models.autoencoding.latents import LatentStatistics
from genloom.nets.quantise import Codebook, FiniteScalars, through
from genloom.nets.spatial import SpatialDecoder, SpatialEncoder, code_size


@dataclass(frozen=True)
class VQVAEConfig:
    """quantiser: "vq", a learnt codebook, or "fsq", numbers rounded to a few levels each.
    factor: how much smaller the code's sides are than the image's: 2, 4 or 8.
    codes, channels: vectors in the codebook, and numbers of each ("vq").
    levels: how many values each number of a code takes; codes are their combinations ("fsq").
    commitment: weight of the distance between latents and their vectors ("vq").
    decay: of the moving means, at each step; alive: share of an even share of latents below which a vector is dead.
    width: channels at half the image's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    copy: what makes a good copy.
    optimizer: how the autoencoder learns.
    """

    quantiser: Literal["vq", "fsq"] = "vq"
    factor: int = 4
    codes: int = 512
    channels: int = 8
    levels: tuple[int, ...] = (8, 8, 8)
    commitment: float = 0.25
    decay: float = 0.99
    alive: float = 0.03
    width: int = 32
    blocks: int = 1
    copy: CopyOptions = CopyOptions()
    optimizer: Optimizer = Optimizer(lr=2e-3)


class VQVAE(Model, CanDecode, CanEncode, CanCompress, CanTokenise):
    """Image -> map of latents -> the nearest vectors of a codebook -> copy. Codes can be read and written as tokens."""

    Config = VQVAEConfig
    citation = """@inproceedings{oord2017neural,
  title={Neural Discrete Representation Learning},
  author={van den Oord, Aaron and Vinyals, Oriol and Kavukcuoglu, Koray},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017},
  eprint={1711.00937}
}"""

    usage: Tensor

    def __init__(self, config: VQVAEConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        if config.quantiser not in ("vq", "fsq"):
            raise BadValue(f"--config.quantiser: expected vq or fsq, got {config.quantiser!r}")
        self.item, field = the_item(spec, "image", "vq-vae")
        self.range = field.range
        finite = config.quantiser == "fsq"
        channels = len(config.levels) if finite else config.channels
        self.quantiser: Codebook | FiniteScalars = (
            FiniteScalars(config.levels) if finite else Codebook(config.codes, channels, config.decay, config.alive)
        )
        self.vocabulary = self.quantiser.size
        self.code_shape = code_size(field.shape, config.factor, "vq-vae")
        self.latent_shape = (channels, *self.code_shape)
        size = {"width": config.width, "blocks": config.blocks, "factor": config.factor}
        self.encoder = SpatialEncoder(field.shape[0], channels, **size)
        self.decoder = SpatialDecoder(channels, field.shape, **size)
        self.copying = Copying(config.copy, field.shape[0])
        self.statistics = LatentStatistics(self.latent_shape)
        self.register_buffer("usage", torch.zeros(self.quantiser.size))  # of the training items, taken by `finish`

    def players(self) -> tuple[Player, ...]:
        own = Player("autoencoder", ("encoder.*", "decoder.*"), self.config.optimizer)
        return (own, *self.copying.players("copying"))

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("autoencoder", "autoencoder"), *self.copying.phases())

    def quantised(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder sees (with a gradient for the latents), the codes (B, h, w), and the commitment loss:
        the mean squared distance of latents from their vectors (the paper's equation 3, last term)."""
        latent = latent.float()
        codes = self.quantiser.nearest(latent)
        if isinstance(self.quantiser, FiniteScalars):
            return self.quantiser.rounded(latent), codes, latent.new_zeros(())
        vectors = self.quantiser.look_up(codes)
        return through(latent, vectors), codes, (latent - vectors).square().mean()

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Distance + commitment, and the judge's terms once it has joined. used: share of the codebook this batch
        needs; perplexity: how many codes it would be if all were equally frequent."""
        x = batch[self.item]
        if phase.name == "judge":
            with torch.no_grad():
                copy = self.decoder(self.quantised(self.encoder(x))[0]).float()
            return self.copying.judging(x, copy)
        latent = self.encoder(x).float()
        seen, codes, commitment = self.quantised(latent)
        copy = self.decoder(seen).float()
        distance = self.copying.distance(x, copy)
        total = distance + self.config.commitment * commitment
        shares = torch.bincount(codes.flatten(), minlength=self.quantiser.size) / codes.numel()
        parts = {
            "distance": distance.detach(),
            "commitment": commitment.detach(),
            "used": (shares > 0).float().mean(),
            "perplexity": torch.special.entr(shares).sum().exp(),
        }
        if self.copying.judged(step.progress):
            more, told = self.copying.verdict(x, copy, distance, self.decoder.last.weight)
            total, parts = total + more, {**parts, **told}
        return Loss(total, parts, memo={"latent": latent.detach(), "codes": codes})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name == "autoencoder" and isinstance(self.quantiser, Codebook):
            self.quantiser.alive = self.config.alive  # a repair may have changed it
            self.quantiser.follow(memo["latent"], memo["codes"], step.generator)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Settles the codebook on the averaged encoder's latents, counts the use of codes, measures the latents."""
        kept = [self.compress(batch) for batch in batches]
        if isinstance(self.quantiser, Codebook):
            self.quantiser.settle(kept)
        for latent in kept:
            codes = self.quantiser.nearest(latent).flatten()
            self.usage.add_(torch.bincount(codes, minlength=self.quantiser.size))
        self.statistics.measure(kept)

    def code_use(self) -> dict[str, float]:
        """Over the training items: the share of codes that any of them needs, and the perplexity of their use."""
        if not float(self.usage.sum()):
            raise BadData("code use is counted at the end of a run: go on with `genloom train --resume RUN`")
        shares = self.usage / self.usage.sum()
        return {"used": float((shares > 0).float().mean()), "perplexity": float(torch.special.entr(shares).sum().exp())}

    def codes(self, batch: Batch) -> Tensor:
        """The codes of items, int64 (B, h, w) from 0 to `vocabulary` - 1."""
        return self.quantiser.nearest(self.compress(batch))

    def decode_codes(self, codes: Tensor) -> Batch:
        """The items of codes (B, h, w). Raises BadValue for codes that do not exist."""
        size = self.vocabulary
        if codes.shape[1:] != self.code_shape or (len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < size):
            h, w = self.code_shape
            raise BadValue(f"expected codes from 0 to {size - 1} of shape (n, {h}, {w}), got {tuple(codes.shape)}")
        return {self.item: self.decoder(self.quantiser.look_up(codes)).float().clamp(*self.range)}

    def compress(self, batch: Batch) -> Tensor:
        return self.encoder(batch[self.item]).float()

    def expand(self, latent: Tensor) -> Batch:
        return {self.item: self.decoder(self.quantised(latent)[0]).float().clamp(*self.range)}

    def latent_scale(self) -> tuple[Tensor, Tensor]:
        return self.statistics.scale("vq-vae")

    def encode(self, batch: Batch) -> Tensor:
        return self.compress(batch)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        """Each number by itself, normal as over the training items: for walks between codes. New pictures come from a
        model of the codes or latents."""
        noise = torch.randn((n, *self.latent_shape), generator=generator, device=self.usage.device)
        return self.statistics.mean + options.temperature * self.statistics.deviation * noise

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return self.expand(latent)
