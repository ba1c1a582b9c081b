"""A finished flow, tuned to draw in one, two or four evaluations: consistency tuning (Geng et al. 2024) of a guided
teacher (consistency distillation: Song et al. 2023).

The student f(x_t, t) is to name, from anywhere on a path of the teacher's flow, the item the path ends in. Neighbours
on a path must agree: f(x_t, t) is drawn to f(x_r, r), where one step of the guided teacher leads from (x_t, t) to
(x_r, r). At the start of a run r lies far from t, at its end near it.

f(x, t) = x - t v(x, t) with v a copy of the teacher's network and weights: at t = 0 it is the item itself, as it must
be, and at the start of the run it is the teacher's own guess of the item. What differs from Geng et al.: neighbours
come from the guided teacher instead of from the data alone, so that guidance is part of the student and costs nothing
when sampling ("follow" = "data" is theirs); time is the flow's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, cast

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
from genloom.objectives.diffusion import data_from_velocity, interpolate, logit_normal, match, stratify
from genloom.samplers.guidance import extrapolate

TIMES = {1: (1.0,), 2: (1.0, 0.7), 3: (1.0, 0.8, 0.5), 4: (1.0, 0.85, 0.65, 0.4)}
"""At which times the item is guessed, by the number of evaluations."""


@dataclass(frozen=True)
class ConsistencyConfig:
    """follow: "teacher" steps along the teacher's guided velocity; "data" along the straight path to a training item,
    without guidance.
    guidance: strength of the teacher's classifier-free guidance that is learnt; 0 takes the teacher's own.
    gap, gap_end: how far apart neighbours lie, as a share of t, at the start and at the end of the run.
    time_mean, time_std: logit-normal density of the training times.
    steps: network evaluations of sampling.
    optimizer: how the student learns.
    """

    follow: Literal["teacher", "data"] = "teacher"
    guidance: float = 0.0
    gap: float = 0.5
    gap_end: float = 0.0625
    time_mean: float = 0.5
    time_std: float = 1.5
    steps: int = 2
    optimizer: Optimizer = Optimizer(lr=5e-4, warmup=0.02)


class Consistency(Model, CanSample, CanDecode):
    """Noise -> the item its path ends in, at once; more evaluations renew the noise and guess again."""

    Config = ConsistencyConfig
    uses = {"teacher": Flow}
    citation = """@inproceedings{geng2025consistency,
  title={Consistency Models Made Easy},
  author={Geng, Zhengyang and Pokle, Ashwini and Luo, William and Lin, Justin and Kolter, J. Zico},
  booktitle={International Conference on Learning Representations},
  year={2025},
  eprint={2406.14548}
}"""

    def __init__(self, config: ConsistencyConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        if not 0 < config.gap_end <= config.gap < 1:
            raise BadValue(
                f"--config.gap {config.gap:g} and gap_end {config.gap_end:g}: expected 0 < gap_end <= gap < 1"
            )
        self.teacher = given["teacher"]
        teacher = cast(Flow, self.teacher)
        if dict(teacher.spec) != dict(spec):
            raise BadData(
                "the teacher was made for other items or other classes than this data set has: name the data it was "
                "trained on, with the same --data options"
            )
        self.flow = Flow(teacher.config, spec)
        self.flow.load_state_dict(teacher.state_dict())
        self.item = self.flow.item
        self.guidance = config.guidance or (teacher.config.guidance if config.follow == "teacher" else 1.0)

    def players(self) -> tuple[Player, ...]:
        optimizer = self.config.optimizer
        skips = tuple(f"flow.{s}" for s in self.flow.config.optimizer.muon_skips)
        return (Player("student", ("flow.*",), replace(optimizer, muon_skips=(*optimizer.muon_skips, *skips))),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("consistency", "student"),)

    def guess(self, x: Tensor, t_B: Tensor, condition: Batch, drop_B: Tensor | None = None) -> Tensor:
        """f(x_t, t): the item, in the scale [-1, 1]. drop_B: who is told nothing."""
        return data_from_velocity(x, self.flow.velocity(x, t_B, condition, drop_B), t_B)

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
        """The pseudo-Huber distance of neighbours' guesses, over their distance in time (Geng et al., section 3;
        Song and Dhariwal 2023, arXiv:2310.14189, section 3.3). In evaluation mode the gap is that of the end, so that
        losses of different moments can be compared."""
        c = self.config
        x = self.flow.inward(batch[self.item])
        t_B = logit_normal(stratify(step.rand(len(x)), step.rows), c.time_mean, c.time_std).clamp(max=self.flow.top)
        noise = step.randn(*x.shape)
        drop_B = step.rand(len(x)) < (self.flow.config.drop_labels if self.training else 0.0)
        share = c.gap * (c.gap_end / c.gap) ** (step.progress if self.training else 1.0)
        r_B = t_B * (1 - share)
        x_t = interpolate(x, noise, t_B)
        with torch.no_grad():
            v = self._velocity(x_t, t_B, batch, drop_B) if c.follow == "teacher" else noise - x
            x_r = x_t + match(r_B - t_B, x) * v
            target = self.guess(x_r, r_B, batch, drop_B)
        gap = (self.guess(x_t, t_B, batch, drop_B) - target).square().flatten(1).sum(1)
        size = 0.03 * math.sqrt(x[0].numel())
        distance_B = ((gap + size**2).sqrt() - size) / size
        total = (distance_B / share).mean()
        told = {k: batch[k] for k in self.flow.conditioner.fields}
        return Loss(total, {"gap": total.new_tensor(share)}, memo=told)

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.flow.conditioner.count(memo)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        return self.flow.prior(n, options=options, generator=generator)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items of this noise, in one evaluation; without a condition, those of no class in particular."""
        told = condition or self.flow.conditioner.null(len(latent), latent.device)
        return {self.item: self._guesses(latent, told, (1.0,), None, None)}

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        """Multistep consistency sampling (Song et al. 2023, arXiv:2303.01469, algorithm 1). Raises BadValue where
        another guidance is asked for than was learnt."""
        if options.guidance not in (None, self.guidance):
            raise BadValue(
                f"this model was trained to draw with guidance {self.guidance:g}, got {options.guidance:g}: leave "
                "--guidance out, or train again with --config.guidance"
            )
        told = self.flow.conditioner.draw(n, condition, generator)
        noise = self.prior(n, options=options, generator=generator)
        times = times_of(self.config.steps if options.steps is None else options.steps)
        return {self.item: self._guesses(noise, told, times, generator, callback), **told}

    @torch.no_grad()
    def _guesses(
        self,
        noise: Tensor,
        condition: Batch,
        times: tuple[float, ...],
        generator: torch.Generator | None,
        callback: Callback | None,
    ) -> Tensor:
        """The item guessed at each time, each guess noised again for the next; in the spec's range."""
        if len(noise) == 0:
            return noise
        first = min(times[0], self.flow.top)  # a path may end before t = 1, where a little of the data is left
        state, x = noise * math.hypot((1 - first) * self.flow.config.data_std, first), noise
        for i, t in enumerate([first, *times[1:]]):
            if i:
                again = torch.randn(noise.shape, generator=generator, device=noise.device)
                state = (1 - t) * x + t * again
            x = self.guess(state, state.new_full((len(state),), t), condition).clamp(-1, 1)
            if callback is not None:
                shown = {"x": self.flow.outward(x), "state": self.flow.outward(state)}
                callback({"i": i + 1, "of": len(times), **shown})
        return self.flow.outward(x)


def times_of(steps: int) -> tuple[float, ...]:
    """At which times the item is guessed, for this many evaluations. Raises BadValue for fewer than one."""
    if steps < 1:
        raise BadValue(f"sampling takes at least 1 step, got {steps}: set steps to a positive number")
    return TIMES.get(steps) or tuple(1 - (i / steps) ** 1.2 * 0.9 for i in range(steps))
