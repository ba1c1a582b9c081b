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
from genloom.nets.mlp import BatchNorm, mlp
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import DUELS
from genloom.objectives.regularisers import fading, noised, squared_gradient

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
    loss: "non-saturating" is the course's; also "minimax" (both Goodfellow et al. 2014) and "relativistic" (RpGAN).
    instance_noise: deviation of noise on all images the discriminator sees, which range from -1 to 1; it fades evenly.
    r1: weight of a penalty on the discriminator's gradient at real items; r2: the same at generated ones.
    generator, discriminator: how each learns.
    """

    latent: int = 100
    noise: Literal["normal", "uniform"] = "normal"
    generator_widths: tuple[int, ...] = (256,)
    discriminator_widths: tuple[int, ...] = (256,)
    generator_slope: float = 0.0
    batch_norm: bool = False
    batch_norm_eps: float = 0.8
    loss: Literal["non-saturating", "minimax", "relativistic"] = "non-saturating"
    instance_noise: float = 0.0
    r1: float = 0.0
    r2: float = 0.0
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


class MLPGAN(Model, OnePass):
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
        penalised = max(self.config.r1, self.config.r2) > 0
        return (
            Phase("discriminator", "discriminator", second_order=penalised),
            Phase("generator", "generator", batch="same"),
        )

    def unit(self, x: Tensor) -> Tensor:
        """Images as rows of values in [-1, 1], which a tanh can reach."""
        return inward(x, self.range).flatten(1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """D: -log D(x) - log(1 - D(G(z))). G: -log D(G(z)), with noise of its own; or as `loss` and penalties say."""
        x, c, duel = batch[self.item], self.config, DUELS[self.config.loss]
        z = step.randn(len(x), c.latent) if c.noise == "normal" else None
        z = 2 * step.rand(len(x), c.latent) - 1 if z is None else z
        if phase.name == "generator":
            fake, seen = self.generator(z, step)
            if not duel.relative:
                logits = self.discriminator(self.shown(fake, step)).float()
                return Loss(duel.generator(logits[:0], logits), memo=seen)
            logits = self.discriminator(self.shown(torch.cat([self.unit(x).to(fake.dtype), fake]), step)).float()
            return Loss(duel.generator(logits[: len(x)], logits[len(x) :]), memo=seen)
        with torch.no_grad():
            fake, seen = self.generator(z, step)
        images = self.shown(torch.cat([self.unit(x).to(fake.dtype), fake]), step)
        images.requires_grad_(phase.second_order)
        logits = self.discriminator(images).float()
        real_logits, fake_logits = logits[: len(x)], logits[len(x) :]
        parts = duel.verdicts(real_logits.detach(), fake_logits.detach())
        total = duel.discriminator(real_logits, fake_logits)
        if phase.second_order:
            steepness = squared_gradient(logits, images)
            for name, weight, side in (("r1", c.r1, steepness[: len(x)]), ("r2", c.r2, steepness[len(x) :])):
                total, parts[name] = total + weight / 2 * side.mean(), side.detach().mean()
        return Loss(total, parts, memo=seen)

    def shown(self, rows: Tensor, step: Step) -> Tensor:
        """What the discriminator sees of rows (B, D) or, real ones first, (2 B, D): with noise while there is some."""
        deviation = fading(self.config.instance_noise, step.progress)
        if not deviation:
            return rows
        start, stop, _ = step.rows
        sides = [step.randn(stop - start, rows.shape[1]) for _ in range(len(rows) // (stop - start))]
        return noised(rows, torch.cat(sides), deviation)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.generator.update(memo)

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        device, shape = next(self.parameters()).device, (n, self.config.latent)
        if self.config.noise == "normal":
            return torch.randn(shape, generator=generator, device=device) * options.temperature
        return (2 * torch.rand(shape, generator=generator, device=device) - 1) * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        rows = self.generator(latent)[0].float()
        return {self.item: outward(rows, self.range).unflatten(1, self.shape)}
