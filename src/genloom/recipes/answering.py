"""Recipes of models that answer: translation, summaries, instructions, preferences."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoregressive.seq2seq import Seq2SeqConfig
from genloom.recipes.ranges import Choice, Linear, Log
from genloom.recipes.registry import Recipe, recipe


@recipe(
    "seq2seq",
    "a text from another: translation, summaries, answers, by an encoder and a decoder; minutes on a CPU",
    sizes=("nano", "small"),
    smoke={
        "train.budget": "30steps",
        "train.batch": 16,
        "train.precision": "fp32",
        "data.context": 32,
        "data.limit": 512,
        "data.vocabulary": 512,
        "config.width": 64,
        "config.heads": 2,
        "config.encoder": 1,
        "config.decoder": 1,
    },
    ranges={
        "config.optimizer.lr": Log(3e-4, 1e-2),
        "config.optimizer.muon_lr": Log(3e-3, 1e-1),
        "train.batch": Choice(32, 64, 128),
        "config.width": Choice(128, 192, 256),
        "config.dropout": Linear(0.0, 0.3),
    },
)
def seq2seq(size: str = "nano") -> Recipe:
    """nano: 3 + 3 layers of width 192 over 4,000 subwords, for 5 to 10 minutes on a CPU; small: 6 + 6 of 512, the
    paper's base model, for a GPU."""
    config = Seq2SeqConfig()
    data = DataOptions(source="multi30k", read="answers", tokenizer="bpe", vocabulary=4000, context=48)
    train = TrainOptions(budget="8m", batch=128)
    if size == "small":
        config = replace(config, width=512, heads=8, encoder=6, decoder=6)
        data, train = replace(data, vocabulary=8000, context=128), replace(train, budget="2h")
    return Recipe("seq2seq", config, data, train)
