"""What a small translator reaches in minutes on a CPU: recipe `seq2seq` on Multi30k's German and English captions.

    GENLOOM_DATA=... python benchmarks/seq2seq_multi30k.py [--budget 7m] [--seed 0]

Trains the recipe as it comes, 29,000 pairs, tokenizer learnt from them; then answers all 1,000 prompts of the 2016
Flickr test part, the likeliest token each time, and scores them with sacrebleu (its signature stands in the result).
Beside it: the German prompts themselves taken as the answers, and the answers against the references of other prompts.
Prints one JSON document and writes it to results/seq2seq_multi30k.json.
"""

from __future__ import annotations

import argparse
import tempfile

import torch

import genloom
from _result import publish
from genloom.engine.load import load
from genloom.metrics.answers import answer_results, answered, shown
from genloom.verbs.opened import data_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="7m", help="time or steps of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", default=None, help="where the run is kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        trained = genloom.train("seq2seq", budget=asked.budget, seed=asked.seed, runs=asked.runs or folder)
        loaded = load(trained.run)
        dataset, notes = data_of(loaded), []
        assert loaded.tokenizer is not None
        found = answered(
            loaded.model, dataset.test, "text", "prompt", loaded.tokenizer, torch.Generator().manual_seed(0)
        )
        results = answer_results(found, notes)
        publish(
            "seq2seq_multi30k",
            {
                "data": dataset.name,
                "budget": asked.budget,
                "seed": asked.seed,
                "plan": trained.run.environment.get("plan"),
                "parameters": sum(p.numel() for p in loaded.model.parameters()),
                "updates": trained.steps,
                "pairs_seen": trained.items,
                "cost": trained.run.status.get("cost"),
                "shared_machine": True,
                "results": {r.key: r.to_json() for r in results},
                "notes": notes,
                "examples": list(shown(found, 8)),
            },
            "python benchmarks/seq2seq_multi30k.py",
        )


if __name__ == "__main__":
    main()
