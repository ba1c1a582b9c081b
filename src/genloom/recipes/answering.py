"""Recipes of models that answer: translation, summaries, instructions, preferences."""

from __future__ import annotations

from dataclasses import replace

from genloom.core import Optimizer
from genloom.data.options import DataOptions
from genloom.engine.options import TrainOptions
from genloom.models.autoregressive.dpo import DPOConfig
from genloom.models.autoregressive.grpo import GRPOConfig
from genloom.models.autoregressive.policy import Tuning
from genloom.models.autoregressive.reward import RewardConfig
from genloom.models.autoregressive.seq2seq import Seq2SeqConfig
from genloom.models.autoregressive.tuned import TunedConfig
from genloom.recipes.ranges import Choice, Linear, Log
from genloom.recipes.registry import Partner, Recipe, recipe


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


_SMOKE = {"train.budget": "6steps", "train.batch": 4, "train.precision": "fp32", "data.limit": 64, "data.context": 32}
_ANSWERS = {**_SMOKE, "data.source": "passages"}
_GPT = Partner("gpt")  # whose windows of 64 tokens hold a prompt and an answer of 32 each
_PREFERENCES = DataOptions(source="preferences", read="preferences", context=128)


@recipe(
    "lora",
    "a finished gpt (--given base=RUN) tuned by low-rank changes, on texts or on prompts with answers",
    smoke=_ANSWERS,
    ranges={
        "config.optimizer.lr": Log(1e-4, 1e-2),
        "config.tuning.rank": Choice(4, 8, 16),
        "train.batch": Choice(8, 16),
    },
    partners={"base": _GPT},
)
def lora() -> Recipe:
    """Rank 8 on queries and values, as in the paper; `genloom merge` puts the changes into the weights."""
    data = DataOptions(source="summaries", read="answers", context=128)
    return Recipe("tuned", TunedConfig(), data, TrainOptions(budget="5m", batch=16, ema=0.0))


@recipe(
    "sft",
    "a finished gpt (--given base=RUN) taught to answer: all weights, on prompts with answers",
    smoke=_ANSWERS,
    ranges={"config.optimizer.lr": Log(3e-5, 3e-3), "train.batch": Choice(8, 16, 32)},
    partners={"base": _GPT},
)
def sft() -> Recipe:
    """Instruction tuning: an end stands between prompt and answer, answers alone are learnt."""
    optimizer = Optimizer("adamw", lr=3e-4, betas=(0.9, 0.95), warmup=0.05, decay="cosine")
    base = lora()
    return replace(base, config=TunedConfig(Tuning(rank=0), optimizer))


@recipe(
    "reward",
    "how good an answer is, learnt from preferences on a finished gpt (--given base=RUN)",
    smoke=_SMOKE,
    ranges={"config.optimizer.lr": Log(1e-4, 1e-2), "train.batch": Choice(8, 16, 32)},
    partners={"base": _GPT},
)
def reward() -> Recipe:
    """The first half of learning from human feedback; `grpo` is the second."""
    return Recipe("reward", RewardConfig(), _PREFERENCES, TrainOptions(budget="3m", batch=16, ema=0.0))


@recipe(
    "dpo",
    "a finished gpt (--given reference=RUN) tuned on preferences directly",
    smoke=_SMOKE,
    ranges={"config.optimizer.lr": Log(1e-4, 1e-2), "train.batch": Choice(8, 16)},
    partners={"reference": _GPT},
)
def dpo() -> Recipe:
    """beta 0.1, LoRA of rank 8."""
    return Recipe("dpo", DPOConfig(), _PREFERENCES, TrainOptions(budget="5m", batch=8, ema=0.0))


@recipe(
    "grpo",
    "a finished gpt (--given reference=RUN, reward=RUN) tuned on rewards of what it writes",
    smoke=_SMOKE,
    ranges={"config.optimizer.lr": Log(1e-4, 1e-2), "config.kl": Log(1e-3, 0.3), "train.batch": Choice(4, 8, 16)},
    partners={"reference": _GPT, "reward": Partner("reward")},
)
def grpo() -> Recipe:
    """Groups of four answers, two updates from each set, held by the divergence from the reference."""
    return Recipe("grpo", GRPOConfig(), _PREFERENCES, TrainOptions(budget="10m", batch=8, ema=0.0))
