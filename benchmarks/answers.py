"""What a small language model answers before and after it is taught: questions about a text, and summaries.

    GENLOOM_DATA=... python benchmarks/answers.py [--steps 300] [--items 200] [--only PART] [--runs DIR]

The base is the 15M story model. Questions: the set `passages`, held-out passages, where two of five questions have no
answer. Before: few-shot prompting with 0, 1 and 3 examples (the first training rows). After: `sft` (all weights) for
`--steps` updates of 16 questions. Summaries: the set `summaries`, prompts cut to 127 tokens, both for the base, which
is shown no examples, and for the tuned model. Reader: `seq2seq` on the same questions from nothing, five times as many
updates of 64. Answers are the likeliest tokens. Beside them: always abstaining, copying the prompt, and answers to
other prompts.

Prints one JSON document and writes it to results/answers.json; a part that is not asked for is kept from the last time.
`--steps 4 --items 16` tries the script.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

import genloom
from _result import RESULTS, publish
from genloom.core import Sampling
from genloom.engine.load import Loaded, load
from genloom.metrics.answers import Answered, answer_results, answered, shown
from genloom.runs import find
from genloom.verbs import shots
from genloom.verbs.exchange import import_model
from genloom.verbs.opened import data_of

LONGEST = {"passages": 16, "summaries": 80}  # tokens of an answer before tuning
CONTEXT = {"passages": 96, "summaries": 128}  # of a prompt, and of an answer
SHOTS = {"passages": (0, 1, 3), "summaries": (0,)}  # articles leave no room for examples


def figures(found: Answered) -> dict[str, Any]:
    """All that is measured of answers, and the first of them."""
    notes: list[str] = []
    results = {r.key: r.to_json() for r in answer_results(found, notes)}
    return {"results": results, "notes": notes, "examples": list(shown(found, 5))}


def before(base: Loaded, found: Answered, name: str, count: int) -> Answered:
    """The untuned model's answers to the same prompts, behind `count` examples."""
    given = shots.examples(name, count)
    options = Sampling(temperature=0.0, length=LONGEST[name])
    prompts = [p.strip() for p in found.prompts]  # subword tokenizers put a space before the first word
    texts = shots.answered(base, prompts, given, options, [0] * len(prompts))
    return Answered(found.prompts, tuple(texts), found.references)


def held_out(run: Any, items: int) -> tuple[Any, Answered]:
    """A run's data set, and its answers to held-out prompts of it."""
    taught = load(run)
    dataset = data_of(taught)
    assert taught.tokenizer is not None
    generator = torch.Generator().manual_seed(0)
    return dataset, answered(taught.model, dataset.test, "text", "prompt", taught.tokenizer, generator, most=items)


def told(trained: Any, dataset: Any, after: Answered) -> dict[str, Any]:
    """What a model learnt from, for how long, and what it answers now."""
    return {
        "data": dataset.name,
        "updates": trained.steps,
        "rows_seen": trained.items,
        "cost": trained.run.status.get("cost"),
        "held_out": len(after.prompts),
        "after": figures(after),
    }


def plain(steps: int) -> dict[str, str]:
    """Nothing probed, and held-out loss measured at the end alone: it takes as long as many updates."""
    return {"train.precision": "fp32", "train.validate_every": f"{steps}steps", "train.preview_every": f"{steps}steps"}


def reader(steps: int, items: int, runs: str) -> dict[str, Any]:
    """An encoder and a decoder that know nothing but the questions they were trained on."""
    trained = genloom.train("seq2seq", data="passages", budget=f"{5 * steps}steps", runs=runs, batch=64,
                            overrides={"data.context": 64, **plain(5 * steps)})  # fmt: skip
    return told(trained, *held_out(trained.run, items))


def measured(name: str, story: str, steps: int, items: int, runs: str) -> dict[str, Any]:
    """Before and after on one set."""
    trained = genloom.train(
        "sft", data=name, budget=f"{steps}steps", runs=runs, batch=16, given={"base": story},
        overrides={"data.context": CONTEXT[name], "data.read": "answers", **plain(steps)},
    )  # fmt: skip
    dataset, after = held_out(trained.run, items)
    base = load(find(story))
    earlier = {str(k): figures(before(base, after, name, k)) for k in SHOTS[name]}
    return {**told(trained, dataset, after), "context": CONTEXT[name], "before": earlier}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="updates of tuning, of each set")
    parser.add_argument("--items", type=int, default=200, help="held-out prompts")
    parser.add_argument("--only", choices=("questions", "summaries", "reader"), default=None)
    parser.add_argument("--runs", default=None, help="where the runs are kept")
    asked = parser.parse_args()
    kept = RESULTS / "answers.json"
    parts: dict[str, Any] = json.loads(kept.read_text())["parts"] if kept.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        runs = asked.runs or folder
        story = Path(runs) / "stories"
        if not story.exists():
            import_model("stories15m", "stories", runs)
        measures = {
            "questions": lambda: measured("passages", str(story), asked.steps, asked.items, runs),
            "summaries": lambda: measured("summaries", str(story), asked.steps, asked.items, runs),
            "reader": lambda: reader(asked.steps, asked.items, runs),
        }
        for part in measures if asked.only is None else [asked.only]:
            parts[part] = measures[part]()
            publish(
                "answers",
                {"base": "stories15m", "shared_machine": True, "parts": parts},
                f"python benchmarks/answers.py --steps {asked.steps} --items {asked.items}",
            )


if __name__ == "__main__":
    main()
