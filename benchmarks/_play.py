"""A model trained for a number of steps, without a run directory or a clock: for benchmarks whose figures must not
depend on how busy the machine is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from genloom.core import Model
from genloom.data import Dataset
from genloom.engine import moments
from genloom.engine.distributed import World
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game, Moment, seeded
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan, arrange

CPU = torch.device("cpu")


def play(
    model_class: type[Model],
    config: Any,
    dataset: Dataset,
    *,
    steps: int,
    batch: int,
    seed: int = 0,
    ema: float = 0.1,
    plan: Plan = Plan(),
    watch: Callable[[int, Model, dict[str, float]], None] | None = None,
) -> Model:
    """The trained model with its averaged weights, in evaluation mode. watch: called after every step."""
    with seeded(seed, CPU):
        model = model_class(config, dataset.spec)
    arrange(model, plan)
    options = replace(TrainOptions(), batch=batch, seed=seed, device="cpu")
    game = Game(model, dataset.train, dataset.options, options, plan, CPU, World())
    average = PowerEMA(model, ema) if ema else None
    model.train()
    for i in range(steps):
        values = game.step(Moment(i, i / steps))
        if average is not None:
            average.update(model, i + 1)
        if watch is not None:
            watch(i, model, values)
    if average is not None:
        model.load_state_dict(average.state(model))
    moments.finish(model, dataset, plan, CPU, seed=seed, step=steps, items=steps * batch)
    return model.eval()
