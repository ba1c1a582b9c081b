"""Progressive growing of GANs (Karras, Aila, Laine and Lehtinen 2018): first small pictures, then ever larger ones.

Both networks begin at 4 pixels; each further size fades in while the run goes on (`nets.progressive`). Equalised rates,
pixel norm in the generator, minibatch deviation in the discriminator, which plays one turn for one of G's:

    wgan-gp          D: E D(G(z)) - E D(x) + 10 (|grad D(x^)| - 1)^2 + 0.001 E D(x)^2         G: -E D(G(z))
    non-saturating   D: E softplus(-D(x)) + E softplus(D(G(z))) + r1/2 |grad D(x)|^2          G: E softplus(-D(G(z)))

What differs from the paper: all sizes are built at the start, so that a run has the same parameters from first to last
and a growth is nothing that a stopped run could miss; Adam's state is not reset at a growth, since a layer has none
before it first plays; growth follows the progress of the run, whatever its budget; the rate is higher and falls.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

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
from genloom.errors import BadValue
from genloom.nets.conv import crop, halvings
from genloom.nets.labels import Labels
from genloom.nets.progressive import GrowingGenerator, GrowingJudge, at_level, enlarged, growth
from genloom.nets.style import EqualLinear
from genloom.objectives.adversarial import DUELS
from genloom.objectives.regularisers import gradient_penalty, squared_gradient

ADAM = Optimizer("adam", lr=1.7e-3, betas=(0.0, 0.99), clip=0.0, warmup=0.0, hold=0.5, decay="cosine", final=0.1)


@dataclass(frozen=True)
class ProgressiveGANConfig:
    """loss: "wgan-gp" as in the paper, or "non-saturating" with R1.
    latent: dimensions of the noise z, which counts by its direction alone.
    width: channels at the full size, doubled at every halving up to eight times.
    grown: progress at which the networks have grown to the full size; equal parts of it belong to each size before.
    conditional: whether both players are told the class, where the data has labels.
    embedding: dimensions in which the generator is told the class.
    gradient_penalty: weight of the pull of the critic's gradient to length 1, with "wgan-gp".
    drift: weight of E D(x)^2, which keeps the critic's values near 0, with "wgan-gp".
    r1: weight of the penalty on the discriminator's gradient at real items, with "non-saturating".
    generator, discriminator: how each learns.
    """

    loss: Literal["wgan-gp", "non-saturating"] = "wgan-gp"
    latent: int = 64
    width: int = 16
    grown: float = 0.6
    conditional: bool = False
    embedding: int = 16
    gradient_penalty: float = 10.0
    drift: float = 1e-3
    r1: float = 1.0
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if not 0 < self.grown <= 1:
            raise BadValue(f"grown {self.grown:g}: expected a share of the run above 0 and up to 1, such as 0.6")
        if min(self.gradient_penalty, self.drift, self.r1) < 0:
            raise BadValue("gradient_penalty, drift and r1 are 0 or more")


class Discriminator(nn.Module):
    """Pictures of a level's size to logits (B,); a class enters as the direction its features are projected on."""

    def __init__(self, judge: GrowingJudge, told: DataSpec) -> None:
        super().__init__()
        self.judge = judge
        self.out = EqualLinear(judge.features, 1)
        self.direction = Labels(told, judge.features)

    def forward(self, x: Tensor, label: Tensor | None, level: int, alpha: float) -> Tensor:
        h = self.judge(x, level, alpha).float()
        logit: Tensor = self.out(h)[:, 0]
        return logit if label is None else logit + (h * self.direction(label)).sum(1) / math.sqrt(h.shape[1])


class ProgressiveGAN(Model, OnePass):
    """D and G, growing together; before they are fully grown, samples are enlarged to the data's size."""

    Config = ProgressiveGANConfig
    citation = """@inproceedings{karras2018progressive,
  title={Progressive Growing of {GANs} for Improved Quality, Stability, and Variation},
  author={Karras, Tero and Aila, Timo and Laine, Samuli and Lehtinen, Jaakko},
  booktitle={International Conference on Learning Representations},
  year={2018}
}"""
    monitor = "sliced-wasserstein"
    config: ProgressiveGANConfig

    progress: Tensor

    def __init__(self, config: ProgressiveGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "progressive-gan")
        self.shape, self.range = field.shape, field.range
        self.steps = halvings(field.shape[1], field.shape[2], "progressive-gan", smallest=4)
        told = spec if config.conditional else {}
        self.classes = Labels(told, config.embedding)
        self.listens_to = self.classes.fields
        into = config.latent + (config.embedding if self.classes.name else 0)
        self.generator = GrowingGenerator(into, field.shape, config.width, self.steps)
        self.discriminator = Discriminator(GrowingJudge(field.shape, config.width, self.steps), told)
        self.register_buffer("progress", torch.zeros(()))  # of the last step played: how far samples have grown

    def players(self) -> tuple[Player, ...]:
        told = ("classes.*",) if self.classes.name else ()
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*", *told), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase("discriminator", "discriminator", second_order=True),
            Phase("generator", "generator", batch="same"),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn, at the size and alpha of the step's progress; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        level, alpha = growth(step.progress, self.steps, c.grown)
        label = self.classes.of(batch)
        n = len(batch[self.item])
        z = self.classes.beside(step.randn(n, c.latent), label)

        def judge(x: Tensor) -> Tensor:
            return self.discriminator(x, label, level, alpha)

        if phase.name == "generator":
            on_fake = judge(self.generator(z, level, alpha).float())
            return Loss(duel.generator(on_fake[:0], on_fake))
        with torch.no_grad():
            fake = self.generator(z, level, alpha).float()
        real = at_level(batch[self.item], self.steps, level, alpha)
        penalised = c.loss == "non-saturating" and c.r1 > 0
        real = real.detach().requires_grad_(penalised)
        on_real, on_fake = judge(real), judge(fake)
        total = duel.judge(on_real, on_fake)
        parts = duel.verdicts(on_real.detach(), on_fake.detach())
        size = total.new_tensor(float(min(real.shape[2:])))
        parts |= {"play": total.detach(), "size": size, "alpha": total.new_tensor(alpha)}
        if c.loss == "wgan-gp":
            pull = gradient_penalty(judge, real, fake, step.rand(n, 1))
            total = total + c.gradient_penalty * pull + c.drift * on_real.square().mean()
            parts |= {"gradient_penalty": pull.detach(), "distance": -parts["play"]}
        elif penalised:
            steepness = squared_gradient(on_real, real).mean()
            total, parts["r1"] = total + c.r1 / 2 * steepness, steepness.detach()
        return Loss(total, parts, memo={} if label is None else {"label": label})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.progress.fill_(step.progress)
        if "label" in memo:
            self.classes.count(memo["label"])

    # -- afterwards -------------------------------------------------------------------------------------------------

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents: noise beside the embedded class, of the classes given or as often as in the training data."""
        label = self.classes.draw(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.progress.device)
        return self.classes.beside(z, label)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        if (label := self.classes.of(condition)) is not None:
            latent = self.classes.beside(latent[:, : self.config.latent], label)
        level, alpha = growth(float(self.progress), self.steps, self.config.grown)
        x = enlarged(self.generator(latent, level, alpha).float(), self.steps - level)
        return {self.item: crop(x, *self.shape[1:]).clamp(*self.range)}
