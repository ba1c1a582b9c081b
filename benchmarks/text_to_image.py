"""Whether pictures drawn from captions show what was asked, against chance and real pictures.

    python benchmarks/text_to_image.py [--budget 20m] [--size nano] [--captions 400]

Trains the recipe `text-to-image` on emoji (`genloom data fetch emoji`), then measures R-precision of training captions,
of captions of held-out emoji, and of pairs of a colour and a shape that never met in training; and draws each of nine
prompts, the held-out pairs among them, from the same noise. Writes results/text_to_image.json and a sheet of pictures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image

from _result import RESULTS, publish, save_small
from genloom import data
from genloom.engine.journal import Reporter
from genloom.engine.load import load
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.retrieval import retrieval
from genloom.recipes import registry
from genloom.verbs.sample import sample

PROMPTS = (
    "red heart",
    "green heart",
    "yellow circle",
    "blue circle",
    "yellow square",
    "grinning face",
    "flag: France",
    "woman: dark skin tone",
    "house with garden",
)


def main() -> None:
    """Trains, measures, draws and publishes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", default="20m")
    parser.add_argument("--size", default="nano")
    parser.add_argument("--captions", type=int, default=400)
    options = parser.parse_args()
    recipe = registry.get("text-to-image", options.size)
    dataset = data.load(recipe.data)
    settings = Settings(
        "text-to-image", recipe.model, recipe.config, recipe.data, replace(recipe.train, budget=options.budget)
    )
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(folder, settings, dataset)
        done = train(run, dataset, reporter=Reporter())
        loaded = load(run)
        notes: list[str] = []
        started = time.perf_counter()
        assert dataset.tokenizer is not None
        results = retrieval(
            loaded.model,
            data.load(replace(recipe.data, labels=True)),  # as `genloom evaluate` has it: the same judge
            dataset.tokenizer,  # type: ignore[arg-type]
            torch.Generator(loaded.device).manual_seed(0),
            most=options.captions,
            notes=notes,
        )
        seconds = time.perf_counter() - started
        RESULTS.mkdir(exist_ok=True)
        sheet = Path(folder) / "sheet.png"
        sample(loaded, n=8, prompt=list(PROMPTS), out=sheet)
        save_small(Image.open(sheet), RESULTS / "text_to_image.png")
    figures = {
        r.key: {
            "name": r.name,
            "value": round(r.value, 4),
            "interval": [round(v, 4) for v in r.interval or ()],
            "n": r.n,
            "chance": round(r.protocol["chance"], 4),
            "real_pictures": r.protocol["floor"],
            "candidates": r.protocol["candidates"],
            "judge": r.protocol["judge"],
        }
        for r in results
    }
    publish(
        "text_to_image",
        {
            "trained": {"seconds": round(done.seconds), "steps": done.steps, "items": done.items},
            "parameters": sum(p.numel() for p in loaded.model.parameters()),
            "measuring_seconds": round(seconds),
            "r_precision": figures,
            "notes": notes,
            "prompts": list(PROMPTS),
        },
        f"python benchmarks/text_to_image.py --budget {options.budget} --size {options.size}",
    )


if __name__ == "__main__":
    main()
