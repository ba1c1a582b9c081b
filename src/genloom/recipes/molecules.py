"""Recipes of molecules."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoencoding.sequence_vae import SequenceVAEConfig
from genloom.models.autoregressive.gpt import GPTConfig
from genloom.recipes.ranges import Choice, Linear, Log, Whole
from genloom.recipes.registry import Recipe, recipe


@recipe(
    "molecules-gpt",
    "small molecules as SMILES, token by token; told a property of them where you ask for it",
    sizes=("nano", "small"),
    smoke={
        "train.budget": "30steps",
        "train.batch": 8,
        "train.precision": "fp32",
        "data.limit": 512,
        "config.width": 64,
        "config.depth": 2,
        "config.heads": 2,
    },
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(3e-3, 1e-1),
        "train.batch": Choice(64, 128, 256),
        "config.width": Choice(96, 128, 192, 256),
        "config.depth": Whole(2, 6),
        "config.dropout": Linear(0.0, 0.2),
    },
)
def molecules_gpt(size: str = "nano") -> Recipe:
    """nano: 4 blocks of width 128, for 5 to 30 minutes on a CPU; small: 6 of 256, from an hour. No dropout: a million
    and a half of molecules are seen once at most."""
    config = replace(GPTConfig(), pairs=1024)
    train = TrainOptions(budget="10m", batch=128)
    if size == "small":
        config = replace(config, width=256, depth=6, heads=8)
        train = replace(train, budget="1h", batch=256)
    return Recipe("gpt", config, DataOptions(source="molsets"), train)


@recipe(
    "molecules-vae",
    "small molecules as points of a space: copies, walks between two, a search for a property",
    sizes=("small", "base"),
    smoke={
        "train.budget": "30steps",
        "train.batch": 16,
        "train.precision": "fp32",
        "data.limit": 512,
        "config.width": 64,
        "config.encoder": 32,
        "config.latent": 16,
    },
    ranges={
        "config.optimizer.lr": Log(5e-4, 1e-2),
        "train.batch": Choice(64, 128, 256),
        "config.latent": Choice(32, 64, 128),
        "config.beta": Log(0.02, 1.0),
        "config.withheld": Linear(0.0, 0.4),
    },
)
def molecules_vae(size: str = "small") -> Recipe:
    """small: 1.0M parameters, for 10 to 30 minutes on a CPU; base: wider and deeper, from an hour."""
    config = SequenceVAEConfig()
    train = TrainOptions(budget="10m", batch=128)
    if size == "base":
        config = replace(config, latent=128, encoder=256, width=512, depth=2)
        train = replace(train, budget="1h", batch=256)
    return Recipe("sequence-vae", config, DataOptions(source="molsets"), train)
