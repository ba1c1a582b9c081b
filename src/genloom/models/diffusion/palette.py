"""Palette: a flow that is told a degraded picture and learns the whole one (Saharia et al. 2022).

The paper trains one diffusion model a task, image to image, with the given picture beside the noise as further input
channels; here the flow of `flow.py` is told it as planes. What is given is made from the item at every draw: holes at
random places, means over squares, the mean of the channels, noise; of a sound or a clip its beginning
(`samplers/restore.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanDecode,
    CanSample,
    CanTranslate,
    DataSpec,
    Field,
    Loss,
    Model,
    Phase,
    Player,
    Sampling,
    Step,
    the_item,
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.samplers.restore import TIME, beginning, degrade, random_holes

GIVEN = "given"


@dataclass(frozen=True)
class PaletteConfig:
    """A flow told a degraded picture.

    task: what is given. "inpaint" (parts of it; outpainting is learnt with it), "super-resolution", "colour" or
    "denoise"; of sounds and clips "continue" (the beginning, of any length from an eighth to seven).
    factor: by how much super-resolution enlarges each side; sigma: deviation of the noise that "denoise" takes away,
    in the scale [-1, 1].
    flow: the flow.
    """

    task: Literal["inpaint", "super-resolution", "colour", "denoise", "continue"] = "inpaint"
    factor: int = 4
    sigma: float = 0.4
    flow: FlowConfig = field(default_factory=FlowConfig)


class Palette(Model, CanSample, CanDecode, CanTranslate):
    """Noise and a degraded picture -> flow -> a whole one, by class where there are classes."""

    Config = PaletteConfig
    iterative = True
    citation = """@inproceedings{saharia2022palette,
  title={Palette: Image-to-Image Diffusion Models},
  author={Saharia, Chitwan and Chan, William and Chang, Huiwen and Lee, Chris and Ho, Jonathan and Salimans, Tim and
          Fleet, David and Norouzi, Mohammad},
  booktitle={ACM SIGGRAPH Conference Proceedings},
  year={2022},
  eprint={2111.05826}
}"""

    def __init__(self, config: PaletteConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        continues = config.task == "continue"
        self.item, item = the_item(spec, tuple(TIME) if continues else "image", f"palette for {config.task}")
        self.modality = item.modality
        channels, *sides = item.shape
        height, width = sides[-2:] if len(sides) > 1 else (1, sides[-1])
        if config.task == "colour" and channels < 2:
            raise BadData("colour needs pictures with colour, and these are grey: choose another --config.task")
        if config.task == "super-resolution" and (height % config.factor or width % config.factor):
            raise BadData(f"--config.factor {config.factor} does not divide {height}x{width}: choose another")
        if config.task == "super-resolution":
            sides = [height // config.factor, width // config.factor]
        shape = ({"colour": 1, "inpaint": channels + 1, "continue": channels + 1}.get(config.task, channels), *sides)
        self.flow = Flow(config.flow, {**spec, GIVEN: Field(item.modality, shape, item.range, role="condition")})
        self.listens_to = tuple(name for name in self.flow.listens_to if name in spec)

    @property
    def tasks(self) -> tuple[str, ...]:
        return ("inpaint", "outpaint") if self.config.task == "inpaint" else (self.config.task,)

    def players(self) -> tuple[Player, ...]:
        return tuple(player.inside("flow") for player in self.flow.players())

    def phases(self) -> tuple[Phase, ...]:
        return self.flow.phases()

    def told(self, given: Tensor) -> Tensor:
        """What the network sees of `given`: where parts are unknown, zeros there and a further channel that says so."""
        if self.config.task not in ("inpaint", "continue"):
            return given
        known = given.isfinite().all(1, keepdim=True)
        return torch.cat([given.masked_fill(~known, 0.0), known.to(given.dtype)], 1)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The flow's loss, told what the task gives of each item."""
        c, x = self.config, self.flow.inward(batch[self.item])
        if c.task == "continue":
            length = x.shape[TIME[self.modality]]
            keep = (length * (0.125 + 0.75 * step.rand(len(x)))).round()
            return self.flow.loss(phase, {**batch, GIVEN: self.told(beginning(x, keep, self.modality))}, step)
        holes = random_holes(len(x), tuple(x.shape), step.rand(len(x), 4)) if c.task == "inpaint" else None
        noise = step.randn(*x.shape) if c.task == "denoise" else None
        told = degrade(x, c.task, mask=holes, factor=c.factor, sigma=c.sigma, noise=noise)
        return self.flow.loss(phase, {**batch, GIVEN: self.told(told)}, step)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.flow.after_phase(phase, memo, step)

    def translate(
        self,
        given: Tensor,
        *,
        task: str,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
    ) -> Batch:
        told = {**(condition or {}), GIVEN: self.told(given)}
        return {self.item: self.sample(len(given), condition=told, options=options, generator=generator)[self.item]}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """Whole items; without the condition "given", of what the last training items gave."""
        drawn = self.flow.sample(n, condition=condition, options=options, generator=generator, callback=callback)
        return {k: v for k, v in drawn.items() if k != GIVEN}

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.flow.prior(n, options=options, generator=generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items that this noise flows to; without a condition, told nothing."""
        if condition is not None and GIVEN not in condition:
            told = self.flow.conditioner.null(len(latent), latent.device)[GIVEN]
            condition = {**condition, GIVEN: told}
        return {self.item: self.flow.decode(latent, condition=condition)[self.item]}
