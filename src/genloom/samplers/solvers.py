"""Pure solvers of the probability-flow equation dx/dt = v(x, t), from noise at t = 1 to data at t = 0.

All have the form sample_x(model, x, times, callback): `model(x, t)` returns the velocity at x (B, ...) and the scalar
time t; `times` falls from 1 to 0 (or rises: then data turn into noise); `callback(i, x, t)` is called after the model's
i-th evaluation with the current estimate of the data. An evaluation is one call of the model: `solve` spends exactly as
many as it is asked to. Times are those of the straight path, whichever path a model was trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from genloom.errors import BadValue, unknown
from genloom.samplers.base import Grid, Velocity, Watch, silent, time_grid
from genloom.samplers.brownian import BrownianTree
from genloom.samplers.exponential import sample_ddim, sample_dpmpp, sample_sde, sample_unipc

__all__ = ["SOLVERS", "Velocity", "Watch", "check_solver", "solve", "time_grid"]


def sample_euler(model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent) -> Tensor:
    """Euler's method, order 1; here the same as deterministic DDIM (arXiv:2010.02502). One evaluation a step."""
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(i, x - t * v, t)
        x = x + (s - t) * v
    return x


def sample_heun(model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent) -> Tensor:
    """Heun's method, order 2 (Karras et al. 2022, arXiv:2206.00364, algorithm 1). Two evaluations a step."""
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(2 * i, x - t * v, t)
        ahead = x + (s - t) * v
        w = model(ahead, s)
        callback(2 * i + 1, ahead - s * w, s)
        x = x + (s - t) * (v + w) / 2
    return x


def adams_weights(nodes: Sequence[float], start: float, stop: float) -> list[float]:
    """Weights w with sum_j w_j f(nodes_j) = integral of f from start to stop, exact for degree < len(nodes)."""
    at = torch.tensor([n - start for n in nodes], dtype=torch.float64)
    powers = torch.arange(len(nodes), dtype=torch.float64)
    moments = (stop - start) ** (powers + 1) / (powers + 1)
    return torch.linalg.solve(at[None, :] ** powers[:, None], moments).tolist()


def sample_adams(
    model: Velocity, x: Tensor, times: Sequence[float], callback: Watch = silent, order: int = 3
) -> Tensor:
    """Adams-Bashforth of up to `order` past velocities, exact for uneven steps; starts at lower orders.

    This is what PNDM and iPNDM (arXiv:2202.09778, arXiv:2204.13902) approximate with the weights of even steps. One
    evaluation a step.
    """
    past: list[tuple[float, Tensor]] = []
    for i, (t, s) in enumerate(pairwise(times)):
        v = model(x, t)
        callback(i, x - t * v, t)
        past = [(t, v), *past][:order]
        weights = adams_weights([time for time, _ in past], t, s)
        for weight, (_, velocity) in zip(weights, past, strict=True):
            x = x + weight * velocity
    return x


@dataclass(frozen=True)
class Solver:
    """sample: the function; cost: evaluations a step; random: whether it adds noise, and takes `noise`; takes_eta:
    whether it takes DDIM's eta; about: one line for people."""

    sample: Callable[..., Tensor]
    about: str
    cost: int = 1
    random: bool = False
    takes_eta: bool = False


SOLVERS: dict[str, Solver] = {
    "adams": Solver(sample_adams, "Adams-Bashforth of order 3: iPNDM with weights exact for uneven steps"),
    "ipndm": Solver(partial(sample_adams, order=4), "the same of order 4, as iPNDM has it"),
    "ddim": Solver(sample_ddim, "DDIM; --eta 0 adds no noise, 1 is ddpm", random=True, takes_eta=True),
    "ddpm": Solver(partial(sample_ddim, eta=1.0), "ancestral sampling, as DDPM has it", random=True),
    "dpmpp": Solver(sample_dpmpp, "DPM-Solver++ of order 3 (3M)"),
    "dpmpp-2m": Solver(partial(sample_dpmpp, order=2), "DPM-Solver++ of order 2 (2M)"),
    "dpmpp-2m-sde": Solver(sample_sde, "DPM-Solver++ 2M of the reverse diffusion: fresh noise a step", random=True),
    "euler": Solver(sample_euler, "Euler's method, order 1"),
    "heun": Solver(sample_heun, "Heun's method, order 2, two evaluations a step", cost=2),
    "unipc": Solver(
        sample_unipc,
        "UniPC: DPM-Solver++ 2M with each step corrected by the next evaluation, which makes it of order 3",
    ),
}


def check_solver(name: str) -> Solver:
    """The solver of this name. Raises NotFound, which lists them."""
    if name not in SOLVERS:
        raise unknown("solver", name, SOLVERS)
    return SOLVERS[name]


def solve(
    name: str,
    model: Velocity,
    x: Tensor,
    *,
    evaluations: int,
    shift: float = 1.0,
    callback: Watch = silent,
    grid: Grid | None = None,
    eta: float | None = None,
    seed: int = 0,
) -> Tensor:
    """The data at t = 0 that the noise x at t = 1 flows to: solver `name`, exactly `evaluations` model calls.

    grid: times for a number of steps (by default `time_grid` with `shift`); eta: of DDIM; seed: of the noise that
    stochastic solvers add, the same path of noise at every number of evaluations. Where a solver takes two calls a step
    and the number is odd, the last step is Euler's. Raises NotFound for an unknown solver and BadValue for fewer than
    one evaluation, or an eta where none belongs.
    """
    solver = check_solver(name)
    if evaluations < 1:
        raise BadValue(f"sampling takes at least 1 step, got {evaluations}: set steps to a positive number")
    sample = solver.sample
    if eta is not None:
        if not solver.takes_eta:
            raise BadValue(f"eta belongs to the solver ddim, not to {name}: leave it out, or choose ddim")
        if not 0 <= eta <= 1:
            raise BadValue(f"eta: expected a number from 0 (no noise) to 1 (as much as ddpm), got {eta}")
        sample = partial(sample, eta=eta)
    if solver.random:
        sample = partial(sample, noise=BrownianTree(x, seed))
    whole, rest = divmod(evaluations, solver.cost)
    times = time_grid(whole + rest, shift) if grid is None else grid(whole + rest)
    if not rest:
        return sample(model, x, times, callback)
    x = sample(model, x, times[:-1], callback)
    return sample_euler(model, x, times[-2:], lambda i, data, t: callback(i + solver.cost * whole, data, t))
