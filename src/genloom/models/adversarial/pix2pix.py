"""pix2pix: one picture turned into another, learnt from pairs (Isola, Zhu, Zhou and Efros 2017).

A generator G is given a picture x and noise z and makes y^; a discriminator D sees x beside y or y^ and judges every
patch by itself. Their game (equations 1 and 4):

    D  minimises  -log D(x, y) - log(1 - D(x, y^)),  halved, as in their section 3.3
    G  minimises  adversarial * -log D(x, y^) + l1 * |y - y^|_1

The noise is dropout in G, in training and afterwards (section 3.1). `adversarial` 0 leaves D out: the same U-Net
learnt from L1 alone.

What differs from the paper: D's patches take the paper's share of any picture (70 of 256 pixels); G halves down to 4
pixels instead of 1, adds skips instead of concatenating them, and normalises over channels instead of batches, as D
does not at all: one item's result never depends on another. Rates are higher and fall, for runs of minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanSample,
    CanTranslate,
    DataSpec,
    Loss,
    Model,
    Optimizer,
    Phase,
    Player,
    Sampling,
    Step,
    the_pair,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadValue
from genloom.nets.condition import Conditioner
from genloom.nets.scale import inward, outward
from genloom.nets.translator import PatchCritic, Translator
from genloom.objectives.adversarial import DUELS

ADAM = Optimizer("adam", lr=1e-3, betas=(0.5, 0.99), clip=0.0, warmup=0.02, decay="linear", final=0.05)


@dataclass(frozen=True)
class Pix2PixConfig:
    """width: channels of the generator at half the picture's size, doubled at every further halving up to four times.
    blocks: residual blocks at each size, on the way down and again on the way up.
    noisy: how many stages of the way up are thinned by dropout, from the coarsest; 0 makes one answer to a picture.
    dropout: share of numbers that are dropped there.
    judge_width: channels of the discriminator at half size.
    loss: of the adversarial part: "non-saturating" (the paper's) or "least-squares".
    adversarial: weight of that part in the generator's loss; 0 leaves the discriminator out.
    l1: weight of the distance to the true picture.
    generator, discriminator: how each learns.
    """

    width: int = 32
    blocks: int = 1
    noisy: int = 2
    dropout: float = 0.5
    judge_width: int = 32
    loss: Literal["non-saturating", "least-squares"] = "non-saturating"
    adversarial: float = 1.0
    l1: float = 100.0
    generator: Optimizer = ADAM
    discriminator: Optimizer = ADAM

    def __post_init__(self) -> None:
        if self.adversarial < 0 or self.l1 < 0 or self.adversarial + self.l1 == 0:
            raise BadValue("adversarial and l1 are 0 or more, and not both 0")
        if not 0 <= self.dropout < 1 or self.noisy < 0:
            raise BadValue(f"dropout {self.dropout:g} lies in [0, 1) and noisy {self.noisy} is 0 or more")


class Pix2Pix(Model, CanSample, CanTranslate):
    """A given picture and dropout -> U-Net -> the other picture, judged in patches beside the given one."""

    Config = Pix2PixConfig
    citation = """@inproceedings{isola2017image,
  title={Image-to-Image Translation with Conditional Adversarial Networks},
  author={Isola, Phillip and Zhu, Jun-Yan and Zhou, Tinghui and Efros, Alexei A.},
  booktitle={IEEE Conference on Computer Vision and Pattern Recognition},
  year={2017},
  eprint={1611.07004}
}"""

    def __init__(self, config: Pix2PixConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.source, self.item = the_pair(spec, "pix2pix")
        self.listens_to = (self.source,)
        field = spec[self.item]
        channels, *size = field.shape
        # remembers pictures of training items, of which samples are made where nobody gives any
        self.told = Conditioner({self.source: spec[self.source], self.item: field}, 1)
        planes = spec[self.source].shape[0] + 1
        self.generator = Translator(planes, channels, tuple(size), width=config.width, blocks=config.blocks,
                                    noisy=config.noisy, dropout=config.dropout, who="pix2pix")  # fmt: skip
        if config.adversarial:
            self.discriminator = PatchCritic(planes + channels, tuple(size), width=config.judge_width)

    @property
    def tasks(self) -> tuple[str, ...]:
        return (f"{self.source}-to-{self.item}",)

    def players(self) -> tuple[Player, ...]:
        judges = (Player("discriminator", ("discriminator.*",), self.config.discriminator),)
        forger = Player("generator", ("generator.*",), self.config.generator)
        return (forger, *judges) if self.config.adversarial else (forger,)

    def phases(self) -> tuple[Phase, ...]:
        judges = (Phase("discriminator", "discriminator", batch="same"),)
        return (Phase("generator", "generator"), *(judges if self.config.adversarial else ()))

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """One turn; see the module's first lines."""
        c, duel = self.config, DUELS[self.config.loss]
        x, y = self.planes(batch[self.source]), inward(batch[self.item], self.spec[self.item].range)
        u = step.rand(len(x), self.generator.noise)
        if phase.name == "generator":
            made = self.generator(x, u)
            distance = (y - made).abs().mean()
            total, parts = c.l1 * distance, {"l1": distance.detach()}
            if c.adversarial:
                logits = self.discriminator(torch.cat([x, made], 1))
                game = duel.generator(logits[:0], logits)
                total, parts["game"] = total + c.adversarial * game, game.detach()  # eq. 4
            return Loss(total, parts, memo={self.source: batch[self.source]})
        with torch.no_grad():
            made = self.generator(x, u)
        judged = self.discriminator(torch.cat([torch.cat([x, x]), torch.cat([y, made])], 1))
        real, fake = judged.chunk(2)
        return Loss(duel.discriminator(real, fake) / 2, duel.verdicts(real.detach(), fake.detach()))

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        if phase.name == "generator":
            self.told.count(memo)

    # -- afterwards -------------------------------------------------------------------------------------------------

    def planes(self, given: Tensor) -> Tensor:
        """The given picture as the networks see it: (B, C + 1, H, W), the last channel 1 where it is known."""
        planes = self.told({self.source: given}).planes
        assert planes is not None
        return planes

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """The other form of given pictures; without any, of what the last training items gave."""
        given = self.told.draw(n, condition, generator)[self.source]
        u = torch.rand(n, self.generator.noise, generator=generator, device=given.device)
        out = {self.item: outward(self.generator(self.planes(given), u), self.spec[self.item].range)}
        if callback is not None:
            callback({"i": 1, "of": 1, "x": out[self.item]})
        return out

    def translate(
        self,
        given: Tensor,
        *,
        task: str,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
    ) -> Batch:
        return self.sample(len(given), condition={self.source: given}, options=options, generator=generator)
