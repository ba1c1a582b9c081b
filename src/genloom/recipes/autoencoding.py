"""Recipes of autoencoders."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoencoding import vae as conv
from genloom.models.autoencoding import vae_mlp as dense
from genloom.recipes.ranges import Choice, Log, Whole
from genloom.recipes.registry import Recipe, recipe

SMOKE = {"train.budget": "30steps", "train.batch": 32, "data.limit": 512, "train.precision": "fp32"}


@recipe(
    "vae",
    "convolutional VAE with a calibrated decoder and a prior fitted to its codes; seconds to minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "config.width": 8, "config.latent": 8},
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "train.batch": Choice(32, 64, 128, 256),
        "config.width": Choice(16, 24, 32, 48, 64),
        "config.blocks": Whole(1, 2),
        "config.latent": Choice(8, 16, 32, 64),
    },
)
def vae(size: str = "small") -> Recipe:
    """small: 0.6M parameters at 28x28, a minute on a CPU; base: twice as wide and deep."""
    config = conv.VAEConfig()
    if size == "base":
        config = replace(config, width=64, blocks=2, latent=64)
    return Recipe("vae", config, DataOptions(), TrainOptions(budget="2m", batch=64))


@recipe(
    "vae-mlp",
    "the course's VAE: two small fully connected networks, binary cross-entropy + beta x KL",
    smoke={**SMOKE, "config.hidden": 64},
    ranges={
        "config.optimizer.lr": Log(1e-4, 1e-2),
        "train.batch": Choice(32, 64, 100, 128, 256),
        "config.hidden": Choice(200, 400, 800),
        "config.latent": Choice(10, 20, 40),
    },
)
def vae_mlp() -> Recipe:
    """Plain Adam at a constant rate and no averaging of weights, as in the listing."""
    return Recipe("vae-mlp", dense.MLPVAEConfig(), DataOptions(), TrainOptions(budget="20epochs", batch=100, ema=0.0))
