"""A story model taught by its own revisions: `genloom revise`, DPO on what it writes, and revising once more.

    GENLOOM_DATA=... python benchmarks/principles.py [--prompts 160] [--held-out 64] [--steps 40] [--runs DIR]

The 15M story model, three principles: a cheerful word stands in the story, no sad word does, and it has at least 20
words. Drafts of 40 tokens after beginnings of stories are revised in up to four tries; `dpo` learns the preferences.
Told is how many drafts break each principle after held-out beginnings, before and after, from the same seeds; the share
that breaks none with Wilson's interval, the gain with Newcombe's. What a model that learns the letter of rules loses is
told by `align_stories.py`.

Prints one JSON document and writes it to results/principles.json. `--prompts 24 --held-out 8 --steps 2` tries the
script.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import genloom
from _result import publish
from align_stories import HAPPY, LENGTH, SAD, prompts
from genloom.metrics.paired import newcombe, wilson
from genloom.verbs.exchange import import_model, merge
from genloom.verbs.revise import revise

SHORTEST = 20  # words


def constitution(folder: Path) -> Path:
    """The three principles as a file."""
    rows = [
        {"name": "cheerful", "has": sorted(HAPPY)},
        {"name": "nobody is sad", "lacks": sorted(SAD), "weight": 2},
        {"name": "long enough", "words": [SHORTEST, 1000], "weight": 0.5},
    ]
    path = folder / "principles.json"
    path.write_text(json.dumps({"principle": rows}))
    return path


def told(run: str, asked: list[str], law: Path, out: Path, seed: int, tries: int) -> dict[str, Any]:
    """What became of the drafts, and a few of them."""
    found = revise(run, asked, law, tries=tries, length=LENGTH, seed=seed, out=out)
    rows = [json.loads(line) for line in (out / "critiques.jsonl").read_text().splitlines()]
    good, many = found.more["good_drafts"], found.more["drafts"]
    kinds = ("drafts", "good_drafts", "revised", "improved", "given_up", "preferences")
    return {
        **{k: found.more[k] for k in kinds},
        "good_share": good / many,
        "good_share_interval": wilson(good / many, many),
        "broken_by_drafts": {row[0]: row[2] for row in found.rows},
        "broken_at_last": {row[0]: row[3] for row in found.rows},
        "examples": [{k: row[k] for k in ("prompt", "draft", "revision")} for row in rows[:4]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=160)
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40, help="updates of DPO, of 8 pairs")
    parser.add_argument("--tries", type=int, default=4)
    parser.add_argument("--runs", default=None, help="where the runs are kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held)
        runs = asked.runs or held
        story = str(import_model("stories15m", None, runs).data["run"])
        law, texts = constitution(folder), prompts(asked.prompts + asked.held_out)
        taught, rest = texts[: asked.prompts], texts[asked.prompts :]
        figures: dict[str, Any] = {"prompts": len(taught), "held_out": len(rest), "steps": asked.steps,
                                   "tries": asked.tries, "tokens": LENGTH, "shared_machine": True}  # fmt: skip
        figures["taught"] = told(story, taught, law, folder / "taught", 1, asked.tries)
        figures["before"] = told(story, rest, law, folder / "before", 2, 1)
        trained = genloom.train(
            "dpo", data=str(folder / "taught" / "preferences.jsonl"), budget=f"{asked.steps}steps", batch=8, runs=runs,
            given={"reference": story}, overrides={"data.context": 64, "train.precision": "fp32"},
        )  # fmt: skip
        merged = str(merge(trained.run, runs=runs).data["run"])
        figures["after"] = told(merged, rest, law, folder / "after", 2, 1)
        good = [figures[k]["good_drafts"] for k in ("before", "after")]
        figures["gain"] = (good[1] - good[0]) / len(rest)
        figures["gain_interval"] = newcombe(good[0], len(rest), good[1], len(rest))
        figures["cost"] = trained.run.status.get("cost")
        publish("principles", figures, f"python benchmarks/principles.py --prompts {asked.prompts} "
                f"--held-out {asked.held_out} --steps {asked.steps} --tries {asked.tries}")  # fmt: skip


if __name__ == "__main__":
    main()
