"""The GAN of the literature: one game, seven losses, and the regularisers that papers added one by one.

Two players: D judges, G forges. In every step D plays `n_critic` turns, G `n_generator`:

    D  minimises  loss_D(D(x), D(G(z))) + r1/2 |grad D(x)|^2 + r2/2 |grad D(G(z))|^2 + gp (|grad D(x^)| - 1)^2
    G  minimises  loss_G(D(x), D(G(z)))

The losses stand in `objectives.adversarial`, the regularisers in `objectives.regularisers`, each with its equation and
paper. What a step does with x and G(z) before D sees them: instance noise, packing. What happens after D's turn:
weights are clipped (wgan), spectral norms followed.

Where there are classes y, G gets them embedded beside z. D gets them in one of three ways (`supervision`): as the
direction on which its features are projected (Miyato and Koyama 2018); embedded beside its input (conditional GAN,
Mirza and Osindero 2014); or not at all, but it must name them (AC-GAN, Odena, Olah and Shlens 2017):

    D  minimises further  -log P(y | x) - log P(y | G(z, y)),    G  minimises further  -log P(y | G(z, y))
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
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
from genloom.errors import BadData, BadValue
from genloom.nets.conv import Decoder, halvings
from genloom.nets.critic import ConvFeatures, DenseFeatures, Discriminator, follow, spectrally_normalise
from genloom.nets.labels import Labels
from genloom.nets.mlp import mlp
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import DUELS
from genloom.objectives.regularisers import clip_weights_, fading, gradient_penalty, noised, packed, squared_gradient

ADAM = Optimizer("adam", lr=5e-4, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)
Supervision = Literal["projection", "input", "auxiliary"]
LossName = Literal["minimax", "non-saturating", "least-squares", "hinge", "wgan", "wgan-gp", "relativistic"]


@dataclass(frozen=True)
class GANConfig:
    """loss: "minimax" and "non-saturating" (Goodfellow et al. 2014), "least-squares" (LSGAN), "hinge", "wgan" (weights
        clipped), "wgan-gp" (gradient penalty; 10 where `gradient_penalty` is 0), "relativistic" (RpGAN).
    network: "conv" or "mlp", of both players; "auto" takes "conv" for images and "mlp" for points.
    latent: dimensions of the noise z.
    width: channels of the convolutional networks at half the image's size, doubled at every halving up to four times.
    features: size of the last layer from which the convolutional discriminator judges.
    hidden: hidden layers of the fully connected networks; the discriminator has them in reverse order.
    conditional: whether both players are told the class, where the data has labels.
    embedding: dimensions in which the generator is told the class.
    supervision: how the discriminator is told: "projection" of its features, "input" beside the image, or "auxiliary":
        it must name the class instead. The last two ask for data with classes.
    auxiliary: weight of naming the class rightly, for both players.
    n_critic: turns of the discriminator in a step; n_generator: of the generator, after them. Both as many as an epoch
        has batches: the players take turns by epochs.
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
    network: Literal["auto", "conv", "mlp"] = "auto"
    latent: int = 64
    width: int = 32
    features: int = 128
    hidden: tuple[int, ...] = (256,)
    conditional: bool = True
    embedding: int = 32
    supervision: Supervision = "projection"
    auxiliary: float = 1.0
    n_critic: int = 1
    n_generator: int = 1
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
        if min(self.n_critic, self.n_generator, self.packing) < 1:
            raise BadValue("n_critic, n_generator and packing are 1 or more")
        if min(self.weight_clip, self.instance_noise_until) <= 0:
            raise BadValue("weight_clip and instance_noise_until are above 0")
        if min(self.r1, self.r2, self.gradient_penalty, self.instance_noise, self.auxiliary) < 0:
            raise BadValue("r1, r2, gradient_penalty, instance_noise and auxiliary are 0 or more")
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


def check_classes(config: GANConfig, classes: Labels) -> None:
    """Raises BadData where the discriminator is to learn from classes and the data has none, or one only."""
    if not config.conditional or config.supervision == "projection" or classes.classes > 1:
        return
    found = "one class only" if classes.name else "no labels"
    raise BadData(
        f"supervision {config.supervision!r} needs data with classes, and these have {found}: choose others "
        "(sub-folders are classes), or add --config.conditional false"
    )


