"""The course's small GAN: two fully connected networks, binary cross-entropy, plain Adam.

After Goodfellow et al. 2014 with the non-saturating generator loss. The discriminator's sigmoid is taken inside the
loss, equal in value and finite where sigmoid and logarithm apart are not (PyTorch's BCELoss cuts logarithms at -100
instead). Real and fake images pass the discriminator as one batch, since at this size calls cost more than arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanDecode,
    CanSample,
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
from genloom.nets.mlp import BatchNorm, mlp
from genloom.objectives.adversarial import bce_discriminator, bce_generator

ADAM = Optimizer("adam", lr=2e-4, betas=(0.9, 0.999), clip=0.0, warmup=0.0, decay="constant", final=1.0)


@dataclass(frozen=True)
class MLPGANConfig:
    """latent: dimensions of the noise z.
    noise: its distribution: "normal" (standard) or "uniform" (between -1 and 1).
    generator_widths: hidden layers of the generator, from the noise on.
    discriminator_widths: hidden layers of the discriminator, from the image on.
    generator_slope: of its LeakyReLU below zero; 0 is ReLU.
    batch_norm: whether every hidden layer of the generator but the first is batch-normalised.
    batch_norm_eps: added to the variance there.
    generator, discriminator: how each learns.
    """

    latent: int = 100
    noise: Literal["normal", "uniform"] = "normal"
    generator_widths: tuple[int, ...] = (256,)
    discriminator_widths: tuple[int, ...] = (256,)
    generator_slope: float = 0.0
    batch_norm: bool = False
    batch_norm_eps: float = 0.8
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM


class Generator(nn.Module):
    """Noise (B, latent) to rows of pixels in [-1, 1] (B, C H W)."""

    def __init__(self, config: MLPGANConfig, pixels: int) -> None:
        super().__init__()
        widths = [config.latent, *config.generator_widths, pixels]
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        normed = config.generator_widths[1:] if config.batch_norm else ()
        self.norm = nn.ModuleList(BatchNorm(w, config.batch_norm_eps) for w in normed)
        self.slope = config.generator_slope

    def forward(self, z: Tensor, step: Step | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Also returns what each BatchNorm saw, for `update`; `step` is given while training."""
        h, seen = z, {}
        for i, linear in enumerate(self.linear[:-1]):
            h = linear(h)
            if self.norm and i:
                seen[f"norm{i - 1}"] = h.detach()
                h = self.norm[i - 1](h, step.gather if step else None)
            h = F.leaky_relu(h, self.slope) if self.slope else F.relu(h)
        return torch.tanh(self.linear[-1](h)), seen

    def update(self, seen: Mapping[str, Tensor]) -> None:
        """Moves the running statistics by what `forward` saw in one training batch."""
        for i, norm in enumerate(self.norm):
            assert isinstance(norm, BatchNorm)
            norm.update(seen[f"norm{i}"])


class MLPGAN(Model, CanSample, CanDecode):
    """Two players: D(x) judges, G(z) forges."""

    Config = MLPGANConfig
    citation = """@inproceedings{goodfellow2014generative,
  title={Generative Adversarial Nets},
  author={Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and
          Ozair, Sherjil and Courville, Aaron and Bengio, Yoshua},
  booktitle={Advances in Neural Information Processing Systems},
  year={2014}
}"""
    monitor = "sliced-wasserstein"

    def __init__(self, config: MLPGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "gan-mlp")
        self.shape, self.range = field.shape, field.range
        pixels = math.prod(field.shape)
        self.generator = Generator(config, pixels)
        self.discriminator = mlp([pixels, *config.discriminator_widths, 1], lambda: nn.LeakyReLU(0.2))

    def players(self) -> tuple[Player, ...]:
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*",), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("discriminator", "discriminator"), Phase("generator", "generator", batch="same"))

    def unit(self, x: Tensor) -> Tensor:
        """Images as rows of values in [-1, 1], which a tanh can reach."""
        low, high = self.range
        return x.flatten(1) if (low, high) == (-1, 1) else ((x - low) * (2 / (high - low)) - 1).flatten(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """D: -log D(x) - log(1 - D(G(z))). G: -log D(G(z)), with noise of its own."""
        x = batch[self.item]
        z = step.randn(len(x), self.config.latent) if self.config.noise == "normal" else None
        z = 2 * step.rand(len(x), self.config.latent) - 1 if z is None else z
        if phase.name == "generator":
            fake, seen = self.generator(z, step)
            return Loss(bce_generator(self.discriminator(fake).float()), memo=seen)
        with torch.no_grad():
            fake, seen = self.generator(z, step)
        logits = self.discriminator(torch.cat([self.unit(x).to(fake.dtype), fake])).float()
        real_logits, fake_logits = logits[: len(x)], logits[len(x) :]
        parts = {
            "real_accuracy": (real_logits.detach() > 0).float().mean(),
            "fake_accuracy": (fake_logits.detach() < 0).float().mean(),
        }
        return Loss(bce_discriminator(real_logits, fake_logits), parts, memo=seen)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.generator.update(memo)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        device, shape = next(self.parameters()).device, (n, self.config.latent)
        if self.config.noise == "normal":
            return torch.randn(shape, generator=generator, device=device) * options.temperature
        return (2 * torch.rand(shape, generator=generator, device=device) - 1) * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        low, high = self.range
        rows = self.generator(latent)[0].float()
        return {self.item: (low + (high - low) * (rows + 1) / 2).unflatten(1, self.shape)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        out = self.decode(self.prior(n, options=options, generator=generator))
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.item]})
        return out
