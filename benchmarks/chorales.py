"""Bach's chorales: how surprised four families are by held-out pieces, each trained for the same processor time.

    python benchmarks/chorales.py [--budget 120s] [--seed 0] [--runs DIR]

music-transformer and music-lstm as they come; a GRU of three layers of 256 with embeddings of 32 (TonicNet's shape,
here without its chord tokens); Kneser-Ney n-grams, whose order is chosen on the validation pieces, which need seconds.
All see 229 chorales, transposed by up to five semitones, in windows of 64 sixteenths; the n-grams count every window
once as it is. Figure: `nats_per_note` of `genloom evaluate` over all 77 test pieces: every voice's pitch or rest at
every sixteenth counts as one note; windows overlap by half. Averaged weights; the number format is what the engine
measures to be the fastest for each. Processor time is recorded.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch

import genloom
from _result import publish
from genloom.core import Model
from genloom.data import load as load_data
from genloom.data.music import MusicSplit
from genloom.engine.load import load
from genloom.metrics.music.likelihood import note_likelihood

GRU = {"config.cell": "gru", "config.depth": 3, "config.embedding": 32}
NEURAL: dict[str, tuple[str, dict[str, Any]]] = {
    "music-transformer": ("music-transformer", {}),
    "music-lstm": ("music-lstm", {}),
    "gru": ("music-lstm", GRU),
}
ORDERS = (5, 9)
PLAIN = {"data.context": 256, "data.transpose": 0}


def nats(model: Model, split: MusicSplit) -> dict[str, Any]:
    """The two figures with their intervals."""
    generator = torch.Generator().manual_seed(0)
    found = note_likelihood(model, split.pieces(), "music", split.spec["music"], generator=generator)
    return {r.key: {"value": r.value, "interval": list(r.interval or ()), "notes": r.protocol["notes"]} for r in found}


def one(name: str, recipe: str, budget: str, seed: int, runs: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """Trains and scores one family."""
    made = genloom.train(recipe, data="chorales", budget=budget, seed=seed, runs=runs, name=name, overrides=overrides)
    loaded = load(made.run)
    data = load_data(loaded.settings.data)
    assert isinstance(data.test, MusicSplit)
    assert isinstance(data.validation, MusicSplit)
    short = name.startswith("ngram")
    return {
        "parameters": sum(p.numel() for p in loaded.model.parameters()),
        "updates": made.steps,
        "windows_seen": made.items,
        "cost": made.run.status.get("cost"),
        "validation": nats(loaded.model, data.validation) if short else None,
        "test": nats(loaded.model, data.test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="120s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=None)
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = a.runs or scratch
        found: dict[str, Any] = {}
        for order in ORDERS:
            overrides = {**PLAIN, "config.order": order}
            found[f"ngram-{order}"] = one(f"ngram-{order}", "ngram", "1epochs", a.seed, runs, overrides)
        for name, (recipe, overrides) in NEURAL.items():
            found[name] = one(name, recipe, a.budget, a.seed, runs, overrides)
    best = min(ORDERS, key=lambda k: found[f"ngram-{k}"]["validation"]["nats_per_note"]["value"])
    figures = {
        "budget": a.budget,
        "seed": a.seed,
        "denominator": "every voice's pitch or rest at every sixteenth of 77 test chorales",
        "ngram_order_by_validation": best,
        "families": found,
    }
    publish("chorales", figures, f"python benchmarks/{Path(__file__).name} --budget {a.budget}")


if __name__ == "__main__":
    main()
