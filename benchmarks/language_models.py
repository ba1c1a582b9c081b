"""All families of language models on one text for equal time, and how well each predicts what it never saw.

Data: tiny Shakespeare by character, first 90 % to train, last 10 % held out. Each recipe as it comes; the budget is by
the clock, everything included, and the processor time that took is recorded beside it: `ngram` needs a few seconds.
Protocol: all held-out characters once, in windows of the context's length one after another (an incomplete last one is
left out), fp32, averaged weights, each window's first character included: -log p in nats, averaged over characters.
On another text with --data; prints one JSON document and writes it to results/language_models.json.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from typing import Any

import torch

import genloom
from _result import publish
from genloom.core import CanSample, HasLikelihood, Sampling
from genloom.data import load as load_data
from genloom.engine.load import load
from genloom.metrics.likelihood import nlls, windows
from genloom.modalities.text import to_texts

RECIPES = ("ngram", "rnn", "gru", "lstm", "gpt2", "llama", "gpt")


def measure(recipe: str, data: str, budget: str, seed: int) -> dict[str, Any]:
    """One recipe, trained and scored."""
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as root:
        trained = genloom.train(recipe, data=data, budget=budget, seed=seed, runs=root)
        loaded = load(trained.run)
        model = loaded.model
        assert isinstance(model, HasLikelihood)
        assert isinstance(model, CanSample)
        assert loaded.tokenizer is not None
        split = load_data(loaded.settings.data).validation
        field = loaded.spec["text"]
        values = nlls(model, split, windows(split), generator=generator)
        begun = time.monotonic()
        ids = model.sample(1, options=Sampling(length=400, temperature=0.8), generator=generator)["text"]
        plan = trained.run.environment["plan"]
        cost = trained.run.status["cost"]
        nats = float(values.mean()) / field.shape[0]
        return {
            "recipe": recipe,
            "parameters": sum(p.numel() for p in model.parameters()),
            "numbers_kept": sum(t.numel() for t in model.state_dict().values()),
            "context": field.shape[0],
            "batch": loaded.settings.train.batch,
            "precision": plan["dtype"],
            "updates": trained.steps,
            "tokens_seen": trained.items * field.shape[0],
            "cpu_seconds": cost["cpu_seconds"],
            "wall_seconds": cost["wall_seconds"],
            "nats_per_token": round(nats, 4),
            "bits_per_token": round(nats / math.log(2), 4),
            "perplexity": round(math.exp(nats), 3),
            "scored_tokens": len(values) * field.shape[0],
            "written_per_second_one_text": round(400 / (time.monotonic() - begun), 1),
            "text": to_texts(ids, loaded.tokenizer)[0],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="75s", help="time of training, each")
    parser.add_argument("--data", default="tinyshakespeare")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", default="language_models", help="of the result")
    a = parser.parse_args()
    rows = [measure(recipe, a.data, a.budget, a.seed) for recipe in a.recipes.split(",")]
    command = f"python benchmarks/language_models.py --budget {a.budget} --data {a.data} --recipes {a.recipes}"
    publish(a.name, {"data": a.data, "budget": a.budget, "seed": a.seed, "models": rows}, command)


if __name__ == "__main__":
    main()
