"""DCGAN: deep convolutional GANs with the guidelines that made them train (Radford, Metz and Chintala 2016).

    D  minimises  -log D(x) - log(1 - D(G(z)))
    G  minimises  -log D(G(z))

All guidelines of section 3 hold: strided and fractionally strided convolutions in the place of pooling, batch norm in
both networks save at D's input and G's output, no hidden fully connected layers, ReLU and tanh in G, LeakyReLU in D. So
do the details of section 4: z of 100 uniform numbers, weights from N(0, 0.02), Adam at 2e-4 with beta1 = 0.5, constant.

What differs: sizes other than 64 pixels; fewer channels, for a CPU (`width` 128 is the paper's); D's sigmoid is taken
inside the loss. Samples are normalised by G's running statistics, which `finish` takes anew for averaged weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
from genloom.nets.dcgan import Discriminator, Generator, stages
from genloom.nets.scale import inward, outward
from genloom.objectives.adversarial import bce_discriminator, bce_generator, verdicts

ADAM = Optimizer("adam", lr=2e-4, betas=(0.5, 0.999), clip=0.0, warmup=0.0, decay="constant", final=1.0)
STANDING = 16, 128  # batches and items a batch that `finish` takes statistics of


@dataclass(frozen=True)
class DCGANConfig:
    """latent: dimensions of the noise z, which is uniform between -1 and 1.
    width: channels at half the image's size, twice as many at each smaller size, up to eight times; the paper's is 128.
    generator, discriminator: how each learns.
    """

    latent: int = 100
    width: int = 32
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM


class DCGAN(Model, OnePass):
    """Two players with batch-normalised convolutional networks."""

    Config = DCGANConfig
    citation = """@inproceedings{radford2016unsupervised,
  title={Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks},
  author={Radford, Alec and Metz, Luke and Chintala, Soumith},
  booktitle={International Conference on Learning Representations},
  year={2016},
  eprint={1511.06434}
}"""
    monitor = "sliced-wasserstein"

    def __init__(self, config: DCGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "dcgan")
        self.range = field.range
        count = stages(field.shape[1], field.shape[2], "dcgan")
        self.generator = Generator(config.latent, field.shape, config.width, count)
        self.discriminator = Discriminator(field.shape, config.width, count)

    def players(self) -> tuple[Player, ...]:
        return (
            Player("discriminator", ("discriminator.*",), self.config.discriminator),
            Player("generator", ("generator.*",), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        return Phase("discriminator", "discriminator"), Phase("generator", "generator", batch="same")

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines. Real and generated images are judged as batches of their own."""
        x = inward(batch[self.item], self.range)
        z = 2 * step.rand(len(x), self.config.latent) - 1
        if phase.name == "generator":
            seen: dict[str, Tensor] = {}
            fake = self.generator(z, step, seen)
            return Loss(bce_generator(self.discriminator(fake, step)), memo=seen)
        with torch.no_grad():
            fake = self.generator(z, step)
        on_real, on_fake = self.discriminator(x, step), self.discriminator(fake, step)
        return Loss(bce_discriminator(on_real, on_fake), verdicts(on_real, on_fake))

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.generator.update(memo)

    def finish(self, batches: Iterable[Batch], step: Step) -> None:
        """The statistics of G as its weights are now, after averaging (standing statistics, Brock et al. 2019)."""
        count, size = STANDING
        for i in range(count):
            z = 2 * torch.rand(size, self.config.latent, generator=step.generator, device=step.device) - 1
            alone = Step(seed=0, rows=(0, size, size), device=step.device)
            seen: dict[str, Tensor] = {}
            self.generator(z, alone, seen)
            self.generator.update(seen, share=1 / (i + 1))

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        z = torch.rand(n, self.config.latent, generator=generator, device=next(self.parameters()).device)
        return (2 * z - 1) * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        return {self.item: outward(self.generator(latent), self.range)}
