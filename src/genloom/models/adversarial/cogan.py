"""CoGAN: pictures of two domains made together, learnt from each domain alone (Liu and Tuzel 2016).

Two generators turn one noise z into a pair; two discriminators judge one domain each. Nobody shows them pairs: what
ties the two together is that the generators share the layers that decide what is shown, their first ones, and the
discriminators the layers that see what is shown, their last ones (section 3.2). Each domain plays its own game:

    D_i  minimises  loss_D(D_i(x_i), D_i(G_i(z))) + r1/2 |grad D_i(x_i)|^2,   summed over i = 1, 2     (equation 4)
    G_i  minimises  loss_G(D_i(G_i(z)))

Where one domain has labels, a layer of classes on the shared features of its discriminator learns them along; the same
layer on the other domain's features then tells classes that nobody labelled there (section 4, "unsupervised domain
adaptation").

What differs from the paper: R1 instead of batch normalisation; the classes' loss is part of the discriminators' turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import (
    Batch,
    CanClassify,
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
    the_domains,
)
from genloom.errors import BadData, BadValue
from genloom.nets.conv import halvings
from genloom.nets.scale import inward, outward
from genloom.nets.twins import TwinDecoder, TwinFeatures
from genloom.objectives.adversarial import DUELS
from genloom.objectives.regularisers import squared_gradient

ADAM = Optimizer("adam", lr=5e-4, betas=(0.5, 0.99), clip=0.0, warmup=0.0, decay="linear", final=0.1)


@dataclass(frozen=True)
class CoGANConfig:
    """latent: dimensions of the noise z.
    width: channels of the networks at half the picture's size, doubled at every further halving up to four times.
    features: size of the discriminators' last shared layer.
    own: how many stages next to the pictures each domain has for itself; all others are shared.
    loss: of both games.
    r1: weight of the penalty on the discriminators' gradients at real pictures.
    classes: weight of the classes' loss, where one domain has labels; 0 leaves classes out.
    generator, discriminator: how both generators and both discriminators learn.
    """

    latent: int = 64
    width: int = 32
    features: int = 128
    own: int = 1
    loss: Literal["non-saturating", "least-squares", "hinge"] = "non-saturating"
    r1: float = 1.0
    classes: float = 1.0
    generator: Optimizer = field(default=ADAM, metadata={"was": "generators"})
    discriminator: Optimizer = field(default=ADAM, metadata={"was": "discriminators"})

    def __post_init__(self) -> None:
        if self.own < 1 or min(self.r1, self.classes) < 0:
            raise BadValue("own is 1 or more; r1 and classes are 0 or more")


class CoGAN(Model, OnePass, CanClassify):
    """One noise -> shared layers -> a layer of each domain -> two pictures of one thing."""

    Config = CoGANConfig
    citation = """@inproceedings{liu2016coupled,
  title={Coupled Generative Adversarial Networks},
  author={Liu, Ming-Yu and Tuzel, Oncel},
  booktitle={Advances in Neural Information Processing Systems},
  year={2016},
  eprint={1606.07536}
}"""
    monitor = "sliced-wasserstein"

    def __init__(self, config: CoGANConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.domains = the_domains(spec, "cogan")
        shapes = [spec[name].shape for name in self.domains]
        if shapes[0][1:] != shapes[1][1:]:
            raise BadData("cogan needs both collections at one size: give --data.size")
        count = halvings(shapes[0][1], shapes[0][2], "cogan")
        if config.own >= count:
            raise BadValue(f"--config.own {config.own}: pictures of this size have {count} stages, one must be shared")
        self.generators = TwinDecoder(config.latent, shapes, width=config.width, count=count, own=config.own)
        self.discriminators = TwinFeatures(shapes, config.features, width=config.width, count=count, own=config.own)
        self.verdict = nn.Linear(config.features, 1)
        labelled = the_class(spec)
        self.labelled = labelled if labelled and config.classes and labelled[1].domain in self.domains else None
        if self.labelled:
            self.classes = nn.Linear(config.features, len(self.labelled[1].classes))

    def players(self) -> tuple[Player, ...]:
        judges = ("discriminators.*", "verdict.*", *(("classes.*",) if self.labelled else ()))
        return (
            Player("discriminators", judges, self.config.discriminator),
            Player("generators", ("generators.*",), self.config.generator),
        )

    def phases(self) -> tuple[Phase, ...]:
        c = self.config
        return (
            Phase("discriminators", "discriminators", second_order=c.r1 > 0),
            Phase("generators", "generators", batch="same"),
        )

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn of both sides; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        z = step.randn(len(batch[self.domains[0]]), c.latent)
        parts: dict[str, Tensor] = {}
        if phase.name == "generators":
            total = z.new_zeros(())
            for i, made in enumerate(self.generators(z)):
                logits = self.verdict(self.discriminators(i, made))[:, 0]
                total = total + duel.generator(logits[:0], logits)
            return Loss(total)
        with torch.no_grad():
            pairs = self.generators(z)
        total = z.new_zeros(())
        for i, (name, made) in enumerate(zip(self.domains, pairs, strict=True)):
            real = inward(batch[name], self.spec[name].range).detach().requires_grad_(c.r1 > 0)
            seen = self.discriminators(i, torch.cat([real, made]))
            on_real, on_made = self.verdict(seen)[:, 0].chunk(2)
            total = total + duel.discriminator(on_real, on_made)
            for key, value in duel.verdicts(on_real.detach(), on_made.detach()).items():
                parts[f"{key}_{name}"] = value
            if c.r1:
                total = total + c.r1 / 2 * squared_gradient(on_real, real).mean()
            if self.labelled and self.labelled[1].domain == name:
                told = F.cross_entropy(self.classes(seen[: len(real)]).float(), batch[self.labelled[0]])
                total, parts["classes"] = total + c.classes * told, told.detach()
        return Loss(total, parts)

    # -- afterwards -------------------------------------------------------------------------------------------------

    def classify(self, name: str, items: Tensor) -> Tensor:
        """Raises BadData where it was trained without labels."""
        if not self.labelled:
            raise BadData("this cogan was trained without labels, and tells no classes")
        seen = self.discriminators(self.domains.index(name), inward(items, self.spec[name].range))
        return self.classes(seen).float()

    def latents(self, n: int, told: Batch | None, options: Sampling, generator: torch.Generator) -> Tensor:
        z = torch.randn(n, self.config.latent, generator=generator, device=self.verdict.weight.device)
        return z * options.temperature

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        made = self.generators(latent)
        return {name: outward(x, self.spec[name].range) for name, x in zip(self.domains, made, strict=True)}
