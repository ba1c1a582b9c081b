"""The variational autoencoder of the course's listing: two small fully connected networks, binary cross-entropy.

After Kingma and Welling 2014, with beta as in Higgins et al. 2017. The cross-entropy of grey values is a convention,
not a likelihood of them, so this model declares none; `vae` has one. The decoder's sigmoid is taken inside the loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanEncode,
    DataSpec,
    Loss,
    Model,
    OnePass,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.nets.mlp import mlp
from genloom.objectives.likelihood import bernoulli_nll, latent_kl, risen, standard_normal_kl


@dataclass(frozen=True)
class MLPVAEConfig:
    """latent: dimensions of the code; 2 gives a space that can be drawn as a map.
    hidden: width of the two hidden layers of the encoder and of the decoder.
    beta: weight of the KL divergence; 1 is the bound itself.
    kl_warmup: stretch of progress in which that weight rises from 0 while training, as 0,0.2; 0,0 has none.
    free_bits: nats of every latent of an item that training does not charge for.
    optimizer: how the network learns: plain Adam.
    """

    latent: int = 20
    hidden: int = 400
    beta: float = 1.0
    kl_warmup: tuple[float, float] = (0.0, 0.0)
    free_bits: float = 0.0
    optimizer: Optimizer = Optimizer(
        "adam", lr=1e-3, betas=(0.9, 0.999), clip=0.0, warmup=0.0, decay="constant", final=1.0
    )


class MLPVAE(Model, OnePass, CanEncode):
    """x -> h -> h -> (mu, log variance) -> z -> h -> h -> sigmoid."""

    Config = MLPVAEConfig
    citation = """@inproceedings{kingma2014auto,
  title={Auto-Encoding Variational {Bayes}},
  author={Kingma, Diederik P. and Welling, Max},
  booktitle={International Conference on Learning Representations},
  year={2014}
}"""

    def __init__(self, config: MLPVAEConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "vae-mlp")
        self.shape, self.range = field.shape, field.range
        pixels, h = math.prod(field.shape), config.hidden
        self.encoder = mlp([pixels, h, h, 2 * config.latent], nn.ReLU)  # mu and log variance side by side
        self.decoder = mlp([config.latent, h, h, pixels], nn.ReLU)

    def players(self) -> tuple[Player, ...]:
        return (Player("vae", ("encoder.*", "decoder.*"), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("vae", "vae"),)

    def unit(self, x: Tensor) -> Tensor:
        """Images as rows of values in [0, 1], which a sigmoid can reach."""
        low, high = self.range
        return ((x - low) / (high - low)).flatten(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """(cross-entropy + beta KL) / (C H W), sums over pixels and latents. Warm-up (Bowman et al. 2016) and free bits
        (Kingma et al. 2016) are for training alone: held-out items are judged by the bound."""
        x = self.unit(batch[self.item])
        mean, log_variance = self.encoder(x).float().chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * step.randn(*mean.shape)
        distortion = bernoulli_nll(x, self.decoder(z)).mean()
        rate = standard_normal_kl(mean, log_variance).mean()
        charged, weight = rate, self.config.beta
        if self.training:
            if self.config.free_bits:
                charged = latent_kl(mean, log_variance).clamp_min(self.config.free_bits).sum(1).mean()
            weight *= risen(step.progress, *self.config.kl_warmup)
        total = (distortion + weight * charged) / math.prod(self.shape)
        return Loss(total, {"distortion": distortion.detach(), "kl": rate.detach()})

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        device = next(self.parameters()).device
        return torch.randn(n, self.config.latent, generator=generator, device=device) * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        low, high = self.range
        unit = torch.sigmoid(self.decoder(latent).float())
        return {self.item: (low + (high - low) * unit).unflatten(1, self.shape)}

    def encode(self, batch: Batch) -> Tensor:
        return self.encoder(self.unit(batch[self.item]))[:, : self.config.latent].float()
