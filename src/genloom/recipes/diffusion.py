"""Recipes of diffusion and flow models."""

from __future__ import annotations

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.diffusion.flow import FlowConfig
from genloom.recipes.ranges import Choice, Linear, Log
from genloom.recipes.registry import Recipe, recipe

SIZES = {
    "nano": FlowConfig(),
    "small": FlowConfig(widths=(64, 128, 128), blocks=(1, 2, 2), attention=(2,)),
    "base": FlowConfig(widths=(128, 256, 256), blocks=(2, 2, 3), attention=(1, 2), embedding=256),
}


@recipe(
    "flow",
    "flow matching: images from noise in a dozen steps, by class where there are labels",
    sizes=("nano", "small", "base"),
    smoke={
        "config.widths": (32, 32),
        "config.blocks": (1, 1),
        "config.steps": 4,
        "train.budget": "30steps",
        "train.batch": 16,
        "data.limit": 200,
    },
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(2e-3, 1e-1),
        "train.batch": Choice(32, 64, 128, 256),
        "config.time_mean": Linear(-1.0, 1.0),
        "config.time_std": Linear(0.5, 2.0),
        "config.time_switch": Linear(0.0, 1.0),
        "config.embedding": Choice(64, 128, 256),
        "train.ema": Choice(0.05, 0.1, 0.15),
    },
)
def flow(size: str = "nano") -> Recipe:
    """nano for minutes on a laptop and 28 to 32 pixels, small from 20 minutes or 64 pixels, base for a GPU."""
    return Recipe(
        model="flow",
        config=SIZES[size],
        data=DataOptions(source="mnist"),
        train=TrainOptions(budget="5m", batch=256 if size == "base" else 64),
    )
