"""InfoGAN: codes that mean something, found without labels (Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016).

G is told codes c beside its noise z: categorical ones, uniform, and continuous ones, uniform in [-1, 1]. A network Q on
top of D's features says which codes a picture was made from; -log Q is an upper bound on what is lost of them, so that

    D  minimises  -log D(x) - log(1 - D(G(z, c)))  [+ r1/2 |grad D(x)|^2]
    Q, G  minimise further  lambda E[-log Q(c | G(z, c))]                                              (equations 5, 6)

Q(c | x) is a softmax for a categorical code and a Gaussian of its own deviation for a continuous one. Q and the
features it shares with D learn in D's turn, G in its own; both from the same bound.

What differs: D has no batch norm (it tells the codes of a batch from its statistics instead of from the pictures) and
may have R1 instead; the networks are those of `gan`. With `jitter`, Q reads the categorical codes of pictures that were
moved a little, so that they must be something that stays: the digit, not its slant. Yet what a code stands for is
settled early, on poor pictures, and kept. With `agreement`, Q also has to read the same off a real picture and off one
moved, and all values equally often (IIC: Ji, Henriques and Vedaldi 2019, arXiv:1807.06653), so that codes stand for
groups that the data have; G follows. No label is used in either.
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
    Code,
    DataSpec,
    HasCodes,
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
from genloom.nets.conv import Decoder, halvings
from genloom.nets.critic import ConvFeatures
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import bce_discriminator, bce_generator, verdicts
from genloom.objectives.augment import jittered
from genloom.objectives.contrastive import mutual_information
from genloom.objectives.regularisers import squared_gradient

FAST = Optimizer("adam", lr=1e-3, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)
SLOW = Optimizer("adam", lr=4e-4, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)


@dataclass(frozen=True)
class InfoGANConfig:
    """categories: how many values each categorical code has; () for none.
    continuous: how many continuous codes there are.
    latent: dimensions of the noise z, which carries what the codes do not.
    information: weight lambda of the categorical codes; information_continuous: of the continuous ones.
    width: channels at half the image's size, doubled at every halving up to four times.
    features: size of the layer from which D judges and Q reads.
    hidden: size of Q's hidden layer.
    r1: weight of the penalty on D's gradient at real items.
    jitter: how far a picture is turned, slanted, scaled and shifted before Q reads its categorical codes: the largest
        turn in radians; 0 for not at all.
    agreement: weight of the mutual information between the categorical codes that Q reads off a real picture and off
        the same one moved by `jitter`; 0 for the paper's game, in which Q never sees real pictures.
    generator, discriminator: how each learns; Q learns with the discriminator.
    """

    categories: tuple[int, ...] = (10,)
    continuous: int = 2
    latent: int = 62
    information: float = 1.0
    information_continuous: float = 0.2
    width: int = 32
    features: int = 256
    hidden: int = 128
    r1: float = 0.2
    jitter: float = 0.0
    agreement: float = 0.0
    generator: Optimizer = FAST
    discriminator: Optimizer = SLOW

    def __post_init__(self) -> None:
        if any(k < 2 for k in self.categories) or self.continuous < 0 or self.latent < 0:
            raise BadValue("categories have 2 values or more each; continuous and latent are 0 or more")
        if self.agreement < 0 or (self.agreement and not self.jitter):
            raise BadValue("agreement is 0 or more, and above 0 asks for jitter above 0")
        if not self.categories and not self.continuous:
            raise BadValue("infogan needs a code to find: give --config.categories 10 or --config.continuous 2")
        if min(self.r1, self.information, self.information_continuous, self.jitter) < 0:
            raise BadValue("r1, information, information_continuous and jitter are 0 or more")


class Discriminator(nn.Module):
    """D and Q on shared features: images (B, C, H, W) to logits (B,) and to what Q says of the codes (B, Q)."""

    def __init__(self, shape: tuple[int, ...], config: InfoGANConfig, count: int) -> None:
        super().__init__()
        self.body = ConvFeatures(shape, config.features, width=config.width, count=count)
        self.out = nn.Linear(config.features, 1)
        said = sum(config.categories) + 2 * config.continuous  # logits; means and log deviations
        self.q = nn.Sequential(
            nn.Linear(config.features, config.hidden), nn.LeakyReLU(0.2), nn.Linear(config.hidden, said)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x).float()
        logit: Tensor = self.out(h)
        return logit[:, 0], self.q(h).float()


class InfoGAN(Model, OnePass, HasCodes):
    """A latent is the noise z, then each categorical code as a row of 0 and 1, then the continuous codes."""

    Config = InfoGANConfig
    citation = """@inproceedings{chen2016infogan,
  title={{InfoGAN}: Interpretable Representation Learning by Information Maximizing Generative Adversarial Nets},
  author={Chen, Xi and Duan, Yan and Houthooft, Rein and Schulman, John and Sutskever, Ilya and Abbeel, Pieter},
  booktitle={Advances in Neural Information Processing Systems},
  year={2016},
  eprint={1606.03657}
}"""
    monitor = "sliced-wasserstein"

    def __init__(self, config: InfoGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "infogan")
        self.range = field.range
        kinds = (Code(f"category {i + 1}", values) for i, values in enumerate(config.categories))
        self.codes = (*kinds, *(Code(f"code {i + 1}") for i in range(config.continuous)))
        count = halvings(field.shape[1], field.shape[2], "infogan")
        into = config.latent + sum(config.categories) + config.continuous
        self.generator = Decoder(into, field.shape, width=config.width, blocks=1, count=count)
        self.discriminator = Discriminator(field.shape, config, count)

    def players(self) -> tuple[Player, ...]:
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*",), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase("discriminator", "discriminator", second_order=self.config.r1 > 0),
            Phase("generator", "generator", batch="same"),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c = self.config
        x = inward(batch[self.item], self.range).detach()
        n = len(x)
        z = step.randn(n, c.latent)
        kinds = [step.randint(k, n) for k in c.categories]
        numbers = 2 * step.rand(n, c.continuous) - 1
        latent = torch.cat([z, *(F.one_hot(i, k) for i, k in zip(kinds, c.categories, strict=True)), numbers], 1)
        if phase.name == "generator":
            seen = self.with_moved(self.forge(latent), step)
            logits, said = self.discriminator(seen)
            return Loss(bce_generator(logits[:n]) + sum(self.surprise(said[:n], said[-n:], kinds, numbers)))
        with torch.no_grad():
            seen = self.with_moved(self.forge(latent), step)
        x.requires_grad_(c.r1 > 0)
        agreed = c.agreement > 0 and bool(c.categories)
        real = self.with_moved(x, step) if agreed else x
        logits, said = self.discriminator(torch.cat([seen, real]))
        on_fake, on_real = logits[:n], logits[len(seen) : len(seen) + n]
        of_kinds, of_numbers = self.surprise(said[:n], said[len(seen) - n : len(seen)], kinds, numbers)
        total = bce_discriminator(on_real, on_fake) + of_kinds + of_numbers
        parts = verdicts(on_real, on_fake)
        parts |= {"categories_lost": of_kinds.detach(), "codes_lost": of_numbers.detach()}
        if agreed:
            two = (self.read(part)[0] for part in said[len(seen) :].chunk(2))
            pairs = zip(*two, strict=True)
            shared = torch.stack([mutual_information(a.softmax(1), b.softmax(1)) for a, b in pairs]).sum()
            total, parts["shared"] = total - c.agreement * shared, shared.detach()
        if c.r1:
            steepness = squared_gradient(on_real, x).mean()
            total, parts["r1"] = total + c.r1 / 2 * steepness, steepness.detach()
        return Loss(total, parts)

    def with_moved(self, fake: Tensor, step: Step) -> Tensor:
        """Generated pictures, and behind them the same ones moved a little, where the config asks for that."""
        jitter = self.config.jitter if self.config.categories else 0.0
        return torch.cat([fake, jittered(fake, step.rand(len(fake), 6), jitter)]) if jitter else fake

    def surprise(self, said: Tensor, of_moved: Tensor, kinds: list[Tensor], numbers: Tensor) -> tuple[Tensor, Tensor]:
        """lambda E[-log Q(c | x)] of the categorical codes, read off moved pictures, and of the continuous ones."""
        c = self.config
        of_kinds, of_numbers = said.new_zeros(()), said.new_zeros(())
        for logits, kind in zip(self.read(of_moved)[0], kinds, strict=True):
            of_kinds = of_kinds + F.cross_entropy(logits, kind)
        if c.continuous:
            mean, log_deviation = self.read(said)[1:]
            squares = ((numbers - mean) / log_deviation.exp()).square() / 2
            of_numbers = (squares + log_deviation + math.log(2 * math.pi) / 2).sum(1).mean()
        return c.information * of_kinds, c.information_continuous * of_numbers

    def read(self, said: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """What Q says: logits of each categorical code; means and log deviations (from e^-2 to 1) of the continuous."""
        c = self.config
        *logits, mean, deviation = said.split((*c.categories, c.continuous, c.continuous), 1)
        return tuple(logits), mean, -1 + torch.tanh(deviation)

    def forge(self, latent: Tensor) -> Tensor:
        """G: latents to images in [-1, 1], fp32."""
        return torch.tanh(self.generator(latent).float())

    # -- afterwards -------------------------------------------------------------------------------------------------

    def infer(self, batch: Batch) -> dict[str, Tensor]:
        _, said = self.discriminator(inward(batch[self.item], self.range))
        logits, mean, _ = self.read(said)
        return {
            code.name: value
            for code, value in zip(self.codes, [*(k.argmax(1) for k in logits), *mean.unbind(1)], strict=True)
        }

    def with_code(self, latent: Tensor, name: str, value: Tensor) -> Tensor:
        at = self.config.latent
        for code in self.codes:
            width = code.values or 1
            if code.name == name:
                new = F.one_hot(value, code.values) if code.values else value[:, None]
                return torch.cat([latent[:, :at], new.to(latent.dtype), latent[:, at + width :]], 1)
            at += width
        raise BadValue(f"no code is called {name!r}: there are {', '.join(c.name for c in self.codes)}")

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        c, device = self.config, next(self.parameters()).device
        z = torch.randn(n, c.latent, generator=generator, device=device) * options.temperature
        kinds = [F.one_hot(torch.randint(k, (n,), generator=generator, device=device), k) for k in c.categories]
        numbers = 2 * torch.rand(n, c.continuous, generator=generator, device=device) - 1
        return torch.cat([z, *kinds, numbers], 1)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return {self.item: outward(self.forge(latent), self.range)}
