"""Flow matching on the codes of a finished autoencoder: latent diffusion (Rombach et al. 2022) with `flow` inside.

A composition: the autoencoder, given and frozen, turns items into small maps; each channel of these is brought to mean
0 and deviation 1 by the statistics the autoencoder recorded; a Flow learns them as if they were pictures without
bounds; the decoder turns what the flow draws into items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from genloom.core import (
    Batch,
    CanCompress,
    CanDecode,
    CanSample,
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

LATENT = "latent"
"""The field that `condense` puts in the place of items."""


@dataclass(frozen=True)
class LatentFlowConfig:
    """flow: the flow on the latents; its data have deviation 1 at every place."""

    flow: FlowConfig = FlowConfig(widths=(64, 128), blocks=(1, 3), stem=1, data_std=1.0)


class LatentFlow(Model, CanSample, CanDecode):
    """Noise -> flow -> latents -> the given autoencoder's decoder -> items, by class where there are classes."""

    Config = LatentFlowConfig
    uses = {"autoencoder": CanCompress}
    citation = """@inproceedings{rombach2022high,
  title={High-Resolution Image Synthesis with Latent Diffusion Models},
  author={Rombach, Robin and Blattmann, Andreas and Lorenz, Dominik and Esser, Patrick and Ommer, Bj{\\"o}rn},
  booktitle={IEEE/CVF Conference on Computer Vision and Pattern Recognition},
  year={2022},
  eprint={2112.10752}
}"""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: LatentFlowConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, "image", "latent-flow")
        self.autoencoder = given["autoencoder"]
        codec = self.codec
        name, theirs = the_item(self.autoencoder.spec, "image", "the autoencoder")
        if (name, theirs.shape, theirs.range) != (self.item, field.shape, field.range):
            raise BadData(
                f"the autoencoder was made for {name} of shape {theirs.shape}, this data set has {self.item} of shape "
                f"{field.shape}: choose data of its shape (--data.size, --data.channels), or another autoencoder"
            )
        mean, deviation = codec.latent_scale()
        self.register_buffer("mean", mean.clone()[:, None, None])
        self.register_buffer("deviation", deviation.clone()[:, None, None])
        unbounded = Field("image", codec.latent_shape, range=(-float("inf"), float("inf")))
        self.flow = Flow(config.flow, {**spec, self.item: unbounded})
        self.listens_to = self.flow.listens_to

    @property
    def codec(self) -> CanCompress:
        """The autoencoder, as what it is here for."""
        return cast(CanCompress, self.autoencoder)

    def players(self) -> tuple[Player, ...]:
        return tuple(player.inside("flow") for player in self.flow.players())

    def phases(self) -> tuple[Phase, ...]:
        return self.flow.phases()

    @torch.no_grad()
    def condense(self, batch: Batch) -> Batch:
        """Latents of mean 0 and deviation 1 in the place of items; conditions stay."""
        latent = (self.codec.compress(batch).float() - self.mean) / self.deviation
        return {**{k: v for k, v in batch.items() if k != self.item}, LATENT: latent}

    def _inside(self, batch: Batch) -> Batch:
        """A batch as the flow knows it: its item is a latent."""
        known = batch if LATENT in batch else self.condense(batch)
        return {**{k: v for k, v in known.items() if k != LATENT}, self.item: known[LATENT]}

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """The flow's loss on the latents, in units of their deviation."""
        return self.flow.loss(phase, self._inside(batch), step)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.flow.after_phase(phase, memo, step)

    def _expanded(self, drawn: Batch) -> Batch:
        """What the flow drew, with items in the place of latents."""
        latent = drawn[self.item] * self.deviation + self.mean
        return {**drawn, **self.codec.expand(latent)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        def shown(seen: dict[str, object]) -> None:
            assert callback is not None
            pictures = {k: self._expanded({self.item: v})[self.item] for k, v in seen.items() if isinstance(v, Tensor)}
            callback({**seen, **pictures})

        watch = None if callback is None else shown
        return self._expanded(
            self.flow.sample(n, condition=condition, options=options, generator=generator, callback=watch)
        )

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.flow.prior(n, options=options, generator=generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items that this noise flows to."""
        return self._expanded(self.flow.decode(latent, condition=condition))
