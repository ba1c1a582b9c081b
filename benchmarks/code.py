"""Functions from a sentence: pass@1 and pass@10 on combinations that training never saw.

    python benchmarks/code.py [--budget 5m] [--tasks 60] [--candidates 20]

Recipe `code-gpt` learns `python-functions`: three sentences for each of 3,498 combinations of what is taken, done and
made, each with its body. Of the held-out combinations of the test split as many as asked are drawn, one sentence of
each; the model continues the head and docstring to the end of the function. Greedy: one candidate. Drawn: n candidates
at temperature 0.8, of which pass@k is estimated without bias (Chen et al. 2021). Each different candidate runs once
with the task's five examples, in the sandbox of `genloom.metrics.code`. As a floor, an n-gram model of the same text
(order 7). Prints one JSON document and writes it to results/code.json.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import torch

import genloom
from _result import publish
from genloom.core import CanContinue, Decoding, Sampling, derive_seed
from genloom.data.sets.functions import Task, tasks
from genloom.data.splits import shuffled
from genloom.engine.load import Loaded, load
from genloom.metrics.code.pass_at_k import mean_pass_at_k
from genloom.metrics.code.sandbox import Limits, enforced, run
from genloom.modalities.text import Stops, cut
from genloom.samplers import decoding

END = ("\n\n",)


def answers(loaded: Loaded, asked: list[Task], n: int, temperature: float) -> list[list[str]]:
    """n bodies for each task; temperature 0 is greedy."""
    model, tokenizer = loaded.model, loaded.tokenizer
    assert isinstance(model, CanContinue)
    assert tokenizer is not None
    options = Sampling(temperature=temperature, length=160, decoding=Decoding())
    found = []
    for i, task in enumerate(asked):
        prompt = torch.tensor(tokenizer.encode(f"\n\n\n{task.prompt}"))  # as after another function
        own = [torch.Generator().manual_seed(derive_seed(0, "code", i, j)) for j in range(n)]
        texts = decoding.texts(model, [prompt] * n, options, own, ended=Stops(tokenizer, END))
        found.append([cut(tokenizer.decode(t.ids), END) for t in texts])
    return found


def judged(asked: list[Task], bodies: list[list[str]]) -> tuple[list[int], dict[str, int]]:
    """How many candidates of each task pass, and how all ended. The same candidate of a task runs once."""
    passed, ends = [], {}
    for task, candidates in zip(asked, bodies, strict=True):
        verdicts: dict[str, str] = {}
        for body in candidates:
            if body not in verdicts:
                verdicts[body] = run(f"{task.prompt}{body}\n{task.tests}", Limits(seconds=5)).verdict
            ends[verdicts[body]] = ends.get(verdicts[body], 0) + 1
        passed.append(sum(verdicts[body] == "passed" for body in candidates))
    return passed, ends


def scored(loaded: Loaded, asked: list[Task], n: int) -> dict[str, Any]:
    """All figures of one model."""
    begun = time.monotonic()
    greedy, _ = judged(asked, answers(loaded, asked, 1, 0.0))
    bodies = answers(loaded, asked, n, 0.8)
    writing = time.monotonic() - begun
    drawn, ends = judged(asked, bodies)
    figures = {"greedy_pass_1": mean_pass_at_k(greedy, 1, 1)} | {
        f"pass_{k}": mean_pass_at_k(drawn, n, k) for k in (1, 10) if k <= n
    }
    wrong = [(t.prompt + b[0]) for t, b, c in zip(asked, bodies, drawn, strict=True) if c < n][:3]
    return {
        **{k: {"value": r.value, "interval": r.interval} for k, r in figures.items()},
        "candidates_ended": ends,
        "seconds_of_writing": round(writing, 1),
        "example": asked[0].prompt + bodies[0][0],
        "of_tasks_not_always_right": wrong,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--tasks", type=int, default=60)
    parser.add_argument("--candidates", type=int, default=20)
    given = parser.parse_args()
    kinds = {task.kind: task for task in tasks()["test"]}
    asked = [list(kinds.values())[i] for i in shuffled(len(kinds), "asked").tolist()[: given.tasks]]
    with tempfile.TemporaryDirectory() as root:
        models = {}
        for recipe, budget in (("code-gpt", given.budget), ("ngram", "1m")):
            trained = genloom.train(recipe, data="python-functions", budget=budget, runs=root)
            loaded = load(trained.run)
            models[recipe] = {
                "budget": budget,
                "updates": trained.steps,
                "parameters": sum(p.numel() for p in loaded.model.parameters()),
                **scored(loaded, asked, given.candidates),
            }
    figures = {"machine_shared": True, "tasks": len(asked), "candidates": given.candidates, "limits": enforced()}
    command = f"python benchmarks/code.py --budget {given.budget} --tasks {given.tasks}"
    publish("code", figures | {"models": models}, f"{command} --candidates {given.candidates}")


if __name__ == "__main__":
    main()
