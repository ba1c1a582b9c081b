"""R3GAN: a modern baseline GAN that trains without tricks (Huang, Gokaslan, Kuleshov and Tompkin 2024).

What differs from the paper: networks are small enough for a CPU (space-to-depth at both image ends, two dense 3x3
convolutions a block where the paper has grouped bottlenecks, which a CPU runs slower than dense ones of several times
their arithmetic); no augmentation; average pooling and nearest-neighbour growing for the paper's [1, 2, 1] filters;
the schedules span the whole run, and the learning rate is higher, for thousands of updates instead of many more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

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
    the_class,
    the_item,
)
from genloom.nets.conv import Unshuffle, crop, halvings, pad, padded, to_maps, to_rows
from genloom.nets.labels import by_share, checked_labels
from genloom.objectives.adversarial import relativistic_discriminator, relativistic_generator
from genloom.objectives.regularisers import squared_gradient

ADAM = Optimizer(
    "adam", lr=1.5e-3, betas=(0.0, 0.9), betas_end=(0.0, 0.99), clip=0.0, warmup=0.0, decay="cosine", final=0.25
)


@dataclass(frozen=True)
class R3GANConfig:
    """latent: dimensions of the noise z.
    width: channels at half the image's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size.
    embedding: dimensions of a class's embedding, where the data has labels and `conditional` is on.
    conditional: whether both networks are told the class.
    gamma, gamma_end: weight of the R1 and R2 penalties at the start and the end; higher is steadier and blurrier.
    generator, discriminator: how each learns.
    """

    latent: int = 64
    width: int = 32
    blocks: int = 1
    embedding: int = 32
    conditional: bool = True
    gamma: float = 1.0
    gamma_end: float = 0.1
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM


class Block(nn.Module):
    """x + scaled conv(lrelu(conv(lrelu(x)))): no normalisation; the last convolution starts at zero, the first one is
    shrunk by depth^-1/2 (Fixup, Zhang et al. 2019), which keeps deep stacks from exploding."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.first = conv(channels, channels, gain=depth**-0.5)
        self.last = conv(channels, channels, gain=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))


def conv(before: int, after: int, kernel: int = 3, gain: float = 1.0) -> nn.Conv2d:
    """A convolution that keeps the size, its weights normal with variance gain^2 * 2 / (1.04 fan-in), bias 0."""
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    nn.init.normal_(layer.weight, std=gain * math.sqrt(2 / 1.04 / (before * kernel**2)))
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def linear(before: int, after: int) -> nn.Linear:
    """A linear layer started as `conv`."""
    layer = nn.Linear(before, after)
    nn.init.normal_(layer.weight, std=1 / math.sqrt(before))
    nn.init.zeros_(layer.bias)
    return layer


class Generator(nn.Module):
    """Latents (B, D) to images (B, C, H, W), unbounded: one linear layer, then growth."""

    def __init__(self, latent: int, shape: tuple[int, ...], width: int, blocks: int, count: int) -> None:
        super().__init__()
        channels, self.height, self.width = shape
        start = padded(self.height, 2**count) >> count, padded(self.width, 2**count) >> count
        widths = [width * 2 ** min(i, 2) for i in reversed(range(count))]
        self.start = start
        self.into = linear(latent, widths[0] * start[0] * start[1])
        layers: list[nn.Module] = []
        for here, after in zip(widths, [*widths[1:], 0], strict=True):
            layers += [Block(here, count * blocks) for _ in range(blocks)]
            # A 1x1 convolution commutes with growing by repetition: four times cheaper before it.
            layers += [conv(here, after, 1, gain=0.7), nn.Upsample(scale_factor=2)] if after else []
        self.layers = nn.Sequential(*layers)
        self.last = conv(widths[-1], 4 * channels, gain=0.7)

    def forward(self, z: Tensor) -> Tensor:
        h = F.leaky_relu(self.layers(to_maps(self.into(z), *self.start)), 0.2)
        return crop(F.pixel_shuffle(self.last(h), 2), self.height, self.width)


