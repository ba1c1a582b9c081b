"""What a model makes of given items, by task: trained for it, or a flow that was not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genloom.verbs.opened import class_indices

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Batch, Sampling
    from genloom.engine.load import Loaded

STEPS = 50  # evaluations of a model that was not trained for the task: fresh noise must have time to settle
ETA = 0.85  # how much fresh noise each step brings, as DDNM's paper has it


@dataclass(frozen=True)
class Job:
    """What is asked, besides the picture. sigma: of noise, in levels of 255."""

    task: str
    factor: int = 4
    sigma: float = 25.0
    strength: float = 0.5

    @property
    def deviation(self) -> float:
        """sigma in the scale [-1, 1]."""
        return self.sigma / 127.5


def condition_of(loaded: Loaded, label: str | int | None, n: int) -> Batch | None:
    """The classes that a --label means, for n items; None where nobody names one."""
    if label is None:
        return None
    import torch

    from genloom.core import the_class

    indices, labelled = class_indices(loaded.spec, label), the_class(loaded.spec)
    assert labelled is not None  # class_indices has refused otherwise
    return {labelled[0]: torch.tensor(indices).repeat(-(-n // len(indices)))[:n].to(loaded.device)}


def made_of(
    loaded: Loaded,
    flow: Any,
    name: str,
    shape: tuple[int, ...],
    job: Job,
    given: Tensor,
    condition: Batch | None,
    options: Sampling,
    generator: Any,
    chunk: int = 64,
) -> Tensor:
    """Items (B, *shape) in [-1, 1] that the model makes of `given`, on the CPU."""
    import torch

    from genloom.nets.scale import inward

    parts = []
    for start in range(0, len(given), chunk):
        some = given[start : start + chunk].to(loaded.device)
        told = None if condition is None else {k: v[start : start + chunk] for k, v in condition.items()}
        with torch.no_grad(), loaded.drawing():
            if flow is None:
                made: Any = loaded.model
                item = made.translate(some, task=job.task, condition=told, options=options, generator=generator)[name]
                parts.append(inward(item.float(), loaded.spec[name].range).cpu())
            else:
                parts.append(_untrained(flow, shape, job, some, told, options, generator).float().clamp(-1, 1).cpu())
    return torch.cat(parts)


def _untrained(
    flow: Any, shape: tuple[int, ...], job: Job, given: Tensor, told: Batch | None, options: Sampling, generator: Any
) -> Tensor:
    """A flow of whole pictures on a task it was not trained for."""
    import torch

    from genloom.samplers import restore
    from genloom.samplers.solvers import check_solver, solve

    n = len(given)
    if told is None:  # no class is known of a given picture: the model is not told one
        told, options = flow.conditioner.null(n, given.device), replace(options, guidance=1.0)
    field = flow.field(n, told, options)
    if job.task == "denoise":
        return restore.denoised(field, given, job.deviation)
    noise = torch.randn((n, *shape), generator=generator, device=given.device)
    if job.task == "sdedit":
        start = restore.started(given, job.strength, noise)
        steps = max(1, round((options.steps or flow.config.steps) * job.strength))
        solver = options.solver or "adams"
        return solve(solver, field, start, evaluations=steps, grid=lambda s: [job.strength * (1 - i / s)
                                                                              for i in range(s + 1)])  # fmt: skip
    agree = restore.agreement(job.task, given, shape)
    solver = options.solver or "ddim"
    takes = check_solver(solver)
    seed = int(torch.randint(2**62, (), generator=generator, device=given.device))
    made = solve(solver, restore.consistent(field, agree), noise, evaluations=options.steps or STEPS, grid=flow.times,
                 eta=ETA if takes.takes_eta else None, seed=seed)  # fmt: skip
    return agree(made.clamp(-1, 1)) if job.task != "super-resolution" else made
