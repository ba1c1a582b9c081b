"""An autoencoder, and with noise a denoising one (Vincent et al. 2008): x -> code -> a copy of x.

    L = mean (x - g(f(c(x))))^2,    c(x) = x, or x + sigma e with some numbers set to 0

Pictures keep their place in a map of codes or are written into one vector; rows of tables go through fully connected
networks. What differs from the paper: networks are deep and trained whole instead of layer by layer; the error is
squared throughout; the strength of the noise is drawn for each item, so that one model cleans weak and strong noise and
need not be told which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanDecode,
    CanEncode,
    CanTranslate,
    DataSpec,
    Field,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.errors import BadValue
from genloom.models.autoencoding.latents import LatentStatistics
from genloom.nets.conv import Decoder, Encoder, halvings
from genloom.nets.mlp import mlp
from genloom.nets.spatial import SpatialDecoder, SpatialEncoder, code_size


@dataclass(frozen=True)
class AutoencoderConfig:
    """code: of pictures "vector", one short row of numbers, or "map", numbers at every place; rows of a table have a
    vector.
    latent: numbers of the code, or at each of its places.
    factor: how much smaller a map's sides are than the picture's: 2, 4 or 8.
    noise: least and greatest deviation of the noise that is added to what the encoder sees, in the scale [-1, 1].
    masked: share of an item's numbers that the encoder sees as 0.
    width: channels at half the picture's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    hidden: widths of the layers between a row and its code.
    optimizer: how it learns.
    """

    code: Literal["vector", "map"] = "vector"
    latent: int = 32
    factor: int = 2
    noise: tuple[float, float] = (0.0, 0.0)
    masked: float = 0.0
    width: int = 32
    blocks: int = 1
    hidden: tuple[int, ...] = (128, 64)
    optimizer: Optimizer = Optimizer(lr=2e-3)


class Autoencoder(Model, CanDecode, CanEncode, CanTranslate):
    """Copies pictures and rows through a code. Trained with noise, it takes noise away."""

    Config = AutoencoderConfig
    citation = """@inproceedings{vincent2008extracting,
  title={Extracting and Composing Robust Features with Denoising Autoencoders},
  author={Vincent, Pascal and Larochelle, Hugo and Bengio, Yoshua and Manzagol, Pierre-Antoine},
  booktitle={International Conference on Machine Learning},
  year={2008}
}"""
    one_answer: ClassVar[bool] = True

    def __init__(self, config: AutoencoderConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        check(config)
        self.item, field = the_item(spec, ("image", "table", "vector"), "autoencoder")
        self.shape, self.range = field.shape, field.range
        self.encoder, self.decoder, code = networks(config, field)
        self.statistics = LatentStatistics(code)

    def players(self) -> tuple[Player, ...]:
        return (Player("autoencoder", ("encoder.*", "decoder.*"), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("autoencoder", "autoencoder"),)

    def corrupted(self, x: Tensor, step: Step) -> Tensor:
        """c(x): what the encoder sees while it learns."""
        low, high = self.config.noise
        if high:
            deviation = low + (high - low) * step.rand(len(x))
            x = x + deviation.reshape(-1, *[1] * (x.dim() - 1)) * step.randn(*x.shape)
        return x * (step.rand(*x.shape) >= self.config.masked) if self.config.masked else x

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The mean squared error of the copy; held-out items are corrupted too."""
        x = batch[self.item]
        return Loss((self.decoder(self.encoder(self.corrupted(x, step))).float() - x).square().mean())

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Measures the codes of training items: where walks begin."""
        self.statistics.measure(self.encode(batch) for batch in batches)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Of those trained with noise on pictures."""
        return ("denoise",) if self.config.noise[1] and len(self.shape) == 3 else ()

    def translate(
        self,
        given: Tensor,
        *,
        task: str,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
    ) -> Batch:
        """The mean of what the noisy pictures may have been, as far as the model knows it: one answer, and no other."""
        low, high = self.range
        return self.decode(self.encode({self.item: low + (given + 1) * ((high - low) / 2)}))

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(batch[self.item]).float()

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return {self.item: self.decoder(latent).float().clamp(*self.range)}

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        """Each number by itself, normal as over the training items: for walks between codes, not for new items."""
        kept = self.statistics
        noise = torch.randn((n, *kept.mean.shape), generator=generator, device=kept.mean.device)
        return kept.mean + options.temperature * kept.deviation * noise


def check(config: AutoencoderConfig) -> None:
    """Raises BadValue for choices that mean nothing."""
    if config.code not in ("vector", "map"):
        raise BadValue(f"--config.code: expected vector or map, got {config.code!r}")
    low, high = config.noise
    if not 0 <= low <= high:
        raise BadValue(f"--config.noise: expected least and greatest deviation such as 0,0.4, got {low:g},{high:g}")
    if not 0 <= config.masked < 1:
        raise BadValue(f"--config.masked: expected a share from 0 to below 1, got {config.masked:g}")


def networks(config: AutoencoderConfig, field: Field) -> tuple[nn.Module, nn.Module, tuple[int, ...]]:
    """Encoder and decoder for items of this field, and the shape of the code between them."""
    if field.modality != "image":
        widths = (*field.shape, *config.hidden, config.latent)
        return mlp(widths, nn.SiLU), mlp(widths[::-1], nn.SiLU), (config.latent,)
    size = {"width": config.width, "blocks": config.blocks}
    if config.code == "map":
        places = code_size(field.shape, config.factor, "autoencoder")
        encoder = SpatialEncoder(field.shape[0], config.latent, factor=config.factor, **size)
        decoder = SpatialDecoder(config.latent, field.shape, factor=config.factor, **size)
        return encoder, decoder, (config.latent, *places)
    count = halvings(field.shape[1], field.shape[2], "autoencoder")
    inward = Encoder(field.shape, config.latent, count=count, **size)
    return inward, Decoder(config.latent, field.shape, count=count, **size), (config.latent,)
