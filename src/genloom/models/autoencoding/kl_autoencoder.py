"""An autoencoder whose code is a small picture: the first stage of latent diffusion (Rombach et al. 2022).

An image (C, H, W) becomes a Gaussian over maps (c, H/f, W/f), lightly drawn towards N(0, I), from which a decoder
copies it. What differs from the paper: a Laplacian pyramid and the judge's features take the place of a perceptual
network trained elsewhere; networks are small enough for a CPU; the KL is counted per pixel, so that its weight means
the same at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanCompress,
    CanDecode,
    CanEncode,
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
from genloom.models.autoencoding.copying import Copying, CopyOptions
from genloom.models.autoencoding.latents import LatentStatistics
from genloom.nets.spatial import SpatialDecoder, SpatialEncoder, code_size
from genloom.objectives.likelihood import standard_normal_kl


@dataclass(frozen=True)
class KLAutoencoderConfig:
    """factor: how much smaller the code's sides are than the image's: 2, 4 or 8.
    channels: numbers of the code at each place.
    width: channels at half the image's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    kl: weight of the divergence from N(0, I), in nats per pixel value.
    copy: what makes a good copy.
    optimizer: how the autoencoder learns.
    """

    factor: int = 4
    channels: int = 4
    width: int = 32
    blocks: int = 1
    kl: float = 1e-3
    copy: CopyOptions = CopyOptions()
    optimizer: Optimizer = Optimizer(lr=2e-3)


class KLAutoencoder(Model, CanDecode, CanEncode, CanCompress):
    """Image x -> q(z|x) = N(mu, diag s^2) over maps -> copy of x; a judge of patches joins later."""

    Config = KLAutoencoderConfig
    citation = """@inproceedings{rombach2022high,
  title={High-Resolution Image Synthesis with Latent Diffusion Models},
  author={Rombach, Robin and Blattmann, Andreas and Lorenz, Dominik and Esser, Patrick and Ommer, Bj{\\"o}rn},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2022},
  eprint={2112.10752}
}"""

    def __init__(self, config: KLAutoencoderConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "kl-autoencoder")
        self.range = field.range
        self.latent_shape = (config.channels, *code_size(field.shape, config.factor, "kl-autoencoder"))
        size = {"width": config.width, "blocks": config.blocks, "factor": config.factor}
        self.encoder = SpatialEncoder(field.shape[0], 2 * config.channels, **size)
        self.decoder = SpatialDecoder(config.channels, field.shape, **size)
        self.copying = Copying(config.copy, field.shape[0])
        self.statistics = LatentStatistics(self.latent_shape)

    def players(self) -> tuple[Player, ...]:
        own = Player("autoencoder", ("encoder.*", "decoder.*"), self.config.optimizer)
        return (own, *self.copying.players("copying"))

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("autoencoder", "autoencoder"), *self.copying.phases())

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (B, *latent_shape)."""
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        return mean, log_variance.clamp(-14, 8)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """Distance + kl * KL / (C H W), and the judge's terms once it has joined. In evaluation mode the judge is
        silent, so that losses of different moments of a run can be compared."""
        x = batch[self.item]
        if phase.name == "judge":
            with torch.no_grad():
                mean, log_variance = self.posterior(x)
                copy = self.decoder(mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)).float()
            return self.copying.judging(x, copy)
        mean, log_variance = self.posterior(x)
        copy = self.decoder(mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)).float()
        distance = self.copying.distance(x, copy)
        rate = standard_normal_kl(mean.flatten(1), log_variance.flatten(1)).mean() / x[0].numel()
        total, parts = distance + self.config.kl * rate, {"distance": distance.detach(), "kl": rate.detach()}
        if self.copying.judged(step.progress):
            more, told = self.copying.verdict(x, copy, distance, self.decoder.last.weight)
            total, parts = total + more, {**parts, **told}
        return Loss(total, parts)

    @torch.no_grad()
    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """Takes the mean and deviation of every number of the codes, for those who learn to make codes."""
        self.statistics.measure(self.compress(batch) for batch in batches)

    def compress(self, batch: Batch) -> Tensor:
        return self.posterior(batch[self.item])[0]

    def expand(self, latent: Tensor) -> Batch:
        return {self.item: self.decoder(latent).float().clamp(*self.range)}

    def latent_scale(self) -> tuple[Tensor, Tensor]:
        return self.statistics.scale("kl-autoencoder")

    def encode(self, batch: Batch) -> Tensor:
        return self.compress(batch)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        """Each number by itself, normal with the mean and deviation it has over the training items: fit for walks
        between codes, too simple for new pictures, which are what `latent-flow` is for."""
        noise = torch.randn((n, *self.latent_shape), generator=generator, device=self.statistics.mean.device)
        return self.statistics.mean + options.temperature * self.statistics.deviation * noise

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return self.expand(latent)