class Discriminator(nn.Module):
    """Images (B, C, H, W) to logits (B,); a class enters as the direction its features are projected on."""

    def __init__(self, shape: tuple[int, ...], width: int, blocks: int, count: int, classes: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.stride = 2**count
        end = padded(height, self.stride) >> count, padded(width_px, self.stride) >> count
        widths = [width * 2 ** min(i, 2) for i in range(count)]
        layers: list[nn.Module] = [Unshuffle(), conv(4 * channels, width)]
        for before, here in zip([0, *widths[:-1]], widths, strict=True):
            layers += [nn.AvgPool2d(2), conv(before, here, 1, gain=0.7)] if before else []
            layers += [Block(here, count * blocks) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.out = linear(widths[-1] * end[0] * end[1], widths[-1])
        self.direction = nn.Embedding(max(classes, 1), widths[-1])

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        features = self.out(to_rows(F.leaky_relu(self.layers(pad(x, self.stride)), 0.2))).float()
        direction = self.direction.weight if label is None else self.direction(label)
        return (features * direction).sum(1) / math.sqrt(features.shape[1])


class R3GAN(Model, OnePass):
    """A relativistic pairing loss, regularised by R1 and R2 in every step."""

    Config = R3GANConfig
    citation = """@inproceedings{huang2024gan,
  title={The {GAN} is dead; long live the {GAN}! A Modern {GAN} Baseline},
  author={Huang, Nick and Gokaslan, Aaron and Kuleshov, Volodymyr and Tompkin, James},
  booktitle={Advances in Neural Information Processing Systems},
  year={2024}
}"""
    monitor = "sliced-wasserstein"

    shares: Tensor

    def __init__(self, config: R3GANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "r3gan")
        self.shape, self.range = field.shape, field.range
        found = the_class(spec) if config.conditional else None
        self.label, classes = (found[0], len(found[1].classes)) if found else ("", 0)
        self.listens_to = (self.label,) if self.label else ()
        count = halvings(field.shape[1], field.shape[2], "r3gan")
        into = config.latent + (config.embedding if classes else 0)
        self.generator = Generator(into, field.shape, config.width, config.blocks, count)
        self.embedding: nn.Embedding | None = nn.Embedding(classes, config.embedding) if classes else None
        self.discriminator = Discriminator(field.shape, config.width, config.blocks, count, classes)
        self.register_buffer("shares", torch.zeros(classes))  # how many items of each class were seen

    def players(self) -> tuple[Player, ...]:
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*", *(("embedding.*",) if self.embedding else ())), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("discriminator", "discriminator", second_order=True), Phase("generator", "generator"))

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """D: softplus(D(fake) - D(real)) + gamma / 2 (|grad D(real)|^2 + |grad D(fake)|^2). G: the first term mirrored.
        The real and the fake of a pair share their class."""
        real, label = batch[self.item], batch[self.label] if self.label else None
        z = self.latent(step.randn(len(real), self.config.latent), label)
        both = torch.cat([label, label]) if label is not None else None
        if phase.name == "generator":
            fake = self.generator(z).float()
            logits = self.discriminator(torch.cat([real, fake]), both)
            total = relativistic_generator(logits[: len(real)], logits[len(real) :])
            return Loss(total)
        with torch.no_grad():
            fake = self.generator(z).float()
        images = torch.cat([real, fake]).requires_grad_()
        logits = self.discriminator(images, both)
        penalty = squared_gradient(logits, images)
        real_logits, fake_logits = logits[: len(real)], logits[len(real) :]
        # Along a cosine over the whole run, as the rates of `ADAM`.
        mix = 0.5 + 0.5 * math.cos(math.pi * min(step.progress, 1.0))
        gamma = self.config.gamma_end + (self.config.gamma - self.config.gamma_end) * mix
        play = relativistic_discriminator(real_logits, fake_logits)
        total = play + gamma / 2 * (2 * penalty.mean())  # the mean over reals plus the mean over fakes
        parts = {
            "relativistic": play.detach(),
            "r1": penalty[: len(real)].detach().mean(),
            "r2": penalty[len(real) :].detach().mean(),
            "margin": (real_logits - fake_logits).detach().mean(),
            # a relativistic logit means nothing alone: the share of pairs whose real one is ranked higher
            "pair_accuracy": (real_logits > fake_logits).float().mean(),
        }
        return Loss(total, parts, memo={} if label is None else {"label": label})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if "label" in memo:
            self.shares += torch.bincount(memo["label"], minlength=len(self.shares))

    def latent(self, z: Tensor, label: Tensor | None) -> Tensor:
        """z beside the embedding of its class, so that a path through latents may lead from class to class."""
        return z if label is None or self.embedding is None else torch.cat([z, self.embedding(label)], 1)

    def draw_labels(self, n: int, condition: Batch | None, generator: torch.Generator) -> Tensor | None:
        """The labels asked for, or else drawn by their shares of the training data; None without classes."""
        if not self.label:
            return None
        if condition is not None and self.label in condition:
            return checked_labels(condition[self.label].to(self.shares.device), n, self.label, len(self.shares))
        return by_share(self.shares, n, generator)

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        label = self.draw_labels(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.shares.device)
        return self.latent(z * options.temperature, label)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        if self.label and condition is not None and self.label in condition:
            latent = self.latent(latent[:, : self.config.latent], condition[self.label].to(latent.device))
        return {self.item: self.generator(latent).float().clamp(*self.range)}
