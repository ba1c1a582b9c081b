"""LAPGAN (Denton, Chintala, Szlam and Fergus 2015): a small picture, then sharper ones, each size by a game of its own.

Pictures are taken apart into a Laplacian pyramid (`nets.pyramid`). The smallest one has an ordinary GAN. At every other
level G_k makes what enlarging lacks, told the enlarged picture l_k = u(I_k+1); D_k sees l_k + h_k and l_k:

    D_k   E -log s(D_k(l_k + h_k, l_k)) + E -log(1 - s(D_k(l_k + G_k(z_k, l_k), l_k)))     their equation 3
    G_k   E -log s(D_k(l_k + G_k(z_k, l_k), l_k))

In training l_k always comes from real pictures. So no gradient crosses levels, and each learns as if it were alone; in
sampling l_k is what the levels below have made (their equation 4).

What differs from the paper: D has an R1 penalty; half of the l_k carry a little noise, because in sampling they are not
quite real either; Adam, and one schedule for all levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
from genloom.errors import BadValue
from genloom.nets.conv import Decoder, crop, halvings, pad, padded
from genloom.nets.critic import ConvFeatures
from genloom.nets.labels import Labels
from genloom.nets.pyramid import collapse, larger, pyramid
from genloom.nets.scale import outward
from genloom.objectives.adversarial import bce_discriminator, bce_generator, verdicts
from genloom.objectives.regularisers import squared_gradient

ADAM = Optimizer("adam", lr=5e-4, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)


@dataclass(frozen=True)
class LAPGANConfig:
    """levels: doublings of size above the smallest picture; each must leave it 4 pixels or more a side.
    latent: dimensions of the smallest picture's noise; every other level has one plane of noise.
    width: channels of the networks of every level; of the smallest picture's doubled where it shrinks.
    features: size of the last layer from which each discriminator judges.
    conditional: whether all networks are told the class, where the data has labels.
    embedding: dimensions in which the smallest picture's generator is told the class.
    r1: weight of the penalty on each discriminator's gradient at real items.
    blur_noise: deviation of the noise on half of the enlarged pictures that a level is told in training.
    generator, discriminator: how all generators and all discriminators learn.
    """

    levels: int = 2
    latent: int = 64
    width: int = 32
    features: int = 128
    conditional: bool = True
    embedding: int = 16
    r1: float = 1.0
    blur_noise: float = 0.05
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if self.levels < 1 or min(self.r1, self.blur_noise) < 0:
            raise BadValue("levels is 1 or more; r1 and blur_noise are 0 or more")


class Judge(nn.Module):
    """Pictures (B, C, H, W), and what they were enlarged from beside them, to logits (B,)."""

    def __init__(self, shape: tuple[int, int, int], features: int, width: int, told: DataSpec) -> None:
        super().__init__()
        self.judge = ConvFeatures(shape, features, width=width, count=min(3, halvings(*shape[1:], "lapgan", 4)))
        self.out = nn.Linear(features, 1)
        self.direction = Labels(told, features)

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        h = self.judge(x).float()
        logit: Tensor = self.out(h)[:, 0]
        return logit if label is None else logit + (h * self.direction(label)).sum(1) / h.shape[1] ** 0.5


class Sharpener(nn.Module):
    """G_k: an enlarged picture and a plane of noise to what the picture lacks, by four 3x3 convolutions; a class enters
    as a bias of each channel."""

    def __init__(self, channels: int, width: int, told: DataSpec) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + 1, width, 3, padding=1)
        self.labels = Labels(told, width)
        self.middle = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, blurred: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
        h = self.first(torch.cat([blurred, noise.to(blurred.dtype)], 1))
        if label is not None:
            h = h + self.labels(label)[:, :, None, None].to(h.dtype)
        for layer in self.middle:
            h = layer(F.leaky_relu(h, 0.2))
        return self.last(F.leaky_relu(h, 0.2)).float()


class LAPGAN(Model, CanSample, CanDecode):
    """One game for each level of a pyramid. A latent is the smallest picture's noise; planes of noise are drawn anew by
    `sample`, and always the same in `decode`."""

    Config = LAPGANConfig
    citation = """@inproceedings{denton2015deep,
  title={Deep Generative Image Models using a {Laplacian} Pyramid of Adversarial Networks},
  author={Denton, Emily and Chintala, Soumith and Szlam, Arthur and Fergus, Rob},
  booktitle={Advances in Neural Information Processing Systems},
  year={2015}
}"""
    monitor = "sliced-wasserstein"
    config: LAPGANConfig

    def __init__(self, config: LAPGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "lapgan")
        self.shape, self.range = field.shape, field.range
        channels, height, width = field.shape
        self.stride = 2**config.levels
        smallest = padded(height, self.stride) // self.stride, padded(width, self.stride) // self.stride
        if min(smallest) < 4:
            raise BadValue(
                f"lapgan: {config.levels} levels make pictures of {height}x{width} smaller than 4 pixels a side: take "
                "fewer --config.levels, or a larger --data.size"
            )
        told = spec if config.conditional else {}
        self.classes = Labels(told, config.embedding)
        self.listens_to = self.classes.fields
        into = config.latent + (config.embedding if self.classes.name else 0)
        self.base = Decoder(into, (channels, *smallest), width=config.width, blocks=1, count=2)
        sizes = [(smallest[0] << (config.levels - k), smallest[1] << (config.levels - k)) for k in range(config.levels)]
        self.sharpeners = nn.ModuleList(Sharpener(channels, config.width, told) for _ in sizes)  # from the largest down
        shapes = [*((2 * channels, *size) for size in sizes), (channels, *smallest)]
        self.judges = nn.ModuleList(Judge(shape, config.features, config.width, told) for shape in shapes)
        for k, size in enumerate(sizes):  # what `decode` uses: the same latents, the same items
            self.register_buffer(f"noise_{k}", torch.randn(1, 1, *size))

    def players(self) -> tuple[Player, ...]:
        told = ("classes.*",) if self.classes.name else ()
        c, last = self.config, self.config.levels
        forgers = [(f"sharpeners.{k}.*",) for k in range(last)] + [("base.*", *told)]
        return tuple(
            player
            for k, mine in enumerate(forgers)
            for player in (
                Player(f"discriminator{k}", (f"judges.{k}.*",), c.discriminator),
                Player(f"generator{k}", mine, c.generator),
            )
        )

    def phases(self) -> tuple[Phase, ...]:
        """D and G of each level, from the smallest picture up; all in a step see the same items."""
        return tuple(
            Phase(f"{who}{k}", f"{who}{k}", batch="same", second_order=who == "discriminator" and self.config.r1 > 0)
            for k in reversed(range(self.config.levels + 1))
            for who in ("discriminator", "generator")
        )

    # -- the games --------------------------------------------------------------------------------------------------

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn of one level; see the module's first lines."""
        who, k = phase.name[:-1], int(phase.name[-1])
        label, judge = self.classes.of(batch), self.judges[k]
        x = pad(batch[self.item], self.stride)
        real, blurred = self.at(x, k)
        n = len(x)
        if blurred is not None:  # half of them not quite real, as the levels below will make them
            noisy = (step.rand(n) < 0.5).to(x.dtype)[:, None, None, None]
            blurred = blurred + self.config.blur_noise * noisy * step.randn(*blurred.shape)
            noise = step.randn(n, 1, *blurred.shape[2:])
        else:
            noise = step.randn(n, self.config.latent)
        if who == "generator":
            return Loss(bce_generator(judge(self.forged(k, noise, blurred, label), label)))
        with torch.no_grad():
            fake = self.forged(k, noise, blurred, label)
        seen = (real if blurred is None else torch.cat([real, blurred], 1)).detach().requires_grad_(self.config.r1 > 0)
        on_real, on_fake = judge(seen, label), judge(fake, label)
        total = bce_discriminator(on_real, on_fake)
        parts = verdicts(on_real, on_fake)
        if self.config.r1 > 0:
            steepness = squared_gradient(on_real, seen).mean()
            total, parts["r1"] = total + self.config.r1 / 2 * steepness, steepness.detach()
        counted = label is not None and k == self.config.levels
        return Loss(total, parts, memo={"label": label} if counted and label is not None else {})

    def at(self, x: Tensor, k: int) -> tuple[Tensor, Tensor | None]:
        """I_k of real pictures, and the enlarged I_k+1; None for the smallest."""
        parts = pyramid(x, min(k + 1, self.config.levels))
        if k == self.config.levels:
            return parts[-1], None
        blurred = larger(parts[-1])
        return blurred + parts[-2], blurred

    def forged(self, k: int, noise: Tensor, blurred: Tensor | None, label: Tensor | None) -> Tensor:
        """What D_k sees of level k's forgeries: the picture, and beside it what it was made from."""
        if blurred is None:
            return self.smallest(self.classes.beside(noise, label))
        return torch.cat([blurred + self.sharpeners[k](blurred, noise, label), blurred], 1)

    def smallest(self, latent: Tensor) -> Tensor:
        return outward(torch.tanh(self.base(latent).float()), self.range)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if "label" in memo:
            self.classes.count(memo["label"])

    # -- afterwards -------------------------------------------------------------------------------------------------

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.latents(n, None, options, generator)[0]

    def latents(
        self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """n latents of the smallest picture, noise beside the embedded class, and the classes."""
        label = self.classes.draw(n, told, generator)
        z = torch.randn(n, self.config.latent, generator=generator, device=self.get_buffer("noise_0").device)
        return self.classes.beside(z * options.temperature, label), label

    def parts(self, latent: Tensor, label: Tensor | None, noise: list[Tensor]) -> list[Tensor]:
        """The pyramid of generated pictures, [h_0, ..., I_levels], from the smallest up (their equation 4)."""
        x = self.smallest(latent)
        made = [x]
        for k in reversed(range(self.config.levels)):
            blurred = larger(x)
            h = self.sharpeners[k](blurred, noise[k].expand(len(x), -1, -1, -1), label)
            made.insert(0, h)
            x = blurred + h
        return made

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        label = self.classes.of(condition)
        if self.classes.name and label is None:  # the class whose embedding stands in the latent
            label = self.classes.nearest(latent[:, self.config.latent :])
        elif label is not None:
            latent = self.classes.beside(latent[:, : self.config.latent], label)
        noise = [self.get_buffer(f"noise_{k}") for k in range(self.config.levels)]
        return {self.item: self.whole(self.parts(latent, label, noise))}

    def whole(self, parts: list[Tensor]) -> Tensor:
        """The items of generated pyramids, in the data's size and range."""
        return crop(collapse(parts), *self.shape[1:]).clamp(*self.range)

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        latent, label = self.latents(n, condition, options, generator)
        buffers = [self.get_buffer(f"noise_{k}") for k in range(self.config.levels)]
        noise = [torch.randn(n, *b.shape[1:], generator=generator, device=b.device) for b in buffers]
        parts = self.parts(latent, label, noise)
        if callback is not None:  # one network after another, from the smallest picture up
            for i in range(len(parts)):
                x = collapse(
                    [*(torch.zeros_like(h) for h in parts[: len(parts) - 1 - i]), *parts[len(parts) - 1 - i :]]
                )
                callback({"i": i + 1, "of": len(parts), "x": crop(x, *self.shape[1:]).clamp(*self.range)})
        return {self.item: self.whole(parts)}
