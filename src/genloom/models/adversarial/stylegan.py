"""StyleGAN2 with adaptive augmentation (Karras et al. 2019; 2020 "Analyzing and improving"; 2020 "limited data").

A mapping network turns noise z into a style w; w steers every convolution of a synthesis network that begins with a
learnt constant; noise enters at each of them. Two players, four kinds of turns:

    discriminator   E softplus(-D(T x)) + E softplus(D(T G(z)))            T: random augmentations, applied with p
    generator       E softplus(-D(T G(z)))
    r1              every 16 steps: 16 r1/2 E |grad D(T x)|^2              lazy regularisation (2020, section 3.1)
    path            every 8 steps: 8 path E (|J_w^T y| - a)^2              a: running mean of those lengths (eq. 4)

After D's turns p goes up where D is surer of real items than a target, which is how it overfits, and down elsewhere.

What differs from the papers: widths and depths for a CPU; pictures enter and leave by 2x2 space-to-depth; growth and
shrinkage are bilinear and by means; R1 is taken at what D sees, after T; augmentations as `objectives.augment` says. A
class, where there are any, stands beside w in every style, not beside z, so that it can be changed while w is kept.
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
    HasStyles,
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
from genloom.nets.conv import halvings
from genloom.nets.labels import Labels
from genloom.nets.style import EqualLinear, StyleJudge, StyleSynthesis
from genloom.nets.style import Mapping as StyleMapping
from genloom.objectives.adversarial import bce_discriminator, bce_generator, verdicts
from genloom.objectives.augment import KINDS, MOST, NORMAL, UNIFORM, adapted, augmented
from genloom.objectives.regularisers import path_lengths, squared_gradient

ADAM = Optimizer("adam", lr=1e-2, betas=(0.0, 0.99), clip=0.0, warmup=0.0, decay="cosine", final=0.1)
ADAPT_EVERY = 4  # steps between two moves of p
CENTRE_OF = 4096  # styles whose mean is the centre


@dataclass(frozen=True)
class StyleGANConfig:
    """latent: dimensions of the noise z.
    style: dimensions of a style w.
    depth: layers of the mapping network.
    width: channels at half the image's size, doubled at every further halving up to four times; 32 suits 32 pixels on a
        CPU, 16 suits 64.
    conditional: whether both players are told the class, where the data has labels.
    embedding: dimensions in which styles are told the class.
    mixing: share of generated items whose fine styles come from a second draw (style mixing).
    r1: weight of the penalty on the discriminator's gradient at real items; r1_every: steps between two such turns.
    path: weight of the pull of path lengths towards their mean; path_every: steps between two such turns.
    path_memory: share of the running mean of path lengths that a turn renews.
    augment: what the discriminator sees augmented: "ada" adapts the probability p, "fixed" keeps it, "off".
    augmentations: which kinds: "blit", "geometry", "colour".
    p: the probability of "fixed", and where "ada" begins.
    ada_target: E sign D(real) above which p rises.
    ada_speed: items in which p may go from 0 to 1.
    generator, discriminator: how each learns.
    """

    latent: int = 64
    style: int = 64
    depth: int = 4
    width: int = 32
    conditional: bool = False
    embedding: int = 16
    mixing: float = 0.9
    r1: float = 1.0
    r1_every: int = 16
    path: float = 2.0
    path_every: int = 8
    path_memory: float = 0.05
    augment: Literal["ada", "fixed", "off"] = "ada"
    augmentations: tuple[str, ...] = KINDS
    p: float = 0.0
    ada_target: float = 0.6
    ada_speed: float = 100_000.0
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if not 0 <= self.p <= MOST:
            raise BadValue(f"p {self.p:g}: expected 0 to {MOST}; beyond, generated items begin to look augmented")
        if unknown := sorted(set(self.augmentations) - set(KINDS)):
            raise BadValue(f"augmentations {unknown[0]!r}: expected some of {', '.join(KINDS)}")
        if not 0 <= self.mixing <= 1 or min(self.depth, self.r1_every, self.path_every) < 1 or self.ada_speed <= 0:
            raise BadValue("mixing is a share from 0 to 1; depth, r1_every and path_every 1 or more; ada_speed above 0")


class Discriminator(nn.Module):
    """Images (B, C, H, W) to logits (B,); a class enters as the direction its features are projected on."""

    def __init__(self, judge: StyleJudge, told: DataSpec) -> None:
        super().__init__()
        self.judge = judge
        self.out = EqualLinear(judge.features, 1)
        self.direction = Labels(told, judge.features)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        h = self.judge(x).float()
        logit: Tensor = self.out(h)[:, 0]
        return logit if label is None else logit + (h * self.direction(label)).sum(1) / math.sqrt(h.shape[1])


class StyleGAN(Model, CanSample, CanDecode, HasStyles):
    """Styles for noise; latents are the styles of all levels, (levels, style), the embedded class beside each."""

    Config = StyleGANConfig
    citation = """@inproceedings{karras2020analyzing,
  title={Analyzing and Improving the Image Quality of {StyleGAN}},
  author={Karras, Tero and Laine, Samuli and Aittala, Miika and Hellsten, Janne and Lehtinen, Jaakko and Aila, Timo},
  booktitle={CVPR},
  year={2020}
}"""
    monitor = "sliced-wasserstein"
    config: StyleGANConfig

    path_mean: Tensor
    p: Tensor
    verdicts: Tensor

    def __init__(self, config: StyleGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "stylegan")
        self.shape, self.range = field.shape, field.range
        count = halvings(field.shape[1], field.shape[2], "stylegan", smallest=4)
        told = spec if config.conditional else {}
        self.classes = Labels(told, config.embedding)
        self.listens_to = self.classes.fields
        steered = config.style + (config.embedding if self.classes.name else 0)
        self.mapping = StyleMapping(config.latent, config.style, config.depth)
        self.synthesis = StyleSynthesis(field.shape, steered, config.width, count)
        self.discriminator = Discriminator(StyleJudge(field.shape, config.width, count), told)
        self.levels = self.synthesis.levels
        self.coarse = -(-self.levels // 3)  # a third of the levels each (the paper, of 18: 4, 4 and 10)
        self.middle = -(-(self.levels - self.coarse) // 2)
        for i, size in enumerate(self.synthesis.noises):  # what `decode` uses: the same latents, the same items
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, *size))
        self.register_buffer("path_mean", torch.zeros(()))  # a
        self.register_buffer("p", torch.tensor(config.p))
        self.register_buffer("verdicts", torch.zeros(2))  # sum of sign D(real), how many

    def players(self) -> tuple[Player, ...]:
        told = ("classes.*",) if self.classes.name else ()
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("mapping.*", "synthesis.*", *told), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        lazy = (
            Phase("r1", "discriminator", every=c.r1_every, batch="same", second_order=True),
            Phase("path", "generator", every=c.path_every, batch="same", second_order=True),
        )
        return (
            Phase("discriminator", "discriminator"),
            Phase("generator", "generator", batch="same"),
            *(phase for phase, weight in zip(lazy, (c.r1, c.path), strict=True) if weight > 0),
        )

    # -- the game ---------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        x, label = batch[self.item], self.classes.of(batch)
        n, c = len(x), self.config
        if phase.name == "r1":
            seen = self.shown(x, step).detach().requires_grad_()
            steepness = squared_gradient(self.discriminator(seen, label), seen).mean()
            return Loss(c.r1 / 2 * steepness * c.r1_every, {"penalty": steepness.detach()})
        w = self.mixed_styles(n, label, step)
        noise = [step.randn(n, 1, *size) for size in self.synthesis.noises]
        if phase.name == "path":
            w = w.float() if w.requires_grad else w.float().requires_grad_()
            images = self.synthesis(w, noise).float()
            lengths = path_lengths(images, w, step.randn(*images.shape))
            now = step.gather(lengths.detach()).mean()
            a = torch.where(self.path_mean > 0, self.path_mean, now)
            uneven = (lengths - a).square().mean()
            return Loss(c.path * uneven * c.path_every, {"length": now}, memo={"lengths": lengths.detach()})
        if phase.name == "generator":
            fake = self.shown(self.synthesis(w, noise).float(), step)
            return Loss(bce_generator(self.discriminator(fake, label)))
        with torch.no_grad():
            fake = self.shown(self.synthesis(w, noise).float(), step)
        on_real, on_fake = self.discriminator(self.shown(x, step), label), self.discriminator(fake, label)
        parts = verdicts(on_real, on_fake) | {"p": self.p.clone()}
        memo = {"sign": on_real.detach().sign()}
        return Loss(bce_discriminator(on_real, on_fake), parts, memo | ({} if label is None else {"label": label}))

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name == "path":
            now = memo["lengths"].mean()
            self.path_mean.copy_(self.path_mean.lerp(now, self.config.path_memory) if self.path_mean > 0 else now)
        if phase.name != "discriminator":
            return
        if "label" in memo:
            self.classes.count(memo["label"])
        if self.config.augment == "ada":
            self.verdicts += torch.stack([memo["sign"].sum(), memo["sign"].new_tensor(len(memo["sign"]))])
            if step.index % ADAPT_EVERY == ADAPT_EVERY - 1:
                total, items = self.verdicts
                c = self.config
                self.p.copy_(adapted(self.p, total / items, c.ada_target, float(items), c.ada_speed))
                self.verdicts.zero_()

    def shown(self, x: Tensor, step: Step) -> Tensor:
        """What D sees of images: augmented, each differently."""
        if self.config.augment == "off":
            return x
        uniform, normal = step.rand(len(x), UNIFORM), step.randn(len(x), NORMAL)
        return augmented(x, uniform, normal, self.p, self.config.augmentations)

    # -- styles -----------------------------------------------------------------------------------------------------

    def mixed_styles(self, n: int, label: Tensor | None, step: Step) -> Tensor:
        """Styles (n, levels, D) of fresh noise; of a share `mixing` those from a random level on are of other noise."""
        w, other = (self.mapping(step.randn(n, self.config.latent))[:, None].expand(-1, self.levels, -1) for _ in "ab")
        start = 1 + step.randint(max(1, self.levels - 1), n)
        start = torch.where(step.rand(n) < self.config.mixing, start, self.levels)
        level = torch.arange(self.levels, device=w.device)
        return self.beside(torch.where(level[None, :, None] < start[:, None, None], w, other), label)

    def beside(self, w: Tensor, label: Tensor | None) -> Tensor:
        """w (B, levels, D) with the embedded class beside every level's style."""
        if label is None:
            return w
        told = self.classes(label)[:, None].expand(-1, self.levels, -1)
        return torch.cat([w, told.to(w.dtype)], 2)

    def styles(self, z: Tensor, truncation: float | None = None) -> Tensor:
        """w of noise z, (B, style): centre + psi (w - centre), the centre being the mean style (2019, appendix B)."""
        w: Tensor = self.mapping(z)
        if truncation is None or truncation == 1:
            return w
        generator = torch.Generator().manual_seed(0)  # the centre belongs to the weights, not to a draw
        many = torch.randn(CENTRE_OF, self.config.latent, generator=generator).to(z.device)
        return torch.lerp(self.mapping(many).mean(0), w, truncation)

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        """n latents (n, levels, D): one style for all levels, of the classes given or as often as the data has them."""
        label = self.classes.draw(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.p.device)
        w = self.styles(z, options.truncation)
        return self.beside(w[:, None].expand(-1, self.levels, -1), label)

    # -- afterwards -------------------------------------------------------------------------------------------------

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.latents(n, None, options, generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items of styles (B, levels, D), always with the same noise; a told class replaces the styles' own."""
        if (label := self.classes.of(condition)) is not None:
            latent = self.beside(latent[..., : self.config.style], label)
        noise = [self.get_buffer(f"noise_{i}") for i in range(self.levels)]
        return {self.item: self.synthesis(latent, noise).float().clamp(*self.range)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        latent = self.latents(n, condition, options, generator)
        noise = [torch.randn(n, 1, *s, generator=generator, device=self.p.device) for s in self.synthesis.noises]
        x = self.synthesis(latent, noise).float().clamp(*self.range)
        if callback is not None:
            callback({"i": 1, "of": 1, "x": x})
        return {self.item: x}
