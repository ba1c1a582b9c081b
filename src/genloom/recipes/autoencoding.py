"""Recipes of autoencoders."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoencoding import vae as conv
from genloom.models.autoencoding import vae_mlp as dense
from genloom.recipes.registry import Recipe, recipe

SMOKE = {"train.budget": "30steps", "train.batch": 32, "data.limit": 512, "train.precision": "fp32"}


@recipe(
    "vae",
    "convolutional VAE with a calibrated decoder and a prior fitted to its codes; seconds to minutes on a CPU",
    sizes=("small", "base"),
    smoke={**SMOKE, "config.width": 8, "config.latent": 8},
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
)
def vae_mlp() -> Recipe:
    """Plain Adam at a constant rate and no averaging of weights, as in the listing."""
    return Recipe("vae-mlp", dense.MLPVAEConfig(), DataOptions(), TrainOptions(budget="20epochs", batch=100, ema=0.0))
