"""What alignment does to the 15M story model: a reward model, DPO and GRPO on one checkable preference.

    python benchmarks/align_stories.py [--prompts 160] [--steps 40] [--runs DIR]

The preference is a rule, so that every result can be checked: of two ways in which a story goes on, the one with more
happy words (smiled, fun, friend ...) and fewer sad ones (cried, scared, lost ...) is better. Pairs are drawn from the
story model itself, ties left out. `reward` and `dpo` learn the pairs, `grpo` learns from the reward model. Then each
goes on from held-out prompts, at temperature 1, beside the story model with the same seeds. Told are the share of
prompts on which it wins by the rule (ties half, Wilson's 95 % interval), the divergence spent
(mean of log p - log q per token of its own answers), and what a cheated reward would show: what the untuned model
thinks of the answers (nats per token), and how many of their pairs of tokens are distinct.
Prints one JSON document and writes it to results/align_stories.json.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import torch

import genloom
from _result import publish
from genloom.core import Sampling, derive_seed
from genloom.engine.load import load
from genloom.metrics.paired import wilson
from genloom.modalities.ended import lengths, rows_of
from genloom.models.autoregressive.grpo import distinct_pairs
from genloom.samplers import decoding
from genloom.verbs.exchange import import_model

HAPPY = frozenset(
    ("happy", "smiled", "laughed", "fun", "loved", "glad", "friend", "friends", "played", "joy", "proud", "hugged")
)
SAD = frozenset(
    ("sad", "cried", "scared", "afraid", "angry", "lost", "hurt", "mad", "sorry", "alone", "broke", "worried", "bad")
)
NAMES = ("Lily", "Tom", "Mia", "Ben", "Sue", "Max", "Anna", "Sam", "Zoe", "Tim", "Lucy", "Jack", "Amy", "Leo", "Ella")
WHO = ("little girl", "small dog", "brave boy", "old cat", "big bear", "tiny bird", "kind rabbit", "young fox")
THEN = ["One day,", "In the morning,", "At the park,", "Then it began to rain and"]
LENGTH = 40


def joy(text: str) -> int:
    """The rule: happy words less sad ones."""
    words = re.findall(r"[a-z]+", text.lower())
    return sum(w in HAPPY for w in words) - sum(w in SAD for w in words)


def prompts(count: int) -> list[str]:
    """Beginnings of stories in a fixed mixed order."""
    every = [
        f"Once upon a time, there was a {who} named {name}. {then}" for name in NAMES for who in WHO for then in THEN
    ]
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(0))[:count]
    return [every[i] for i in order.tolist()]


def written(model: Any, ids: list[torch.Tensor], end: int, seed: int) -> torch.Tensor:
    """What a language model adds to each prompt, rows of ids with their ends."""
    generators = [torch.Generator().manual_seed(derive_seed(seed, i)) for i in range(len(ids))]
    found = []
    for start in range(0, len(ids), 64):
        part = slice(start, start + 64)
        found += decoding.texts(
            model, ids[part], Sampling(length=LENGTH), generators[part], ended=lambda t: t[-1] == end
        )
    return rows_of([[t for t in one.ids if t != end] for one in found], LENGTH + 1, end)


def measured(
    policy: Any, judge: Any, tokenizer: Any, ids: list[torch.Tensor], texts: list[str], base: list[int]
) -> Any:
    """The figures of a tuned model beside those of the untuned one, whose joy on each prompt is `base`."""
    end = tokenizer.end
    with policy.tuned():
        rows = written(policy.base, ids, end, seed=7)
    own = [joy(tokenizer.decode(r)) for r in rows.tolist()]
    won = torch.tensor([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in zip(own, base, strict=True)])
    asked = rows_of([i.tolist() for i in ids], max(map(len, ids)) + 1, end)
    sequence, counts = policy.sequences(rows, asked)
    with torch.no_grad():
        logp, known = policy.logp(sequence, counts), policy.logp(sequence, counts, reference=True)
        worth = judge.judge(asked, rows).mean().item()
    return {
        "win_rate": won.mean().item(),
        "interval": list(wilson(won.mean().item(), len(won))),
        "ties": (won == 0.5).float().mean().item(),
        "joy": sum(own) / len(own),
        "reward": worth,
        "kl_per_token": ((logp - known).sum() / counts.sum()).item(),
        "reference_nats_per_token": (-known.sum() / counts.sum()).item(),
        "distinct_pairs": distinct_pairs(rows, lengths(rows, end)).item(),
        "examples": [p + tokenizer.decode(r) for p, r in zip(texts[:4], rows.tolist(), strict=False)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=160)
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--runs", default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = asked.runs or folder
        story = str(import_model("stories15m", "stories", runs).data["run"])
        loaded = load(_run(story))
        model, tokenizer = loaded.model, loaded.tokenizer
        assert tokenizer is not None
        texts = prompts(asked.prompts + asked.held_out)
        ids = [torch.tensor(tokenizer.encode(t)) for t in texts]
        taught, held = slice(0, asked.prompts), slice(asked.prompts, None)
        both = [[tokenizer.decode(r) for r in written(model, ids[taught], tokenizer.end, s).tolist()] for s in (1, 2)]
        rows = []
        for prompt, first, second in zip(texts[taught], *both, strict=True):
            if joy(first) != joy(second):
                better, worse = (first, second) if joy(first) > joy(second) else (second, first)
                rows.append({"prompt": prompt, "chosen": better, "rejected": worse})
        data = Path(folder) / "happy.jsonl"
        data.write_text("".join(json.dumps(r) + "\n" for r in rows))
        figures: dict[str, Any] = {"prompts": asked.prompts, "pairs": len(rows), "steps": asked.steps}
        figures |= {
            "held_out": asked.held_out,
            "temperature": 1.0,
            "tokens": LENGTH,
            "shared_machine": True,
            "models": {},
        }
        common: dict[str, Any] = {"data": str(data), "runs": runs,
                                  "overrides": {"data.context": 64, "train.precision": "fp32"}}  # fmt: skip
        judged = genloom.train(
            "reward", budget=f"{asked.steps}steps", batch=8, name="reward", given={"base": story}, **common
        )
        judge: Any = load(judged.run).model
        figures["reward_model"] = {"right": _last(judged.run, "prefer/right"), "cost": judged.run.status.get("cost")}
        base_rows = written(model, ids[held], tokenizer.end, seed=7)
        base = [joy(tokenizer.decode(r)) for r in base_rows.tolist()]
        figures["models"]["untuned"] = {
            "joy": sum(base) / len(base),
            "distinct_pairs": distinct_pairs(base_rows, lengths(base_rows, tokenizer.end)).item(),
            "examples": [p + tokenizer.decode(r) for p, r in zip(texts[held][:4], base_rows.tolist(), strict=False)],
        }
        held_rows = rows_of([i.tolist() for i in ids[held]], max(map(len, ids[held])) + 1, tokenizer.end)
        with torch.no_grad():
            figures["models"]["untuned"]["reward"] = judge.judge(held_rows, base_rows).mean().item()
        for name, steps, given in (
            ("dpo", asked.steps, {"reference": story}),
            ("grpo", asked.steps // 3, {"reference": story, "reward": str(judged.run.path)}),
        ):
            trained = genloom.train(name, budget=f"{steps}steps", name=name, given=given, **common)
            tuned: Any = load(trained.run).model
            found = measured(tuned.policy, judge, tokenizer, ids[held], texts[held], base)
            figures["models"][name] = {**found, "updates": trained.steps, "cost": trained.run.status.get("cost")}
            told = f"--prompts {asked.prompts} --held-out {asked.held_out} --steps {asked.steps}"
            publish("align_stories", figures, f"python benchmarks/align_stories.py {told}")


def _run(path: str) -> Any:
    from genloom.runs import find

    return find(path)


def _last(run: Any, key: str) -> float:
    """The mean of a figure over the last quarter of a run."""
    values = [row[key] for row in run.metrics() if key in row]
    last = values[-max(1, len(values) // 4) :]
    return sum(last) / len(last)


if __name__ == "__main__":
    main()
