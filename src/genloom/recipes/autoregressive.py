"""Recipes of autoregressive models."""

from __future__ import annotations

from dataclasses import replace

from genloom.core import Optimizer
from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoregressive.gpt import GPTConfig
from genloom.models.autoregressive.ngram import NgramConfig
from genloom.models.autoregressive.recurrent import RecurrentConfig
from genloom.models.autoregressive.stroke_rnn import StrokeRNNConfig
from genloom.nets.portable import GPT2, LLAMA, Portable
from genloom.nets.recurrent import Cell
from genloom.recipes.ranges import Choice, Linear, Log, Range, Whole
from genloom.recipes.registry import Recipe, recipe

SMOKE = {
    "train.budget": "30steps",
    "train.batch": 8,
    "train.precision": "fp32",
    "data.context": 64,
    "data.limit": 512,
    "config.width": 64,
    "config.depth": 2,
    "config.heads": 2,
}

RANGES: dict[str, Range] = {
    "config.optimizer.lr": Log(3e-4, 1e-2),
    "config.optimizer.muon_lr": Log(3e-3, 1e-1),
    "config.optimizer.hold": Linear(0.0, 0.8),
    "train.batch": Choice(16, 32, 64, 128),
    "config.width": Choice(96, 128, 192, 256),
    "config.depth": Whole(2, 6),
    "config.dropout": Linear(0.0, 0.3),
}


@recipe(
    "gpt",
    "a language model of characters, bytes or subwords, trained from scratch; minutes on a CPU",
    sizes=("nano", "small", "base"),
    smoke=SMOKE | {"config.pairs": 1024},
    ranges=RANGES,
)
def gpt(size: str = "nano") -> Recipe:
    """nano: 4 blocks of width 128, for 1 to 5 minutes on a CPU; small: 6 of 256, from half an hour; base: 12 of 512,
    for a GPU. Updates of at least 4,096 tokens, which is what Muon needs."""
    config = GPTConfig()
    data = DataOptions(source="python-stdlib", tokenizer="char", context=128)
    train = TrainOptions(budget="3m", batch=32)
    if size == "small":
        config = replace(config, width=256, depth=6)
        data, train = replace(data, context=256), replace(train, budget="1h")
    if size == "base":
        config = replace(config, width=512, depth=12, heads=8, pairs=32_768)
        data, train = replace(data, context=512), replace(train, budget="2h", batch=64)
    return Recipe("gpt", config, data, train)


def _portable(size: str, style: Portable) -> Recipe:
    """The gpt of this size with a network that other programs read. Muon learns its matrices too: what is trained how
    does not show in the weights."""
    base = gpt(size)
    optimizer = Optimizer("muon", lr=2e-3, muon_lr=0.02, muon_skips=("network.head.*",), betas=(0.9, 0.99),
                          warmup=0.03, hold=0.3)  # fmt: skip
    return replace(base, config=replace(base.config, network="portable", portable=style, optimizer=optimizer))


@recipe(
    "gpt2",
    "a language model in the shape of GPT-2: its weights open in other programs; minutes on a CPU",
    sizes=("nano", "small", "base"),
    smoke=SMOKE,
    ranges=RANGES,
)
def gpt2(size: str = "nano") -> Recipe:
    """Learnt positions, LayerNorm, GELU, biases, a tied head; sizes as those of gpt."""
    return _portable(size, GPT2)


@recipe(
    "llama",
    "a language model in the shape of Llama: its weights open in other programs; minutes on a CPU",
    sizes=("nano", "small", "base"),
    smoke=SMOKE,
    ranges=RANGES,
)
def llama(size: str = "nano") -> Recipe:
    """Rotary positions, RMSNorm, SwiGLU, two heads to each set of keys, no biases; sizes as those of gpt."""
    return _portable(size, replace(LLAMA, key_heads=4 if size == "base" else 2))


