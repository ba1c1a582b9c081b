"""Does a run that is killed again and again end with the very same weights?

    python benchmarks/resume.py [--kills 50]

For each of several recipes, a process that trains on the digits is killed (SIGKILL) at a random moment after its first
checkpoint, and started again, until the run is finished; then its weights, averages and optimizer states are compared,
bit for bit, with those of a run that was never stopped. Kills are shared out over the recipes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from _result import publish
from genloom.data import load as load_data
from genloom.engine import checkpoint
from genloom.engine.train import Settings, create_run
from genloom.recipes.registry import get
from genloom.runs import Run

RECIPES = ("vae", "gan-mlp", "gan-mlp-bn", "r3gan", "flow", "gpt")
STEPS = {"gan-mlp": 12_000, "gan-mlp-bn": 3_000, "gpt": 150}
TRAIN = [sys.executable, "-m", "genloom", "train", "--resume"]


def start(run: Run) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*TRAIN, str(run.path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(run: Run) -> None:
    assert start(run).wait() == 0, f"{run.path} did not finish"


def make(recipe: str, name: str, root: Path) -> Run:
    made = get(recipe)
    steps = STEPS.get(recipe, 600)
    precision = "fp32" if "gan-mlp" in recipe else "bf16"  # one plan for both runs, as a resumed run keeps its own
    train = replace(made.train, budget=f"{steps}steps", checkpoint_every="1s", precision=precision)
    settings = Settings(recipe, made.model, made.config, made.data, train)
    return create_run(root, settings, load_data(made.data), name)


def differing(a: Run, b: Run) -> list[str]:
    step = a.checkpoints()[-1]
    files = checkpoint.read_state(a, step)["sha256"]
    found = []
    for name in (f.removesuffix(".safetensors") for f in files):
        x, y = (checkpoint.read_tensors(r, step, name) for r in (a, b))
        found += [f"{name}/{k}" for k in x if k not in y or not torch.equal(x[k], y[k])]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    moments, rows, done = random.Random(0), [], 0
    with tempfile.TemporaryDirectory() as folder:
        for place, recipe in enumerate(RECIPES):
            whole, killed = (make(recipe, f"{recipe}-{n}", Path(folder)) for n in ("whole", "killed"))
            begun = time.monotonic()
            finish(whole)
            length = time.monotonic() - begun
            wanted, count = -(-(kills - done) // (len(RECIPES) - place)), 0
            while count < wanted:
                process, seen = start(killed), killed.checkpoints()
                while process.poll() is None and killed.checkpoints() == seen:
                    time.sleep(0.01)  # each attempt makes some way, so that this ends
                time.sleep(moments.uniform(0, min(1.5, length / wanted)))
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGKILL)
                process.wait()
                count += 1
            finish(killed)
            wrong = differing(whole, killed)
            done += count
            rows.append(
                {"recipe": recipe, "kills": count, "steps": whole.status["step"], "differing_tensors": len(wrong)}
            )
            print(rows[-1], file=sys.stderr, flush=True)
    total = {"kills": done, "differing_tensors": sum(r["differing_tensors"] for r in rows), "recipes": rows}
    publish("resume", total, f"python benchmarks/resume.py --kills {kills}")
    os._exit(0 if not total["differing_tensors"] else 1)


if __name__ == "__main__":
    main()
