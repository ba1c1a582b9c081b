"""How good a character model of Tiny Shakespeare genloom trains in three minutes on a CPU, or in 25.

    GENLOOM_DATA=... python benchmarks/gpt_shakespeare.py [--budget 3m] [--seed 0] [--set FIELD=VALUE ...] [--name N]
    GENLOOM_DATA=... python benchmarks/gpt_shakespeare.py --long

Trains recipe `gpt` as it comes (--set changes fields) through `genloom.train` on the first 90 % of the characters; its
budget counts all that follows loading the data: measuring the precision, averaging, validation, previews, checkpoints.
The rest is scored.
Protocol: all held-out characters once, in windows of the context's length one after another (an incomplete last one is
left out), fp32, averaged weights; nats per character, averaged over all characters of the windows. `scored_all` counts
each window's first character, which the model predicts from its start symbol; `given_first` leaves it out, as scripts
do whose models must be given it.
--long: 25 minutes and the fields of LONG, for a text that is then read many times over.
For scale: nanoGPT's README states 1.88 after about 3 minutes for its CPU recipe (context 64, random windows), 1.47 for
its GPU recipe (context 256).
Prints one JSON document and writes it to results/gpt_shakespeare.json (--long: gpt_shakespeare_long.json; or
NAME.json).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import genloom
from genloom.core import Sampling
from genloom.data import load as load_data
from genloom.data.parts import TextSplit
from genloom.engine.load import load
from genloom.engine.precision import processor
from genloom.modalities.text import to_texts
from genloom.models.autoregressive.gpt import GPT
from genloom.runs import write_json

RESULTS = Path(__file__).parent / "results"
LONG = {
    "data.context": 512,
    "train.batch": 16,
    "config.width": 192,
    "config.depth": 5,
    "config.heads": 3,
    "config.dropout": 0.25,
    "config.embedding_dropout": 0.25,
    "config.blank": 0.05,
    "config.optimizer.weight_decay": 0.1,
}


@torch.no_grad()
def score(model: GPT, ids: torch.Tensor) -> dict[str, Any]:
    """Nats per character over ids (T,), in windows one after another."""
    windows = ids[: len(ids) // model.context * model.context].long().view(-1, model.context)
    surprise = torch.cat([model.surprise(part) for part in windows.split(64)]).double()
    return {
        "scored_all": surprise.mean().item(),
        "given_first": surprise[:, 1:].mean().item(),
        "characters": windows.numel(),
    }


def speed(model: GPT, n: int, length: int) -> float:
    """Characters a second when n texts are written together."""
    begun = time.monotonic()
    model.sample(n, options=Sampling(length=length), generator=torch.Generator().manual_seed(0))
    return n * length / (time.monotonic() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="3m", help="time or steps of training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", help="fields of the recipe")
    parser.add_argument("--long", action="store_true", help="25 minutes, with the fields of LONG")
    parser.add_argument("--name", default=None, help="of the result file")
    arguments = parser.parse_args()
    budget, name = ("25m", "gpt_shakespeare_long") if arguments.long else (arguments.budget, "gpt_shakespeare")
    changes = (LONG if arguments.long else {}) | dict(pair.split("=", 1) for pair in arguments.set)
    name = arguments.name or name
    with tempfile.TemporaryDirectory() as root:
        trained = genloom.train(
            "gpt", data="tinyshakespeare", budget=budget, seed=arguments.seed, runs=root, overrides=changes
        )
        loaded = load(trained.run)
        assert isinstance(loaded.model, GPT)
        assert loaded.tokenizer is not None
        held_out = load_data(loaded.settings.data).validation
        assert isinstance(held_out, TextSplit)
        text = to_texts(
            loaded.model.sample(1, options=Sampling(length=600), generator=torch.Generator().manual_seed(0))["text"],
            loaded.tokenizer,
        )[0]
        result = {
            "command": " ".join(["python benchmarks/gpt_shakespeare.py", *sys.argv[1:]]),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "processor": processor(),
                "cores": os.cpu_count(),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
            "budget": budget,
            "changes": changes,
            "seed": arguments.seed,
            "plan": trained.run.environment.get("plan"),
            "parameters": sum(p.numel() for p in loaded.model.parameters()),
            "context": loaded.model.context,
            "batch": loaded.settings.train.batch,
            "updates": trained.steps,
            "characters_seen": trained.items * loaded.model.context,
            "cost": trained.run.status.get("cost"),
            "nats_per_character": score(loaded.model, held_out.ids),
            "characters_per_second": {
                "one_text": speed(loaded.model, 1, 500),
                "64_texts": speed(loaded.model, 64, 500),
            },
            "sample": text,
        }
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / f"{name}.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
