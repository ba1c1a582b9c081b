"""Recipes of models that stand on a finished run: `genloom train RECIPE --given ROLE=RUN`."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoregressive.vq_gpt import VQGPTConfig
from genloom.models.diffusion.latent_flow import LatentFlowConfig
from genloom.models.diffusion.mean_flow import MeanFlowConfig
from genloom.recipes.ranges import Choice, Linear, Log
from genloom.recipes.registry import Partner, Recipe, recipe

_SMALL = {"data.source": "mnist", "data.limit": 200}  # what a trial's partner learns from: the same pictures


@recipe(
    "latent-flow",
    "flow matching on a finished autoencoder's codes (--given autoencoder=RUN): larger pictures in the same time",
    sizes=("nano", "small"),
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
        "train.batch": Choice(32, 64, 128),
        "config.flow.time_mean": Linear(-1.0, 1.0),
        "config.flow.embedding": Choice(64, 128, 256),
    },
    partners={"autoencoder": Partner("kl-autoencoder", _SMALL)},
)
def latent_flow(size: str = "nano") -> Recipe:
    """nano: codes of 8 to 16 places a side, which is 64 pixels at factor 4; small: twice as wide, with attention."""
    config = LatentFlowConfig()
    if size == "small":
        config = LatentFlowConfig(replace(config.flow, widths=(128, 256), blocks=(1, 3), attention=(1,)))
    return Recipe("latent-flow", config, DataOptions(), TrainOptions(budget="10m", batch=64))


@recipe(
    "vq-gpt",
    "a transformer that writes pictures word by word in a finished vq-vae's words (--given autoencoder=RUN)",
    smoke={"config.width": 64, "config.depth": 2, "train.budget": "30steps", "train.batch": 16, "data.limit": 200},
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(2e-3, 1e-1),
        "train.batch": Choice(32, 64, 128),
        "config.width": Choice(128, 192, 256),
        "config.dropout": Linear(0.0, 0.3),
    },
    partners={"autoencoder": Partner("vq-vae", _SMALL)},
)
def vq_gpt() -> Recipe:
    """2M parameters; pictures of 49 to 256 words."""
    return Recipe("vq-gpt", VQGPTConfig(), DataOptions(), TrainOptions(budget="5m", batch=64))


@recipe(
    "mean-flow",
    "a finished flow (--given teacher=RUN) tuned to draw in one, two or four evaluations",
    smoke={"train.budget": "20steps", "train.batch": 16, "data.limit": 200},
    ranges={
        "config.optimizer.lr": Log(1e-4, 3e-3),
        "train.batch": Choice(32, 64, 128),
        "config.time_mean": Linear(-1.0, 1.5),
    },
    partners={"teacher": Partner("flow", _SMALL)},
)
def mean_flow() -> Recipe:
    """About as long as the teacher learned; the architecture is the teacher's."""
    return Recipe("mean-flow", MeanFlowConfig(), DataOptions(), TrainOptions(budget="5m", batch=64))
