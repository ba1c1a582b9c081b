"""Diffusion and flow matching: a network learns the velocity that carries noise to data.

One model for the family: which Gaussian path it is trained on (`genloom.objectives.paths`), what the network puts out
and how its errors are weighed (`predictions`), at which times. Whatever these are, `velocity` speaks of the straight
path x_t = (1 - t) x + t e, with t = 0 for data and t = 1 for noise, so that solvers, guidance, likelihood and
inversion are the same for all. The recipes flow, rectified-flow, ddpm, ddim and edm are values of its Config.

The defaults are flow matching (Lipman et al. 2023) on the optimal-transport path with sigma_min = 0 (its equations
20-23; rectified flow's path). What differs from the paper:
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
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from genloom.core import (
    CONTINUOUS,
    Batch,
    CanDecode,
    CanEncode,
    CanSample,
    DataSpec,
    HasLikelihood,
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
from genloom.nets.backbones import Backbone, backbone
from genloom.nets.condition import Conditioner, plane_count, token_width
from genloom.objectives.diffusion import discrete, interpolate, match, stratify, training_times, velocity_target
from genloom.objectives.paths import Path, ends, knots, seen, straight_time
from genloom.objectives.predictions import Prediction, Weight, error_weight, to_velocity, usable
from genloom.samplers.base import Velocity, karras_grid, table_grid, time_grid
from genloom.samplers.guidance import ALWAYS, autoguided, clipped, extrapolate, within
from genloom.samplers.likelihood import density_change, normal_log_density, rising_grid, signs
from genloom.samplers.solvers import check_solver, sample_adams, solve

# Muon for the convolutions inside; AdamW for the first and last layer and for what makes scales and shifts.
OPTIMIZER = Optimizer(
    name="muon", lr=2e-3, muon_lr=0.02, muon_skips=("net.enter.*", "net.leave.*", "net.time.*", "*.film.*")
)

# Below this time the noise is narrower than what uniform dequantisation of 8-bit pixels adds (2/256 / sqrt(12) in
# [-1, 1]): a network trained on pixels has seen no such items there, and densities end here.
LEAST_TIME = 0.00225
LIKELIHOOD_STEPS = 40
AWAY = 2.0  # strength of guidance where only what to lead away from is said
INVERSION_STEPS = 50


@dataclass(frozen=True)
class FlowConfig:
    """A diffusion or flow model of anything continuous.

    path: from data to noise: "straight", "vp-linear", "vp-cosine" or "ve".
    prediction: what the network puts out: "edm" (the velocity less its linear guess), "velocity", "eps", "x0" or "v".
    times: of training: "logit-normal", "uniform" or "discrete" (one of the path's 1,000 steps).
    weight: of the squared errors: "velocity", "prediction" (of what the network puts out), "data", "snr", "min-snr",
    "soft-min-snr" or "edm"; snr_gamma: the limit of the two min-SNR weights.

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
    steps: network evaluations of sampling; solver: "adams", "ddim", "ddpm", "dpmpp", "heun", "unipc" and others.
    grid: times of sampling: "path" (even on the training path) or "karras" (sigma from 80 to 0.002 by rho = 7).
    shift: density of the sampling times of the straight path: above 1 near the noise, below 1 near the data.
    clip: cut estimates of the data to their range while sampling, as DDPM does.
    guidance: strength of classifier-free guidance where there are labels; 1 is none.
    optimizer: how the network learns.
    """

    path: Path = "straight"
    prediction: Prediction = "edm"
    times: Literal["logit-normal", "uniform", "discrete"] = "logit-normal"
    weight: Weight = "velocity"
    snr_gamma: float = 5.0
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
    grid: Literal["path", "karras"] = "path"
    shift: float = 1.2
    clip: bool = False
    guidance: float = 1.0
    optimizer: Optimizer = OPTIMIZER


class Flow(Model, CanSample, CanDecode, CanEncode, HasLikelihood):
    """Diffusion or flow matching on images, sound, video or rows of numbers, of any size, told the class if there is
    one."""

    kind = "estimate"
    items = 128
    quick = False
    facts = {
        "method": "probability-flow equation, Adams-Bashforth of order 3",
        "evaluations": LIKELIHOOD_STEPS,
        "divergence": "Hutchinson, one vector of random signs an item; its spread is part of the interval",
        "dequantisation": "uniform, one draw an item (images of 8 bits)",
        "condition": "the item's own, where there is one",
    }
    Config = FlowConfig
    iterative = True
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
        self.listens_to = self.conditioner.fields
        check_solver(config.solver)
        self.bottom, self.top = usable(config.prediction, *ends(config.path))

    def players(self) -> tuple[Player, ...]:
        return (Player("flow", ("*",), self.config.optimizer),)

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("flow", "flow"),)

    def velocity(self, x_BCHW: Tensor, t_B: Tensor, condition: Batch, drop_B: Tensor | None = None) -> Tensor:
        """The model's v(x_t, t, condition) on the straight path in the scale [-1, 1], fp32. Times outside those that
        the path was trained at are taken as the nearest of them."""
        c = self.config
        t_B = self._trained(t_B)
        shown, time_B = seen(c.path, x_BCHW, t_B, c.data_std)
        told = self.conditioner(condition, drop_B)
        return to_velocity(c.prediction, self.net(shown, time_B, told).float(), x_BCHW, t_B, c.data_std)

    def _trained(self, t_B: Tensor) -> Tensor:
        return t_B if (self.bottom, self.top) == (0.0, 1.0) else t_B.clamp(self.bottom, self.top)

    def _times(self, u_B: Tensor, progress: float) -> Tensor:
        """Training times on the straight path, from uniform numbers."""
        c = self.config
        if not self.training or c.times == "uniform":
            return self._trained(straight_time(c.path, u_B))
        if c.times == "discrete":
            return self._trained(straight_time(c.path, discrete(u_B)))
        drawn = training_times(u_B, progress, mean=c.time_mean, std=c.time_std, switch=c.time_switch)
        return self._trained(straight_time(c.path, drawn) if progress >= c.time_switch else drawn)

    def loss(self, phase: Phase, batch: Batch, step: Step) -> Loss:
        """E w(t) |v(x_t, t) - (e - x)|^2 (equation 23, weighed). In evaluation mode times are even on the path and all
        labels told, so that losses of different moments of a run can be compared."""
        c = self.config
        x = self.inward(batch[self.item])
        t_B = self._times(stratify(step.rand(len(x)), step.rows), step.progress)
        noise = step.randn(*x.shape)
        drop_B = step.rand(len(x)) < (c.drop_labels if self.training else 0.0)
        error = self.velocity(interpolate(x, noise, t_B), t_B, batch, drop_B) - velocity_target(x, noise)
        weight_B = error_weight(c.weight, t_B, c.prediction, c.data_std, c.snr_gamma)
        squared = error.square() if weight_B is None else match(weight_B, error) * error.square()
        return Loss(squared.mean(), memo={k: batch[k] for k in self.conditioner.fields})

    def after_phase(self, phase: Phase, memo: Mapping[str, Tensor], step: Step) -> None:
        self.conditioner.count(memo)

    def prior(self, n: int, *, options: Sampling = Sampling(), generator: torch.Generator) -> Tensor:
        device = next(self.parameters()).device
        return options.temperature * torch.randn((n, *self.shape), generator=generator, device=device)

    def decode(self, latent: Tensor, *, condition: Batch | None = None, options: Sampling = Sampling()) -> Batch:
        """The items that the noise flows to, without further noise. Conditions that are lacking are not told; without
        any, by the unlabelled velocity."""
        c = self.config
        if check_solver(options.solver or c.solver).random:
            options = replace(options, solver="adams", eta=None, steps=options.steps or min(c.steps, INVERSION_STEPS))
        told, options = self._told(len(latent), condition or {}, options)
        return self._flow(latent, told, options, None)

    def _told(self, n: int, condition: Batch, options: Sampling) -> tuple[Batch, Sampling]:
        """The conditions, nothing in the place of those that are lacking; guidance has no use where all are."""
        fields = self.conditioner.fields
        found = {k: v for k, v in condition.items() if k in fields}
        null = self.conditioner.null(n, next(self.parameters()).device)
        return {**null, **found}, options if found else replace(options, guidance=1.0)

    @torch.no_grad()
    def encode(self, batch: Batch, *, options: Sampling = Sampling()) -> Tensor:
        """The noise that flows to these items, by the same equation backwards (DDIM inversion, arXiv:2010.02502,
        section 4.3, with a solver of order 3). Conditions that the batch lacks are not told."""
        x = self.inward(batch[self.item])
        if len(x) == 0:
            return x
        told, options = self._told(len(x), batch, options)
        times = self.times(options.steps or max(INVERSION_STEPS, min(self.config.steps, 100)))[::-1]
        return sample_adams(self.field(len(x), told, options), x, times) / self._spread(times[-1])

    def nll(self, batch: Batch, *, generator: torch.Generator) -> Tensor:
        """Of 8-bit images, on average no less than the nats of their pixels (Theis et al. 2016): uniform noise fills
        the gaps between the 256 values. Of anything else, minus the log density in the units of the data."""
        x = self.inward(batch[self.item])
        n, dimensions = len(x), math.prod(self.shape)
        unit = 1.0 if math.isinf(self.high) else 2 / (self.high - self.low)
        if self.spec[self.item].modality == "image":
            fill = torch.rand(x.shape, generator=generator, device=x.device)
            x, unit = (((x + 1) * 127.5).round() + fill) / 128 - 1, 1 / 128
        least = max(self.bottom, LEAST_TIME)
        told = {k: batch[k] for k in self.conditioner.fields}
        times = rising_grid(LIKELIHOOD_STEPS, least, self.top)
        noise, change = density_change(
            lambda x, t: self.velocity(x, x.new_full((n,), t), told), (1 - least) * x, times, signs(x, generator)
        )
        density = normal_log_density(noise, self._spread(times[-1])) + change
        return -(density + dimensions * math.log((1 - least) * unit)).detach()

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
        random = check_solver(options.solver or self.config.solver).random
        seed = int(torch.randint(2**62, (), generator=generator, device=noise.device)) if random else 0
        return {**self._flow(noise, told, options, callback, seed), **told}

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
        inversion, inpainting and distillation follow. x is in the model's scale, t a number in [0, 1].

        Raises BadValue for a partner that is no such model, or a negative condition that nothing listens to."""
        c, fields = self.config, self.conditioner.fields
        guidance = c.guidance if options.guidance is None else options.guidance
        if options.guidance is None and guidance == 1.0 and (options.negative or options.partner is not None):
            guidance = AWAY
        interval = options.interval or ALWAYS
        device = next(self.parameters()).device
        told = {k: condition[k].to(device) for k in fields}

        def plain(x: Tensor, t: float) -> Tensor:
            return self.velocity(x, x.new_full((n,), t), told)

        if options.partner is not None:
            worse = options.partner
            if not isinstance(worse, Flow) or (worse.shape, worse.conditioner.fields) != (self.shape, fields):
                raise BadValue("autoguidance needs a partner of the same kind, trained on the same data")
            weak = worse.field(n, told, Sampling(guidance=1.0))
            return within(autoguided(plain, weak, guidance), plain, interval)
        if options.negative is not None and not fields:
            raise BadValue("a negative condition needs a model that is told conditions: leave it out")
        if not fields or guidance == 1.0:
            return plain
        away = {**self.conditioner.null(n, device), **self.conditioner.avoided(n, options.negative)}
        both = {k: torch.cat([told[k], v.to(device)]) for k, v in away.items()}

        def guided(x: Tensor, t: float) -> Tensor:
            v, weak = self.velocity(torch.cat([x, x]), x.new_full((2 * n,), t), both).chunk(2)
            return extrapolate(v, weak, guidance)

        return within(guided, plain, interval)

    def times(self, steps: int) -> list[float]:
        """The times of `steps` steps of a solver, falling to 0."""
        c = self.config
        if c.grid == "karras":
            return karras_grid(steps)
        if c.path == "straight":
            return time_grid(steps, c.shift, self.top)
        return table_grid(steps, knots(c.path).tolist())

    def _spread(self, t: float) -> float:
        """The standard deviation at time t of items with the data's own; 1 at t = 1."""
        return math.hypot((1 - t) * self.config.data_std, t)

    @torch.no_grad()
    def _flow(
        self, noise: Tensor, condition: Batch, options: Sampling, callback: Callback | None, seed: int = 0
    ) -> Batch:
        """Solves dx/dt = v from the noise at t = 1 to the data at t = 0; the item in the spec's range."""
        if len(noise) == 0:
            return {self.item: noise}
        c = self.config
        steps = c.steps if options.steps is None else options.steps
        field = self.field(len(noise), condition, options)
        field = clipped(field) if c.clip and math.isfinite(self.high) else field
        state = noise  # where the solver stands: what a viewer sees turn from noise into an item

        def velocity(x: Tensor, t: float) -> Tensor:
            nonlocal state
            state = x
            return field(x, t)

        def watch(i: int, x: Tensor, t: float) -> None:
            if callback is not None:
                callback({"i": i + 1, "of": steps, "x": self.outward(x), "state": self.outward(state)})

        x = solve(
            options.solver or c.solver,
            velocity,
            noise * self._spread(self.times(max(steps, 1))[0]),
            evaluations=steps,
            callback=watch,
            grid=self.times,
            eta=options.eta,
            seed=seed,
        )
        return {self.item: self.outward(x)}
