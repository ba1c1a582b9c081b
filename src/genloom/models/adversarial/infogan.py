"""InfoGAN: codes that mean something, found without labels (Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel 2016).

G is told codes c beside its noise z: categorical ones, uniform, and continuous ones, uniform in [-1, 1]. A network Q on
top of D's features says which codes a picture was made from; -log Q is an upper bound on what is lost of them, so that

    D  minimises  -log D(x) - log(1 - D(G(z, c)))  [+ r1/2 |grad D(x)|^2]
    Q, G  minimise further  lambda E[-log Q(c | G(z, c))]                                              (equations 5, 6)

Q(c | x) is a softmax for a categorical code and a Gaussian of its own deviation for a continuous one. Q and the
features it shares with D learn in D's turn, G in its own; both from the same bound.

What differs: D has no batch norm (it tells the codes of a batch from its statistics instead of from the pictures) and
may have R1 instead; the networks are those of `gan`.

What a categorical code stands for is settled early in that game, on poor pictures, and kept. With `discovery` it is
settled on real ones: for that share of the run a network of its own sorts real pictures into as many groups as the
code has values, so that a picture and the same one moved a little are sorted alike (IIC: Ji, Henriques and Vedaldi
2019). Several heads try; the one whose two views tell most of each other is Q(c | x) from then on, and G follows. No
label is used in either.
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
from genloom.nets.groups import Groups
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import bce_discriminator, bce_generator, verdicts
from genloom.objectives.augment import jittered, stroked
from genloom.objectives.contrastive import mutual_information
from genloom.objectives.regularisers import squared_gradient

FAST = Optimizer("adam", lr=1e-3, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)
STEADY = Optimizer("adam", lr=1e-3, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="constant")
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
    discovery: share of the run in which categorical codes are looked for in real pictures; 0 for the paper's game, in
        which Q never sees those.
    attempts: how many heads look; the best is kept.
    jitter: how far a picture is turned, slanted, scaled and shifted and should still be sorted alike: the largest turn
        in radians. strokes: the same of light parts made thicker or thinner, from 0 to 1.
    generator, discriminator, groups: how each learns; Q learns with the discriminator.
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
    discovery: float = 0.0
    attempts: int = 5
    jitter: float = 0.35
    strokes: float = 0.0
    generator: Optimizer = FAST
    discriminator: Optimizer = SLOW
    groups: Optimizer = STEADY

    def __post_init__(self) -> None:
        if any(k < 2 for k in self.categories) or self.continuous < 0 or self.latent < 0:
            raise BadValue("categories have 2 values or more each; continuous and latent are 0 or more")
        if not 0 <= self.discovery < 1 or self.attempts < 1:
            raise BadValue("discovery is a share of the run, from 0 to less than 1, with 1 attempt or more")
        if self.discovery and not self.jitter + self.strokes:
            raise BadValue("discovery asks for jitter or strokes above 0: groups are what these leave alone")
        if not self.categories and not self.continuous:
            raise BadValue("infogan needs a code to find: give --config.categories 10 or --config.continuous 2")
        if min(self.r1, self.information, self.information_continuous, self.jitter, self.strokes) < 0:
            raise BadValue("r1, information, information_continuous, jitter and strokes are 0 or more")

    @property
    def found(self) -> bool:
        """Whether categorical codes are found in real pictures."""
        return self.discovery > 0 and bool(self.categories)


class Discriminator(nn.Module):
    """D and Q on shared features: images (B, C, H, W) to logits (B,) and to what Q says of the codes (B, Q)."""

    def __init__(self, shape: tuple[int, ...], config: InfoGANConfig, count: int) -> None:
        super().__init__()
        self.body = ConvFeatures(shape, config.features, width=config.width, count=count)
        self.out = nn.Linear(config.features, 1)
        said = 2 * config.continuous + (0 if config.found else sum(config.categories))  # means, log deviations; logits
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
        if config.found:
            self.groups = Groups(
                field.shape, config.categories, attempts=config.attempts, width=config.width, features=config.features,
                hidden=config.hidden, halved=count,
            )  # fmt: skip
            self.shared: Tensor
            self.register_buffer("shared", torch.zeros(len(config.categories), config.attempts))

    def players(self) -> tuple[Player, ...]:
        groups = (Player("groups", ("groups.*",), self.config.groups),) if self.config.found else ()
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*",), self.config.generator),
            *groups,
        )

    def phases(self) -> tuple[Phase, ...]:
        look = Phase("discovery", "groups", batch="same", window=(0.0, self.config.discovery))
        return (
            Phase("discriminator", "discriminator", second_order=self.config.r1 > 0),
            Phase("generator", "generator", batch="same"),
            *((look,) if self.config.found else ()),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c = self.config
        x = inward(batch[self.item], self.range).detach()
        if phase.name == "discovery":
            return self.discover(x, step)
        n = len(x)
        z = step.randn(n, c.latent)
        kinds = [step.randint(k, n) for k in c.categories]
        numbers = 2 * step.rand(n, c.continuous) - 1
        latent = torch.cat([z, *(F.one_hot(i, k) for i, k in zip(kinds, c.categories, strict=True)), numbers], 1)
        if phase.name == "generator":
            fake = self.forge(latent)
            logits, said = self.discriminator(fake)
            lost = self.numbers_lost(said, numbers) + self.told_lost(said, kinds)
            if c.found and step.progress >= c.discovery:
                lost = lost + self.kinds_lost(self.sort(self.moved(fake, step)), kinds)
            return Loss(bce_generator(logits) + lost)
        with torch.no_grad():
            fake = self.forge(latent)
        x.requires_grad_(c.r1 > 0)
        logits, said = self.discriminator(torch.cat([fake, x]))
        on_fake, on_real = logits.split(n)
        of_kinds, of_numbers = self.told_lost(said[:n], kinds), self.numbers_lost(said[:n], numbers)
        total = bce_discriminator(on_real, on_fake) + of_kinds + of_numbers
        parts = verdicts(on_real, on_fake) | {"codes_lost": of_numbers.detach()}
        if c.categories and not c.found:
            parts["categories_lost"] = of_kinds.detach()
        if c.r1:
            steepness = squared_gradient(on_real, x).mean()
            total, parts["r1"] = total + c.r1 / 2 * steepness, steepness.detach()
        return Loss(total, parts)

    def discover(self, x: Tensor, step: Step) -> Loss:
        """Real pictures and the same ones moved, sorted alike by all heads (IIC's equation 3)."""
        coarse, fine = (
            torch.stack([torch.stack([mutual_information(*k.softmax(1).chunk(2)) for k in tries]) for tries in said])
            for said in self.groups.both(torch.cat([x, self.moved(x, step)]))
        )
        total = -(coarse + fine).mean(1).sum()
        best = coarse.detach().amax(1).mean()
        return Loss(total, {"shared": best}, {"shared": coarse.detach().expand(len(x), *coarse.shape)})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        """A running mean, over some fifty turns, of what each head's two views share."""
        if phase.name == "discovery":
            self.shared.lerp_(memo["shared"].mean(0), 0.02)

    def moved(self, x: Tensor, step: Step) -> Tensor:
        """Pictures turned, slanted, scaled, shifted, with thicker or thinner strokes: the same groups still."""
        c = self.config
        y = stroked(x, step.rand(len(x)), c.strokes) if c.strokes else x
        return jittered(y, step.rand(len(x), 6), c.jitter) if c.jitter else y

    def sort(self, x: Tensor) -> list[Tensor]:
        """Logits of each categorical code by its best head, (B, K)."""
        best = self.shared.argmax(1).tolist()
        return [logits[i] for logits, i in zip(self.groups(x), best, strict=True)]

    def kinds_lost(self, logits: list[Tensor], kinds: list[Tensor]) -> Tensor:
        """lambda E[-log Q(c | x)] of the categorical codes."""
        lost = sum(F.cross_entropy(of, kind) for of, kind in zip(logits, kinds, strict=True))
        return self.config.information * torch.as_tensor(lost)

    def told_lost(self, said: Tensor, kinds: list[Tensor]) -> Tensor:
        """The same where Q reads them off D's features."""
        return said.new_zeros(()) if self.config.found else self.kinds_lost(list(self.read(said)[0]), kinds)

    def numbers_lost(self, said: Tensor, numbers: Tensor) -> Tensor:
        """lambda E[-log Q(c | x)] of the continuous codes."""
        if not self.config.continuous:
            return said.new_zeros(())
        _, mean, log_deviation = self.read(said)
        squares = ((numbers - mean) / log_deviation.exp()).square() / 2
        return self.config.information_continuous * (squares + log_deviation + math.log(2 * math.pi) / 2).sum(1).mean()

    def read(self, said: Tensor) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """What Q says off D's features: logits of each categorical code, unless they are found in real pictures; means
        and log deviations (from e^-2 to 1) of the continuous."""
        c = self.config
        categories = () if c.found else c.categories
        *logits, mean, deviation = said.split((*categories, c.continuous, c.continuous), 1)
        return tuple(logits), mean, -1 + torch.tanh(deviation)

    def forge(self, latent: Tensor) -> Tensor:
        """G: latents to images in [-1, 1], fp32."""
        return torch.tanh(self.generator(latent).float())

    # -- afterwards -------------------------------------------------------------------------------------------------

    def infer(self, batch: Batch) -> dict[str, Tensor]:
        x = inward(batch[self.item], self.range)
        logits, mean, _ = self.read(self.discriminator(x)[1])
        kinds = self.sort(x) if self.config.found else logits
        return {
            code.name: value
            for code, value in zip(self.codes, [*(k.argmax(1) for k in kinds), *mean.unbind(1)], strict=True)
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
