"""Functions from a sentence: pass@1 and pass@10 on combinations that training never saw.

    python benchmarks/code.py [--budget 5m] [--tasks 40] [--candidates 10] [--runs DIR]

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
from genloom.metrics.code.sandbox import Limits, enforced
from genloom.metrics.code.sandbox import run as execute
from genloom.modalities.text import Stops, cut
from genloom.runs import list_runs
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
                verdicts[body] = execute(f"{task.prompt}{body}\n{task.tests}", Limits(seconds=5)).verdict
            ends[verdicts[body]] = ends.get(verdicts[body], 0) + 1
        passed.append(sum(verdicts[body] == "passed" for body in candidates))
    return passed, ends


def scored(loaded: Loaded, asked: list[Task], n: int) -> dict[str, Any]:
    """All figures of one model; of greedy answers alone where n is 0."""
    begun = time.monotonic()
    first = answers(loaded, asked, 1, 0.0)
    bodies = answers(loaded, asked, n, 0.8) if n else first
    writing = time.monotonic() - begun
    greedy, ends = judged(asked, first)
    figures = {"greedy_pass_1": mean_pass_at_k(greedy, 1, 1)}
    if n:
        drawn, ends = judged(asked, bodies)
        figures |= {f"pass_{k}": mean_pass_at_k(drawn, n, k) for k in (1, 10) if k <= n}
    wrong = [task.prompt + body[0] for task, body, c in zip(asked, first, greedy, strict=True) if not c]
    return {
        **{k: {"value": r.value, "interval": r.interval} for k, r in figures.items()},
        "candidates_ended": ends,
        "seconds_of_writing": round(writing, 1),
        "greedy_example": asked[0].prompt + first[0][0],
        "greedy_wrong": wrong[:3],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="5m")
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--candidates", type=int, default=10)
    parser.add_argument("--runs", default=None, help="where trained models are kept")
    given = parser.parse_args()
    kinds = {task.kind: task for task in tasks()["test"]}
    asked = [list(kinds.values())[i] for i in shuffled(len(kinds), "asked").tolist()[: given.tasks]]
    with tempfile.TemporaryDirectory() as scratch:
        root = given.runs or scratch
        models = {}
        for recipe, budget, n in (("code-gpt", given.budget, given.candidates), ("ngram", "1m", 0)):
            kept = [run for run in list_runs(root) if run.config["recipe"] == recipe]
            run = kept[-1] if kept else genloom.train(recipe, data="python-functions", budget=budget, runs=root).run
            loaded = load(run)
            models[recipe] = {
                "budget": run.config["train"]["budget"],
                "updates": loaded.step,
                "parameters": sum(p.numel() for p in loaded.model.parameters()),
                **scored(loaded, asked, n),
            }
    figures = {"machine_shared": True, "tasks": len(asked), "candidates": given.candidates, "limits": enforced()}
    command = f"python benchmarks/code.py --budget {given.budget} --tasks {given.tasks}"
    publish("code", figures | {"models": models}, f"{command} --candidates {given.candidates}")


if __name__ == "__main__":
    main()
