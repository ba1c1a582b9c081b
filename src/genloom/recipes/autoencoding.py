"""Recipes of autoencoders."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoencoding import vae as conv
from genloom.models.autoencoding import vae_mlp as dense
from genloom.models.autoencoding.autoencoder import AutoencoderConfig
from genloom.models.autoencoding.kl_autoencoder import KLAutoencoderConfig
from genloom.models.autoencoding.vq_vae import VQVAEConfig
from genloom.recipes.ranges import Choice, Log, Range, Whole
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
    "beta-vae",
    "vae with the KL divergence weighed four times: fewer, more separate directions of change, plainer copies",
    smoke={**SMOKE, "config.width": 8, "config.latent": 8},
    ranges={
        "config.beta": Log(0.25, 16.0),
        "train.batch": Choice(32, 64, 128, 256),
        "config.latent": Choice(8, 16, 32),
    },
)
def beta_vae() -> Recipe:
    """Higgins et al. 2017 (beta-VAE), with the calibrated decoder of `vae`."""
    return Recipe("vae", conv.VAEConfig(latent=16, beta=4.0), DataOptions(), TrainOptions(budget="2m", batch=64))


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


PLAIN: dict[str, Range] = {
    "config.optimizer.lr": Log(3e-4, 1e-2),
    "train.batch": Choice(32, 64, 128, 256),
    "config.width": Choice(16, 24, 32, 48, 64),
    "config.blocks": Whole(1, 2),
    "config.latent": Choice(8, 16, 32, 64),
}


@recipe(
    "autoencoder",
    "copies pictures or rows of a table through a short code; what it cannot copy is unusual (`genloom anomaly`)",
    smoke={**SMOKE, "config.width": 8, "config.latent": 8},
    ranges=PLAIN,
)
def autoencoder() -> Recipe:
    """0.6M parameters at 28x28; of tables 10,000 to 50,000."""
    return Recipe("autoencoder", AutoencoderConfig(), DataOptions(), TrainOptions(budget="2m", batch=64))


@recipe(
    "denoising-autoencoder",
    "takes noise away from pictures, weak or strong (`genloom translate --task denoise`)",
    smoke={**SMOKE, "config.width": 8, "config.latent": 4},
    ranges={**PLAIN, "config.latent": Choice(8, 16, 32)},
)
def denoising_autoencoder() -> Recipe:
    """A code at every second pixel, wider than the picture: noise, not want of room, is what it learns from."""
    config = AutoencoderConfig(code="map", noise=(0.0, 0.4))
    return Recipe("autoencoder", config, DataOptions(), TrainOptions(budget="2m", batch=64))


SPATIAL = {**SMOKE, "config.width": 8, "config.copy.judge_width": 8}
TRIED: dict[str, Range] = {
    "config.optimizer.lr": Log(3e-4, 1e-2),
    "train.batch": Choice(16, 32, 64, 128),
    "config.width": Choice(16, 24, 32, 48, 64),
    "config.blocks": Whole(1, 2),
}


@recipe(
    "kl-autoencoder",
    "pictures as small maps of numbers that copy back sharply: the first stage of latent-flow",
    sizes=("small", "base"),
    smoke=SPATIAL,
    ranges=TRIED,
)
def kl_autoencoder(size: str = "small") -> Recipe:
    """small: 64-pixel pictures in minutes on a CPU; base: twice as wide and deep."""
    config = KLAutoencoderConfig()
    if size == "base":
        config = replace(config, width=64, blocks=2)
    return Recipe("kl-autoencoder", config, DataOptions(), TrainOptions(budget="5m", batch=32))


@recipe(
    "vq-vae",
    "pictures as small maps of words from a learnt codebook, or of rounded numbers (fsq)",
    sizes=("small", "base"),
    smoke={**SPATIAL, "config.codes": 64},
    ranges={**TRIED, "config.codes": Choice(128, 256, 512, 1024), "config.channels": Choice(4, 8, 16)},
)
def vq_vae(size: str = "small") -> Recipe:
    """small: 64-pixel pictures in minutes on a CPU; base: twice as wide and deep, 1,024 words."""
    config = VQVAEConfig()
    if size == "base":
        config = replace(config, width=64, blocks=2, codes=1024)
    return Recipe("vq-vae", config, DataOptions(), TrainOptions(budget="5m", batch=32))
