"""Recipes of diffusion and flow models."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.diffusion.flow import FlowConfig
from genloom.models.diffusion.palette import PaletteConfig
from genloom.recipes.ranges import Choice, Linear, Log
from genloom.recipes.registry import Recipe, recipe

SIZES = {
    "nano": FlowConfig(stem=0),
    "small": FlowConfig(stem=0, widths=(64, 128, 128), blocks=(1, 2, 2), attention=(2,)),
    "base": FlowConfig(stem=0, widths=(128, 256, 256), blocks=(2, 2, 3), attention=(1, 2), embedding=256),
}


@recipe(
    "flow",
    "flow matching: images, sounds, clips and rows from noise in a dozen steps, by class where there are labels",
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


@recipe(
    "palette",
    "a flow told a degraded picture: fills holes, enlarges, colours or denoises (`genloom translate`)",
    sizes=("nano", "small", "base"),
    smoke={
        "config.flow.widths": (32, 32),
        "config.flow.blocks": (1, 1),
        "config.flow.steps": 4,
        "train.budget": "30steps",
        "train.batch": 16,
        "data.limit": 200,
    },
    ranges={
        "config.flow.optimizer.lr": Log(3e-4, 1e-2),
        "config.flow.optimizer.muon_lr": Log(2e-3, 1e-1),
        "train.batch": Choice(32, 64, 128, 256),
    },
)
def palette(size: str = "nano") -> Recipe:
    """Sizes as of `flow`; `--config.task` says what for."""
    return Recipe(
        model="palette",
        config=PaletteConfig(flow=SIZES[size]),
        data=DataOptions(source="mnist"),
        train=TrainOptions(budget="5m", batch=256 if size == "base" else 64),
    )


HELD_OUT = "green heart; purple heart; blue circle; orange circle; red square; yellow square"

TOLD = {
    "nano": replace(SIZES["nano"], widths=(48, 128), blocks=(1, 3), attention=(1,), guidance=3.0, steps=16),
    "small": replace(SIZES["small"], guidance=3.0, steps=16),
    "base": replace(SIZES["base"], guidance=3.0, steps=16),
}


@recipe(
    "text-to-image",
    "flow matching told a caption: pictures from a line of text, learnt on 7,500 emoji with their names",
    sizes=("nano", "small", "base"),
    smoke={
        "config.widths": (32, 32),
        "config.blocks": (1, 1),
        "config.embedding": 32,
        "config.steps": 4,
        "train.budget": "30steps",
        "train.batch": 16,
        "data.source": "mnist",
        "data.size": "16",
        "data.hold_out": "",
        "data.limit": 400,
    },
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(2e-3, 1e-1),
        "train.batch": Choice(32, 64, 128),
        "config.embedding": Choice(64, 128, 256),
        "data.drop_parts": Linear(0.0, 0.9),
    },
)
def text_to_image(size: str = "nano") -> Recipe:
    """nano for 32 pixels and half an hour on a laptop, small for 64 pixels and an hour, base for a GPU."""
    return Recipe(
        model="flow",
        config=TOLD[size],
        data=DataOptions(
            source="emoji",
            size="32" if size == "nano" else "64",
            labels=False,
            captions=True,
            drop_parts=0.5,
            hold_out=HELD_OUT,
        ),
        train=TrainOptions(budget="30m" if size == "nano" else "1h", batch=256 if size == "base" else 64),
    )