@recipe(
    "code-gpt",
    "a language model of Python: completes lines and functions, writes small ones from a sentence",
    sizes=("nano", "small"),
    smoke=SMOKE | {"config.pairs": 1024},
    ranges=RANGES,
)
def code_gpt(size: str = "nano") -> Recipe:
    """gpt with windows of 256 characters, which hold a function. `--data python-functions` asks for functions in a
    sentence; python-stdlib is source as people write it."""
    base = gpt("small" if size == "small" else "nano")
    return replace(base, data=replace(base.data, context=256), train=replace(base.train, budget="10m", batch=16))


@recipe(
    "ngram",
    "counts of the last few tokens, smoothed: seconds on a CPU, and what every other model of text must beat",
    smoke={"data.context": 64, "data.limit": 512},
    ranges={
        "config.order": Whole(2, 8),
        "config.smoothing": Choice("kneser-ney", "modified-kneser-ney", "stupid-backoff"),
    },
)
def ngram() -> Recipe:
    """Modified Kneser-Ney of order 7, which suits characters; 3 to 5 suits words and subwords."""
    data = DataOptions(source="python-stdlib", tokenizer="char", context=128)
    return Recipe("ngram", NgramConfig(order=7), data, TrainOptions(budget="1m", precision="fp32", ema=0.0))


def _recurrent(cell: Cell, size: str) -> Recipe:
    config = RecurrentConfig(cell=cell)
    data = DataOptions(source="python-stdlib", tokenizer="char", context=128)
    train = TrainOptions(budget="3m", batch=32)
    if size == "small":
        config = replace(config, width=512, depth=2, embedding=128, dropout=0.1)
        train = replace(train, budget="1h", batch=64)
    return Recipe("recurrent", config, data, train)


RECURRENT = {
    "train.budget": "30steps",
    "train.batch": 8,
    "train.precision": "fp32",
    "data.context": 64,
    "data.limit": 512,
    "config.width": 64,
}
RECURRENT_RANGES: dict[str, Range] = {
    "config.optimizer.lr": Log(1e-3, 2e-2),
    "train.batch": Choice(16, 32, 64),
    "config.width": Choice(128, 192, 256, 384),
    "config.depth": Whole(1, 2),
    "config.dropout": Linear(0.0, 0.3),
}


@recipe(
    "rnn",
    "the oldest network for sequences: a state without gates; minutes on a CPU",
    sizes=("nano", "small"),
    smoke=RECURRENT,
    ranges=RECURRENT_RANGES,
)
def rnn(size: str = "nano") -> Recipe:
    """nano: a state of 256, for 1 to 5 minutes on a CPU; small: two layers of 512."""
    return _recurrent("rnn", size)


@recipe(
    "gru",
    "a state with two gates: text, poems, series; minutes on a CPU",
    sizes=("nano", "small"),
    smoke=RECURRENT,
    ranges=RECURRENT_RANGES,
)
def gru(size: str = "nano") -> Recipe:
    """Sizes as those of rnn."""
    return _recurrent("gru", size)


@recipe(
    "lstm",
    "a state with three gates and a memory: text, poems, series; minutes on a CPU",
    sizes=("nano", "small"),
    smoke=RECURRENT,
    ranges=RECURRENT_RANGES,
)
def lstm(size: str = "nano") -> Recipe:
    """Sizes as those of rnn."""
    return _recurrent("lstm", size)


@recipe(
    "stroke-rnn",
    "drawings as movements of a pen, from an LSTM and mixtures of Gaussians; minutes on a CPU",
    smoke={
        "train.budget": "30steps",
        "train.batch": 16,
        "train.precision": "fp32",
        "data.limit": 256,
        "config.width": 64,
        "config.components": 5,
    },
    ranges={
        "config.optimizer.lr": Log(5e-4, 1e-2),
        "config.width": Choice(128, 256, 512),
        "config.components": Whole(5, 30),
        "train.batch": Choice(32, 64, 128),
    },
)
def stroke_rnn() -> Recipe:
    """One layer of 256; drawings with their ends as .ndjson, or .npz."""
    data = DataOptions(source="omniglot", context=128)
    return Recipe("stroke-rnn", StrokeRNNConfig(), data, TrainOptions(budget="5m", batch=64))
