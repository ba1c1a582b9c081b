"""Recipes of music."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoregressive.gpt import GPTConfig
from genloom.models.autoregressive.recurrent import RecurrentConfig
from genloom.recipes.ranges import Choice, Linear, Log, Whole
from genloom.recipes.registry import Recipe, recipe

CHORALES = DataOptions(source="chorales", context=256, transpose=5)
"""Windows of 64 sixteenths, four voices in turn, in as many keys as the singers' ranges allow."""
SMOKE = {
    "train.budget": "30steps",
    "train.batch": 8,
    "train.precision": "fp32",
    "data.context": 64,
    "data.limit": 8,
}


@recipe(
    "music-transformer",
    "chorales in four voices, or your own scores, note by note; continues beginnings and harmonises melodies",
    sizes=("nano", "small"),
    smoke={**SMOKE, "config.width": 64, "config.depth": 2, "config.heads": 2},
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(3e-3, 1e-1),
        "train.batch": Choice(8, 16, 32),
        "config.width": Choice(96, 128, 192),
        "config.depth": Whole(2, 6),
        "config.dropout": Linear(0.0, 0.4),
    },
)
def music_transformer(size: str = "nano") -> Recipe:
    """nano: 4 blocks of width 128, for 3 to 10 minutes on a CPU; small: 6 of 256 and windows of 128 sixteenths, from
    half an hour. Much dropout, and no table of pairs, since 229 chorales are soon known by heart."""
    config = replace(GPTConfig(), pairs=0, values=0, dropout=0.3)
    data, train = CHORALES, TrainOptions(budget="5m", batch=8)
    if size == "small":
        config = replace(config, width=256, depth=6, dropout=0.4)
        data, train = replace(data, context=512), replace(train, budget="1h")
    return Recipe("gpt", config, data, train)


@recipe(
    "music-lstm",
    "the same by a recurrent network, which reads a piece of any length to its end",
    smoke={**SMOKE, "config.width": 64, "config.depth": 1},
    ranges={
        "config.optimizer.lr": Log(1e-3, 2e-2),
        "train.batch": Choice(8, 16, 32),
        "config.width": Choice(192, 256, 384),
        "config.depth": Whole(1, 3),
        "config.dropout": Linear(0.0, 0.5),
    },
)
def music_lstm() -> Recipe:
    """Two layers of 256, for 3 to 10 minutes on a CPU. `--config.cell gru --config.depth 3` is TonicNet's shape."""
    config = RecurrentConfig(cell="lstm", width=256, depth=2, embedding=64, dropout=0.3)
    return Recipe("recurrent", config, CHORALES, TrainOptions(budget="5m", batch=8))