class GAN(Model, OnePass):
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
        self.item, field = the_item(spec, ("image", "vector"), "gan")
        self.shape, self.range = field.shape, field.range
        told = spec if config.conditional else {}
        self.classes = Labels(told, config.embedding)
        self.listens_to = self.classes.fields
        check_classes(config, self.classes)
        if self.classes.name and config.packing > 1:
            raise BadValue(f"packing {config.packing} judges items without their class: add --config.conditional false")
        into = config.latent + (config.embedding if self.classes.name else 0)
        beside = config.supervision == "input" and bool(self.classes.name)
        seen = (self.shape[0] * config.packing + beside, *self.shape[1:])
        network = config.network if config.network != "auto" else "conv" if field.modality == "image" else "mlp"
        if network == "mlp":
            self.generator: nn.Module = mlp([into, *config.hidden, math.prod(self.shape)], nn.ReLU)
            widths = config.hidden[::-1]
            features: nn.Module = DenseFeatures(math.prod(seen), widths)
            last = widths[-1] if widths else math.prod(seen)
        elif field.modality == "image":
            count = halvings(self.shape[1], self.shape[2], "gan")
            self.generator = Decoder(into, self.shape, width=config.width, blocks=1, count=count)
            features, last = ConvFeatures(seen, config.features, width=config.width, count=count), config.features
        else:
            raise BadValue("--config.network conv is for images, and these are points: leave it out, or take mlp")
        self.discriminator = Discriminator(features, last, told, self.shape, config.supervision)
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
            Phase(
                "generator",
                "generator",
                repeat=c.n_generator,
                batch="fresh" if DUELS[c.loss].relative or c.n_generator > 1 else "same",
            ),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        label = self.classes.of(batch)
        both = None if label is None else torch.cat([label, label])  # a fake has the class of its real item
        z = step.randn(len(batch[self.item]), c.latent)
        x = inward(batch[self.item], self.range)
        if phase.name == "generator":
            fake = self.shown(self.forge(self.classes.beside(z, label)), step)
            shown = torch.cat([self.shown(x, step), fake]) if duel.relative else fake
            logits, named = self.discriminator.judge(shown, both if duel.relative else label)
            on_real, on_fake = logits.chunk(2) if duel.relative else (logits[:0], logits)
            total = duel.generator(on_real, on_fake)
            if named is not None and label is not None:
                total = total + c.auxiliary * F.cross_entropy(named[-len(z) :], label)
            return Loss(total)
        with torch.no_grad():
            fake = self.shown(self.forge(self.classes.beside(z, label)), step)
        real = self.shown(x, step)
        images = torch.cat([real, fake]).requires_grad_(max(c.r1, c.r2) > 0)
        logits, named = self.discriminator.judge(images, both)
        on_real, on_fake = logits.chunk(2)
        total = duel.judge(on_real, on_fake, c.label_smoothing)
        parts = duel.verdicts(on_real.detach(), on_fake.detach()) | {"play": total.detach()}
        if c.loss in ("wgan", "wgan-gp"):
            parts["distance"] = -total.detach()
        if named is not None and label is not None and both is not None:
            total = total + 2 * c.auxiliary * F.cross_entropy(named, both)  # the mean over x plus that over G(z)
            parts["class_accuracy"] = (named[: len(x)].argmax(1) == label).float().mean()
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
        """What D sees of items in [-1, 1]: with noise that fades, several packed into one."""
        deviation = fading(self.config.instance_noise, step.progress, self.config.instance_noise_until)
        if deviation:
            x = noised(x, step.randn(*x.shape), deviation)
        return packed(x, self.config.packing)

    def forge(self, latent: Tensor) -> Tensor:
        """G: latents, the embedded class included, to items in [-1, 1], fp32."""
        return torch.tanh(self.generator(latent).float()).view(-1, *self.shape)

    # -- afterwards -------------------------------------------------------------------------------------------------

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents: noise beside the embedded class, of the classes given or as often as in the training data."""
        label = self.classes.draw(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.classes.counts.device)
        return self.classes.beside(z * options.temperature, label)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        if (label := self.classes.of(condition)) is not None:
            latent = self.classes.beside(latent[:, : self.config.latent], label)
        return {self.item: outward(self.forge(latent), self.range)}
