"""Recipes of diffusion models as their papers have them: values of the one Config of `flow`, with its networks.

What the papers decide is kept: the path, what the network puts out, at which times and how weighed it learns, how it
samples. Networks, optimizer and the average of the weights are those of `flow`, found for minutes on a CPU.
"""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.diffusion.flow import FlowConfig
from genloom.recipes.diffusion import SIZES
from genloom.recipes.ranges import Choice, Log, Range
from genloom.recipes.registry import Recipe, recipe

NAMES = ("nano", "small", "base")
SMOKE = {
    "config.widths": (32, 32),
    "config.blocks": (1, 1),
    "config.steps": 4,
    "train.budget": "30steps",
    "train.batch": 16,
    "data.limit": 200,
}
RANGES: dict[str, Range] = {
    "config.optimizer.lr": Log(3e-4, 1e-2),
    "config.optimizer.muon_lr": Log(2e-3, 1e-1),
    "train.batch": Choice(32, 64, 128, 256),
    "train.ema": Choice(0.05, 0.1, 0.15),
}


def _recipe(config: FlowConfig, size: str) -> Recipe:
    return Recipe(
        model="flow",
        config=config,
        data=DataOptions(source="mnist"),
        train=TrainOptions(budget="5m", batch=256 if size == "base" else 64),
    )


@recipe(
    "ddpm",
    "denoising diffusion as the paper has it: 1,000 steps of noise, ancestral sampling",
    sizes=NAMES,
    smoke=SMOKE,
    ranges=RANGES,
)
def ddpm(size: str = "nano") -> Recipe:
    """Ho et al. 2020 (arXiv:2006.11239): beta from 1e-4 to 0.02, the plain squared error of eps, 1,000 evaluations a
    sample. --config.path vp-cosine is the schedule of Nichol and Dhariwal 2021."""
    config = replace(
        SIZES[size],
        path="vp-linear",
        prediction="eps",
        times="discrete",
        weight="prediction",
        solver="ddpm",
        clip=True,
        steps=1000,
    )
    return _recipe(config, size)


@recipe(
    "ddim",
    "ddpm's training, sampled without noise in 50 evaluations",
    sizes=NAMES,
    smoke=SMOKE,
    ranges=RANGES,
)
def ddim(size: str = "nano") -> Recipe:
    """Song, Meng and Ermon 2021 (arXiv:2010.02502): the same network as `ddpm`, 50 deterministic steps."""
    return _recipe(replace(ddpm(size).config, solver="ddim", steps=50), size)


@recipe(
    "edm",
    "diffusion by the choices of Karras et al. 2022: noise levels, preconditioning, Heun's method",
    sizes=NAMES,
    smoke=SMOKE,
    ranges=RANGES,
)
def edm(size: str = "nano") -> Recipe:
    """Karras et al. 2022 (arXiv:2206.00364), table 1: ln sigma ~ N(-1.2, 1.2^2), which is a logit-normal t; errors
    weighed so that the network's target has unit variance; 18 steps of Heun from sigma 80 to 0.002 by rho = 7."""
    config = replace(
        SIZES[size],
        path="ve",
        prediction="edm",
        times="logit-normal",
        time_mean=-1.2,
        time_std=1.2,
        time_switch=1.0,
        weight="edm",
        data_std=0.5,
        solver="heun",
        grid="karras",
        steps=35,
    )
    return _recipe(config, size)


@recipe(
    "rectified-flow",
    "the straight path as first published: even times, the plain squared error of the velocity, Euler steps",
    sizes=NAMES,
    smoke=SMOKE,
    ranges=RANGES,
)
def rectified_flow(size: str = "nano") -> Recipe:
    """Liu, Gong and Liu 2023 (arXiv:2209.03003), without reflow. `flow` is the same path with better choices."""
    config = replace(
        SIZES[size],
        prediction="velocity",
        times="uniform",
        weight="velocity",
        solver="euler",
        steps=50,
        shift=1.0,
    )
    return _recipe(config, size)
