"""A finished flow, tuned to draw in one, two or four evaluations: the mean velocity of its paths (Geng et al. 2025).

The teacher's v(x_t, t) says where a path leads at this moment; the student's u(x_t, t, r) says where it leads on
average between t and an earlier r: x_r = x_t - (t - r) u(x_t, t, r), exactly, in one evaluation. The two hang together
by the MeanFlow identity (the paper's equation 6), here with the guided teacher's velocity,

    u(x_t, t, r) = v(x_t, t) - (t - r) d/dt u(x_t, t, r),    d/dt along the path: dx_t/dt = v.

What differs from the paper:
- The student is a copy of a finished flow with its weights, to which the span t - r is told, and follows the teacher's
  guided velocity instead of single items' e - x: guidance becomes part of it and costs nothing when sampling.
- The derivative is a central difference along the path, of width 2 `reach`, instead of a product with the Jacobian:
  two evaluations without gradient, and no forward-mode differentiation, which compiled or fused networks lack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

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
)
from genloom.core.capabilities import Callback
from genloom.errors import BadData, BadValue
from genloom.models.diffusion.flow import Flow
from genloom.nets.unet import TimeEmbedding, zero
from genloom.objectives.diffusion import interpolate, logit_normal, match, stratify
from genloom.objectives.paths import seen
from genloom.objectives.predictions import to_velocity
from genloom.samplers.guidance import extrapolate


@dataclass(frozen=True)
class MeanFlowConfig:
    """guidance: strength of the teacher's classifier-free guidance that is learnt; 0 takes the teacher's own.
    inner: share of training spans that end before t = 0; the others lead to the item itself.
    reach: time to either side over which the derivative along the path is taken.
    time_mean, time_std: logit-normal density of the training times.
    power: how much less items count whose error is large: errors are divided by their own size to this power.
    steps: network evaluations of sampling.
    optimizer: how the student learns.
    """

    guidance: float = 0.0
    inner: float = 0.5
    reach: float = 0.05
    time_mean: float = 0.5
    time_std: float = 1.5
    power: float = 0.75
    steps: int = 2
    optimizer: Optimizer = Optimizer(lr=5e-4, warmup=0.02)


class MeanFlow(Model, CanSample, CanDecode):
    """Noise -> the item its path ends in, in one stride or a few."""

    Config = MeanFlowConfig
    uses = {"teacher": Flow}
    citation = """@inproceedings{geng2025mean,
  title={Mean Flows for One-step Generative Modeling},
  author={Geng, Zhengyang and Deng, Mingyang and Bai, Xingjian and Kolter, J. Zico and He, Kaiming},
  booktitle={Advances in Neural Information Processing Systems},
  year={2025},
  eprint={2505.13447}
}"""

    def __init__(self, config: MeanFlowConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.teacher = given["teacher"]
        teacher = cast(Flow, self.teacher)
        if dict(teacher.spec) != dict(spec):
            raise BadData(
                "the teacher was made for other items or other classes than this data set has: name the data it was "
                "trained on, with the same --data options"
            )
        if not 0 < config.reach < 0.5:
            raise BadValue(f"--config.reach {config.reach:g}: expected a time between 0 and 0.5, such as 0.05")
        self.flow = Flow(teacher.config, spec)
        self.flow.load_state_dict(teacher.state_dict())
        self.span = TimeEmbedding(teacher.config.embedding)
        zero(self.span.net[-1])  # the student begins as the teacher, whatever the span
        self.item, self.listens_to = self.flow.item, self.flow.listens_to
        self.guidance = config.guidance or teacher.config.guidance

    def players(self) -> tuple[Player, ...]:
        optimizer = self.config.optimizer
        skips = (*optimizer.muon_skips, "span.*", *(f"flow.{s}" for s in self.flow.config.optimizer.muon_skips))
        return (Player("student", ("flow.*", "span.*"), replace(optimizer, muon_skips=skips)),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("mean-flow", "student"),)

    def mean_velocity(
        self, x: Tensor, t_B: Tensor, r_B: Tensor, condition: Batch, drop_B: Tensor | None = None
    ) -> Tensor:
        """u(x_t, t, r): the mean velocity between t and r <= t, in the scale [-1, 1]. drop_B: who is told nothing."""
        c = self.flow.config
        at_B = t_B.clamp(self.flow.bottom, self.flow.top)
        shown, time_B = seen(c.path, x, at_B, c.data_std)
        told, span = self.flow.conditioner(condition, drop_B), self.span(t_B - r_B)
        told = replace(told, vector=span if told.vector is None else told.vector + span)
        return to_velocity(c.prediction, self.flow.net(shown, time_B, told).float(), x, at_B, c.data_std)

    def _velocity(self, x: Tensor, t_B: Tensor, condition: Batch, drop_B: Tensor) -> Tensor:
        """The teacher's guided velocity at times that differ from item to item; for those told nothing, without."""
        teacher, fields = cast(Flow, self.teacher), self.flow.conditioner.fields
        told = {k: condition[k] for k in fields}
        if not fields or self.guidance == 1.0:
            return teacher.velocity(x, t_B, told, drop_B)
        drop = torch.cat([drop_B, torch.ones_like(drop_B)])
        twice = {k: torch.cat([v, v]) for k, v in told.items()}
        v, weak = teacher.velocity(torch.cat([x, x]), torch.cat([t_B, t_B]), twice, drop).chunk(2)
        return extrapolate(v, weak, self.guidance)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """|u - (v - (t - r) du/dt)|^2 of each item, the right side without gradient, divided by its own size to a power
        (the paper's section 4.3)."""
        c = self.config
        x = self.flow.inward(batch[self.item])
        t_B = logit_normal(stratify(step.rand(len(x)), step.rows), c.time_mean, c.time_std).clamp(max=self.flow.top)
        ends_B = t_B * step.rand(len(x))
        r_B = torch.where(step.rand(len(x)) < c.inner, ends_B, torch.zeros_like(t_B))
        noise = step.randn(*x.shape)
        drop_B = step.rand(len(x)) < (self.flow.config.drop_labels if self.training else 0.0)
        x_t = interpolate(x, noise, t_B)
        with torch.no_grad():
            v = self._velocity(x_t, t_B, batch, drop_B)
            later, sooner = (t_B + c.reach).clamp(max=self.flow.top), torch.maximum(t_B - c.reach, r_B)
            u_later, u_sooner = (
                self.mean_velocity(x_t + match(s_B - t_B, x) * v, s_B, r_B, batch, drop_B) for s_B in (later, sooner)
            )
            slope = (u_later - u_sooner) / match((later - sooner).clamp_min(1e-4), x)
            target = v - match(t_B - r_B, x) * slope
        error_B = (self.mean_velocity(x_t, t_B, r_B, batch, drop_B) - target).square().flatten(1).mean(1)
        total = (error_B / (error_B.detach() + 1e-3) ** c.power).mean()
        told = {k: batch[k] for k in self.flow.conditioner.fields}
        return Loss(total, {"squared_error": error_B.detach().mean()}, memo=told)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.flow.conditioner.count(memo)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.flow.prior(n, options=options, generator=generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items of this noise; without a condition, those of no class in particular."""
        told = {**self.flow.conditioner.null(len(latent), latent.device), **(condition or {})}
        return {self.item: self._stride(latent, told, self.config.steps, None)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """Strides of even length from noise to item, one evaluation each. Raises BadValue where another guidance is
        asked for than was learnt."""
        if options.guidance not in (None, self.guidance):
            raise BadValue(
                f"this model was trained to draw with guidance {self.guidance:g}, got {options.guidance:g}: leave "
                "--guidance out, or train again with --config.guidance"
            )
        told = self.flow.conditioner.draw(n, condition, generator)
        noise = self.prior(n, options=options, generator=generator)
        steps = self.config.steps if options.steps is None else options.steps
        return {self.item: self._stride(noise, told, steps, callback), **told}

    @torch.no_grad()
    def _stride(self, noise: Tensor, condition: Batch, steps: int, callback: Callback | None) -> Tensor:
        """x_r = x_t - (t - r) u, from noise to t = 0; the item in the spec's range."""
        if steps < 1:
            raise BadValue(f"sampling takes at least 1 step, got {steps}: set steps to a positive number")
        if len(noise) == 0:
            return noise
        top = self.flow.top  # a path may end before t = 1, where a little of the data is left
        x = noise * math.hypot((1 - top) * self.flow.config.data_std, top)
        times = [top * (1 - i / steps) for i in range(steps + 1)]
        for i, (t, r) in enumerate(pairwise(times)):
            u = self.mean_velocity(x, x.new_full((len(x),), t), x.new_full((len(x),), r), condition)
            if callback is not None:
                expected = {"x": self.flow.outward(x - t * u), "state": self.flow.outward(x)}
                callback({"i": i + 1, "of": steps, **expected})
            x = x - (t - r) * u
        return self.flow.outward(x)
