"""Flow matching (Lipman et al. 2023): a network learns the velocity that carries noise to data.

The paper's optimal-transport path with sigma_min = 0 (its equations 20-23; rectified flow's path), written here with
t = 0 for data and t = 1 for noise. What differs from the paper:
- The network sees the velocity's best linear guess added to its output (EDM's preconditioning for velocities).
- Times are logit-normal for most of the run and uniform at the end, spread evenly over each batch.
- Labels, where the data has them, are dropped for a tenth of the items, and sampling extrapolates from the unlabelled
  to the labelled velocity (classifier-free guidance, arXiv:2207.12598).
- Muon moves the convolutions (as "out x rest" matrices), AdamW the rest.
- Sampling takes a few evaluations of a multistep solver rather than an adaptive Runge-Kutta.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genloom.core import (
    CONTINUOUS,
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
from genloom.nets.backbones import Backbone, backbone
from genloom.nets.condition import Conditioner, plane_count, token_width
from genloom.objectives.diffusion import interpolate, linear_part, match, stratify, training_times, velocity_target
from genloom.samplers.solvers import Velocity, solve

# Muon for the convolutions inside; AdamW for the first and last layer and for what makes scales and shifts.
OPTIMIZER = Optimizer(
    name="muon", lr=2e-3, muon_lr=0.02, muon_skips=("net.enter.*", "net.leave.*", "net.time.*", "*.film.*")
)


@dataclass(frozen=True)
class FlowConfig:
    """A flow-matching model of anything continuous.

    backbone: "unet", "dit" (a transformer over patches), "rows" (for tables) or "auto", which chooses by the data.
    widths: channels of each U-Net level, fine to coarse; blocks: residual blocks of each level.
    attention: levels that attend over all their pixels (0 is the finest).
    stem: pixels folded into channels along each side before the first level.
    width, depth: of the other backbones, the transformer's in tokens of patch x patch pixels.
    patch: pixels along each side of a token.
    embedding: width of the time and class vectors.
    drop_labels: share of training items whose labels are hidden, which guidance needs.
    time_mean, time_std: logit-normal density of the training times; time_switch: share of the run after which they
    become uniform.
    data_std: standard deviation of the data in [-1, 1], for the preconditioning.
    steps: network evaluations of sampling; solver: "adams", "dpmpp", "heun" or "euler".
    shift: density of the sampling times: above 1 near the noise, below 1 near the data.
    guidance: strength of classifier-free guidance where there are labels; 1 is none.
    optimizer: how the network learns.
    """

    backbone: Backbone = "auto"
    widths: tuple[int, ...] = (32, 96)
    blocks: tuple[int, ...] = (1, 3)
    attention: tuple[int, ...] = ()
    stem: int = 2
    width: int = 256
    depth: int = 6
    patch: int = 4
    embedding: int = 128
    drop_labels: float = 0.1
    time_mean: float = 0.0
    time_std: float = 1.0
    time_switch: float = 0.75
    data_std: float = 0.6
    steps: int = 12
    solver: str = "adams"
    shift: float = 1.2
    guidance: float = 1.75
    optimizer: Optimizer = OPTIMIZER


class Flow(Model, CanSample, CanDecode):
    """Flow matching on images, sound, video or rows of numbers, of any size, told the class, the caption or another
    picture where there is one."""

    Config = FlowConfig
    citation = """@inproceedings{lipman2023flow,
  title = {Flow Matching for Generative Modeling},
  author = {Lipman, Yaron and Chen, Ricky T. Q. and Ben-Hamu, Heli and Nickel, Maximilian and Le, Matt},
  booktitle = {International Conference on Learning Representations},
  year = {2023},
  eprint = {2210.02747}
}"""

    def __init__(self, config: FlowConfig, spec: DataSpec, given: Mapping[str, Model] = {}) -> None:
        nn.Module.__init__(self)
        self.config, self.spec = config, spec
        self.item, field = the_item(spec, CONTINUOUS, "flow")
        self.shape, (self.low, self.high) = field.shape, field.range
        self.net = backbone(
            config.backbone,
            field.shape,
            widths=config.widths,
            blocks=config.blocks,
            attention=config.attention,
            stem=config.stem,
            width=config.width,
            depth=config.depth,
            patch=config.patch,
            embedding=config.embedding,
            planes=plane_count(spec),
            tokens=token_width(spec, config.embedding),
        )
        self.conditioner = Conditioner(spec, config.embedding)

    def players(self) -> tuple[Player, ...]:
        return (Player("flow", ("*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("flow", "flow"),)

    def velocity(self, x_BCHW: Tensor, t_B: Tensor, condition: Batch, drop_B: Tensor | None = None) -> Tensor:
        """The model's v(x_t, t, condition) in the scale [-1, 1], fp32."""
        skip, out = linear_part(t_B, self.config.data_std)
        told = self.conditioner(condition, drop_B)
        return match(skip, x_BCHW) * x_BCHW + match(out, x_BCHW) * self.net(x_BCHW, t_B, told).float()

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """E |v(x_t, t) - (e - x)|^2 (equation 23). In evaluation mode times are uniform and all labels told, so that
        losses of different moments of a run can be compared."""
        c = self.config
        x = self.inward(batch[self.item])
        u_B = stratify(step.rand(len(x)), step.rows)
        progress = step.progress if self.training else 1.0
        t_B = training_times(u_B, progress, mean=c.time_mean, std=c.time_std, switch=c.time_switch)
        noise = step.randn(*x.shape)
        drop_B = step.rand(len(x)) < (c.drop_labels if self.training else 0.0)
        v = self.velocity(interpolate(x, noise, t_B), t_B, batch, drop_B)
        total = (v - velocity_target(x, noise)).square().mean()
        return Loss(total, memo={k: batch[k] for k in self.conditioner.fields})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.conditioner.count(memo)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        device = next(self.parameters()).device
        return options.temperature * torch.randn((n, *self.shape), generator=generator, device=device)

    def decode(self, latent: Tensor, *, condition: Batch | None = None) -> Batch:
        """The items that the noise flows to; without a condition, by the unlabelled velocity."""
        if condition is None:
            condition = self.conditioner.null(len(latent), latent.device)
            return self._flow(latent, condition, Sampling(guidance=1.0), None)
        return self._flow(latent, condition, Sampling(), None)

    def sample(
        self,
        n: int,
        *,
        condition: Batch | None = None,
        options: Sampling = Sampling(),
        generator: torch.Generator,
        callback: Callback | None = None,
    ) -> Batch:
        told = self.conditioner.draw(n, condition, generator)
        noise = self.prior(n, options=options, generator=generator)
        return {**self._flow(noise, told, options, callback), **told}

    def inward(self, x: Tensor) -> Tensor:
        """Items of the spec's range in the model's scale [-1, 1]; an unbounded field is in it already."""
        if math.isinf(self.high):
            return x.float()
        return (x.float() - self.low) * (2 / (self.high - self.low)) - 1

    def outward(self, x: Tensor) -> Tensor:
        """Items of the model's scale, clamped to [-1, 1], in the spec's range; an unbounded field stays as it is."""
        if math.isinf(self.high):
            return x.float()
        return (x.clamp(-1, 1) + 1) * ((self.high - self.low) / 2) + self.low

    def field(self, n: int, condition: Batch, options: Sampling = Sampling()) -> Velocity:
        """The velocity (x, t) -> v for n items under these conditions, guided as the options say: what solvers,
        inversion, inpainting and distillation follow. x is in the model's scale, t a number in [0, 1]."""
        c, fields = self.config, self.conditioner.fields
        guidance = c.guidance if options.guidance is None else options.guidance
        device = next(self.parameters()).device
        told = {k: condition[k].to(device) for k in fields}
        if not fields or guidance == 1.0:
            return lambda x, t: self.velocity(x, x.new_full((n,), t), told)
        away = {**self.conditioner.null(n, device), **self.conditioner.avoided(n, options.negative)}
        both = {k: torch.cat([told[k], v]) for k, v in away.items()}

        def guided(x: Tensor, t: float) -> Tensor:
            v, v_null = self.velocity(torch.cat([x, x]), x.new_full((2 * n,), t), both).chunk(2)
            return v_null + guidance * (v - v_null)

        return guided

    @torch.no_grad()
    def _flow(self, noise: Tensor, condition: Batch, options: Sampling, callback: Callback | None) -> Batch:
        """Solves dx/dt = v from the noise at t = 1 to the data at t = 0; the item in the spec's range."""
        if len(noise) == 0:
            return {self.item: noise}
        c = self.config
        steps = c.steps if options.steps is None else options.steps
        field = self.field(len(noise), condition, options)
        state = noise  # where the solver stands: what a viewer sees turn from noise into an item

        def velocity(x: Tensor, t: float) -> Tensor:
            nonlocal state
            state = x
            return field(x, t)

        def watch(i: int, x: Tensor, t: float) -> None:
            if callback is not None:
                callback({"i": i + 1, "of": steps, "x": self.outward(x), "state": self.outward(state)})

        x = solve(options.solver or c.solver, velocity, noise, evaluations=steps, shift=c.shift, callback=watch)
        return {self.item: self.outward(x)}
