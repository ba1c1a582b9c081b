"""The image GAN of the literature: one game, seven losses, and the regularisers that papers added one by one.

Two players: D judges, G forges. In every step D plays `n_critic` turns, G one:

    D  minimises  loss_D(D(x), D(G(z))) + r1/2 |grad D(x)|^2 + r2/2 |grad D(G(z))|^2 + gp (|grad D(x^)| - 1)^2
    G  minimises  loss_G(D(x), D(G(z)))

The losses stand in `objectives.adversarial`, the regularisers in `objectives.regularisers`, each with its equation and
paper. What a step does with x and G(z) before D sees them: instance noise, packing. What happens after D's turn:
weights are clipped (wgan), spectral norms followed.
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
from genloom.errors import BadValue
from genloom.nets.conv import Decoder, halvings
from genloom.nets.critic import ConvFeatures, DenseFeatures, follow, spectrally_normalise
from genloom.nets.labels import Labels
from genloom.nets.mlp import mlp
from genloom.objectives.adversarial import DUELS
from genloom.objectives.regularisers import clip_weights_, fading, gradient_penalty, noised, packed, squared_gradient

ADAM = Optimizer("adam", lr=5e-4, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)
LossName = Literal["minimax", "non-saturating", "least-squares", "hinge", "wgan", "wgan-gp", "relativistic"]


@dataclass(frozen=True)
class GANConfig:
    """loss: "minimax" and "non-saturating" (Goodfellow et al. 2014), "least-squares" (LSGAN), "hinge", "wgan" (weights
        clipped), "wgan-gp" (gradient penalty; 10 where `gradient_penalty` is 0), "relativistic" (RpGAN).
    network: "conv" or "mlp", of both players.
    latent: dimensions of the noise z.
    width: channels of the convolutional networks at half the image's size, doubled at every halving up to four times.
    features: size of the last layer from which the convolutional discriminator judges.
    hidden: hidden layers of the fully connected networks; the discriminator has them in reverse order.
    conditional: whether both players are told the class, where the data has labels.
    embedding: dimensions in which the generator is told the class.
    n_critic: turns of the discriminator in a step.
    packing: how many items the discriminator judges together (PacGAN); 1 judges each alone; not with classes.
    label_smoothing: real items count as real by so much less; for the losses that have labels.
    instance_noise: deviation of the noise on all images the discriminator sees, in units of a range of -1 to 1.
    instance_noise_until: progress at which that noise has faded evenly to nothing.
    r1: weight of the penalty on the discriminator's gradient at real items.
    r2: the same at generated items.
    gradient_penalty: weight of the pull of that gradient's length towards 1, between real and generated items.
    spectral_norm: whether every layer of the discriminator has spectral norm 1.
    weight_clip: the discriminator's weights are cut to plus or minus this after its turns, with the loss "wgan".
    generator, discriminator: how each learns; the discriminator's weight decay stands there.
    """

    loss: LossName = "non-saturating"
    network: Literal["conv", "mlp"] = "conv"
    latent: int = 64
    width: int = 32
    features: int = 128
    hidden: tuple[int, ...] = (256,)
    conditional: bool = True
    embedding: int = 32
    n_critic: int = 1
    packing: int = 1
    label_smoothing: float = 0.0
    instance_noise: float = 0.0
    instance_noise_until: float = 1.0
    r1: float = 0.0
    r2: float = 0.0
    gradient_penalty: float = 0.0
    spectral_norm: bool = False
    weight_clip: float = 0.01
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if self.n_critic < 1 or self.packing < 1 or self.weight_clip <= 0 or self.instance_noise_until <= 0:
            raise BadValue("n_critic and packing are 1 or more; weight_clip and instance_noise_until above 0")
        if min(self.r1, self.r2, self.gradient_penalty, self.instance_noise) < 0:
            raise BadValue("r1, r2, gradient_penalty and instance_noise are 0 or more")
        if not 0 <= self.label_smoothing < 0.5:
            raise BadValue(f"label_smoothing {self.label_smoothing:g}: expected 0 to 0.5, such as 0.1")
        if self.label_smoothing and DUELS[self.loss].smoothed is None:
            raise BadValue(
                f"label_smoothing with loss {self.loss}: it has no labels; use non-saturating, or leave it 0"
            )

    @property
    def pull(self) -> float:
        """The weight of the gradient penalty, as the loss asks for it."""
        return self.gradient_penalty or (10.0 if self.loss == "wgan-gp" else 0.0)


class Discriminator(nn.Module):
    """Images (B, C, H, W) to logits (B,); what is known of an item enters as the direction its features are projected
    on (Miyato and Koyama 2018)."""

    def __init__(self, features: nn.Module, width: int, spec: DataSpec) -> None:
        super().__init__()
        self.features = features
        self.out = nn.Linear(width, 1, bias=False)  # half of the losses see differences of logits alone
        self.direction = Labels(spec, width)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        h = self.features(x).float()
        logit: Tensor = self.out(h)[:, 0]
        return logit if label is None else logit + (h * self.direction(label)).sum(1) / math.sqrt(h.shape[1])


class GAN(Model, CanSample, CanDecode):
    """D and G in turn, with any of the losses and regularisers of `GANConfig`."""

    Config = GANConfig
    citation = """@inproceedings{goodfellow2014generative,
  title={Generative Adversarial Nets},
  author={Goodfellow, Ian and Pouget-Abadie, Jean and Mirza, Mehdi and Xu, Bing and Warde-Farley, David and
          Ozair, Sherjil and Courville, Aaron and Bengio, Yoshua},
  booktitle={Advances in Neural Information Processing Systems},
  year={2014}
}"""
    monitor = "sliced-wasserstein"
    config: GANConfig

    def __init__(self, config: GANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "gan")
        self.shape, self.range = field.shape, field.range
        told = spec if config.conditional else {}
        self.classes = Labels(told, config.embedding)
        if self.classes.name and config.packing > 1:
            raise BadValue(f"packing {config.packing} judges items without their class: add --config.conditional false")
        into = config.latent + (config.embedding if self.classes.name else 0)
        channels, height, width = field.shape
        seen = (channels * config.packing, height, width)
        if config.network == "mlp":
            self.generator: nn.Module = mlp([into, *config.hidden, math.prod(field.shape)], nn.ReLU)
            features, last = (
                DenseFeatures(math.prod(seen), config.hidden[::-1]),
                (math.prod(seen), *config.hidden[::-1]),
            )
            self.discriminator = Discriminator(features, last[-1], told)
        else:
            count = halvings(height, width, "gan")
            self.generator = Decoder(into, field.shape, width=config.width, blocks=1, count=count)
            judge = ConvFeatures(seen, config.features, width=config.width, count=count)
            self.discriminator = Discriminator(judge, config.features, told)
        if config.spectral_norm:
            spectrally_normalise(self.discriminator)

    def players(self) -> tuple[Player, ...]:
        told = ("classes.*",) if self.classes.name else ()
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*", *told), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        return (
            Phase("discriminator", "discriminator", repeat=c.n_critic, second_order=max(c.r1, c.r2, c.pull) > 0),
            Phase("generator", "generator", batch="fresh" if DUELS[c.loss].relative else "same"),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        label = self.classes.of(batch)
        both = None if label is None else torch.cat([label, label])  # a fake has the class of its real item
        z = step.randn(len(batch[self.item]), c.latent)
        x = self.unit(batch[self.item])
        if phase.name == "generator":
            fake = self.shown(self.forge(self.classes.beside(z, label)), step)
            if not duel.relative:
                logits = self.discriminator(fake, label)
                return Loss(duel.generator(logits[:0], logits))
            logits = self.discriminator(torch.cat([self.shown(x, step), fake]), both)
            on_real, on_fake = logits.chunk(2)
            return Loss(duel.generator(on_real, on_fake))
        with torch.no_grad():
            fake = self.shown(self.forge(self.classes.beside(z, label)), step)
        real = self.shown(x, step)
        images = torch.cat([real, fake]).requires_grad_(max(c.r1, c.r2) > 0)
        logits = self.discriminator(images, both)
        on_real, on_fake = logits.chunk(2)
        total = duel.judge(on_real, on_fake, c.label_smoothing)
        parts = duel.verdicts(on_real.detach(), on_fake.detach()) | {"play": total.detach()}
        if c.loss in ("wgan", "wgan-gp"):
            parts["distance"] = -total.detach()
        if max(c.r1, c.r2) > 0:
            steepness = squared_gradient(logits, images).chunk(2)
            for name, weight, side in (("r1", c.r1, steepness[0]), ("r2", c.r2, steepness[1])):
                total = total + weight / 2 * side.mean()
                parts[name] = side.detach().mean()
        if c.pull:
            mix = step.rand(len(x), 1)[: len(real)]
            pull = gradient_penalty(lambda at: self.discriminator(at, label), real, fake, mix)
            total, parts["gradient_penalty"] = total + c.pull * pull, pull.detach()
        return Loss(total, parts, memo={} if label is None else {"label": label})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name != "discriminator":
            return
        if "label" in memo:
            self.classes.count(memo["label"])
        if self.config.loss == "wgan":
            clip_weights_(self.discriminator.parameters(), self.config.weight_clip)
        if self.config.spectral_norm:
            follow(self.discriminator)

    def shown(self, x: Tensor, step: Step) -> Tensor:
        """What D sees of images in [-1, 1]: with noise that fades, several packed into one."""
        deviation = fading(self.config.instance_noise, step.progress, self.config.instance_noise_until)
        if deviation:
            x = noised(x, step.randn(*x.shape), deviation)
        return packed(x, self.config.packing)

    def forge(self, latent: Tensor) -> Tensor:
        """G: latents, the embedded class included, to images in [-1, 1], fp32."""
        return torch.tanh(self.generator(latent).float()).view(-1, *self.shape)

    def unit(self, x: Tensor) -> Tensor:
        """Images with values in [-1, 1], which a tanh can reach."""
        low, high = self.range
        return x if (low, high) == (-1, 1) else (x - low) * (2 / (high - low)) - 1

    # -- afterwards -------------------------------------------------------------------------------------------------

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.latents(n, None, options, generator)

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents: noise beside the embedded class, of the classes given or as often as in the training data."""
        label = self.classes.draw(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.classes.counts.device)
        return self.classes.beside(z * options.temperature, label)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        if (label := self.classes.of(condition)) is not None:
            latent = self.classes.beside(latent[:, : self.config.latent], label)
        low, high = self.range
        return {self.item: low + (high - low) * (self.forge(latent) + 1) / 2}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        out = self.decode(self.latents(n, condition, options, generator))
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.item]})
        return out
