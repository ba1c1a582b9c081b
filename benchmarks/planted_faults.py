"""The watch over a run: how often it names a fault that was planted, and how often it accuses a run that is well.

    python benchmarks/planted_faults.py [--seeds 5] [--first-seed 10] [--healthy 150] [--processes 1] [--minutes M]

Short runs of small recipes on small data (`_faults.py`), budgets in steps. Rows come sixty times a run instead of once
a second, so that a run does not depend on how busy the machine is; the watch takes its usual share of processor time.
Every run's outcome is appended to --out, and the same command goes on where it stopped; nothing is published before all
are there. On one quiet core it takes about an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import _faults
from _faults import FAULTS, HEALTHY, Variant
from _result import publish
from genloom import data
from genloom.engine import budget, health, trainer
from genloom.engine.journal import Reporter
from genloom.engine.train import create_run, train
from genloom.errors import GenloomError
from genloom.models.registry import model_class

ROWS = 60
"""Rows of a run, as many as one of a minute has."""
Job = tuple[str, int]
"""The name of a fault, or "healthy", and a seed."""


def variant_of(job: Job) -> Variant:
    """How a job is run."""
    name, seed = job
    ways = HEALTHY if name == "healthy" else next(f.variants for f in FAULTS if f.name == name)
    return ways[seed % len(ways)]


def run_one(job: Job, folder: Path, keep: bool) -> dict[str, Any]:
    """Trains one run and says what the watch found."""
    torch.set_num_threads(1)
    variant = variant_of(job)
    settings = _faults.settings(variant, job[1], folder / "data")
    every = max(1, (variant.steps or _faults.STEPS[variant.recipe]) // ROWS)

    def by_steps(interval: budget.Interval, now: float, step: int) -> budget.Timer:
        """A timer that a second of the clock does not ring: rows come by steps."""
        rows = interval == budget.Interval(seconds=1.0)
        return budget.Timer(budget.Interval(steps=every) if rows else interval, now, step)

    place = folder / "runs" / f"{job[0].replace(' ', '-').replace(',', '')}-{job[1]}"
    shutil.rmtree(place, ignore_errors=True)
    began = time.thread_time()
    plenty = patch.object(health, "SHARE", 1e9) if job[0] != "cost" else nullcontext()
    with variant.plant(model_class(settings.model)), patch.object(trainer, "Timer", by_steps), plenty:
        dataset = data.load(settings.data)
        run = create_run(place, settings, dataset)
        state = "finished"
        try:
            train(run, dataset, reporter=Reporter(None))
        except GenloomError as e:
            state = str(e)
    metrics = list(run.metrics())
    readings = Counter(k.split("/")[1] for row in metrics for k in row if k.startswith("watch/"))
    outcome = {
        "fault": job[0],
        "seed": job[1],
        "recipe": variant.recipe,
        "data": variant.data,
        "state": state,
        "found": [{k: f[k] for k in ("name", "level", "step", "until", "seen")} for f in run.health()],
        "processor_seconds": round(time.thread_time() - began, 2),
        "watch_seconds": next((row["watch/seconds"] for row in reversed(metrics) if "watch/seconds" in row), None),
        "readings": dict(readings),
    }
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    else:
        for part in ("checkpoints", "events"):
            shutil.rmtree(run.path / part, ignore_errors=True)
    return outcome


def done_in(path: Path) -> dict[Job, dict[str, Any]]:
    """Outcomes that are there already; a last line cut short is left out."""
    found: dict[Job, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            outcome = json.loads(line)
        except ValueError:
            continue
        found[outcome["fault"], outcome["seed"]] = outcome
    return found


def summary(outcomes: dict[Job, dict[str, Any]], jobs: list[Job]) -> dict[str, Any]:
    """What is published: for each fault how many were named rightly and what else was said; false alarms."""
    rows, named, total = [], 0, 0
    for fault in FAULTS:
        runs = [outcomes[job] for job in jobs if job[0] == fault.name]
        if not runs:
            continue
        said = [{f["name"] for f in run["found"]} for run in runs]
        hits = sum(bool(names & set(fault.right)) for names in said)
        others = Counter(name for names in said for name in names - set(fault.right))
        rows.append({"fault": fault.name, "right": list(fault.right), "named": hits, "runs": len(runs),
                     "others": dict(others.most_common())})  # fmt: skip
        named, total = named + hits, total + len(runs)
    healthy = [outcomes[job] for job in jobs if job[0] == "healthy"]
    alarms = [
        {"recipe": r["recipe"], "data": r["data"], "seed": r["seed"], "found": [f["name"] for f in r["found"]]}
        for r in healthy
        if r["found"]
    ]
    return {
        "faults": rows,
        "named": named,
        "faulty_runs": total,
        "healthy_runs": len(healthy),
        "false_alarms": len(alarms),
        "alarms": alarms,
    }


def shown(figures: dict[str, Any]) -> str:
    """The summary as a person reads it."""
    lines = [f"{r['named']}/{r['runs']}  {r['fault']} ({' or '.join(r['right'])})"
             + (f"; also {', '.join(f'{k} {n}' for k, n in r['others'].items())}" if r["others"] else "")
             for r in figures["faults"]]  # fmt: skip
    lines.append(f"{figures['named']} of {figures['faulty_runs']} faulty runs named rightly")
    lines.append(f"{figures['false_alarms']} false alarms over {figures['healthy_runs']} healthy runs")
    lines += [f"   {a['recipe']} on {a['data']}, seed {a['seed']}: {', '.join(a['found'])}" for a in figures["alarms"]]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each fault")
    parser.add_argument("--first-seed", type=int, default=10)
    parser.add_argument("--healthy", type=int, default=150, help="healthy runs")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="stop after so long; the same command goes on")
    parser.add_argument("--only", help="faults whose name holds this, or healthy; publishes nothing")
    parser.add_argument("--keep", action="store_true", help="keep the numbers of every run")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "genloom-planted-faults")
    a = parser.parse_args()
    begun, log = time.monotonic(), a.out / "outcomes.jsonl"
    seeds = range(a.first_seed, a.first_seed + a.seeds)
    jobs: list[Job] = [(f.name, s) for s in seeds for f in FAULTS]
    jobs += [("healthy", s) for s in range(100 * a.first_seed, 100 * a.first_seed + a.healthy)]
    jobs = [job for job in jobs if not a.only or a.only in job[0]]
    if not (a.out / "data").exists():
        draft = a.out / "data.draft"
        _faults.make(draft)
        draft.rename(a.out / "data")
    there = done_in(log)
    waiting = iter([job for job in jobs if job not in there])
    with ProcessPoolExecutor(a.processes) as pool:
        under_way = set()
        while True:
            while len(under_way) < a.processes and not (a.minutes and time.monotonic() - begun > 60 * a.minutes):
                job = next(waiting, None)
                if job is None:
                    break
                under_way.add(pool.submit(run_one, job, a.out, a.keep))
            if not under_way:
                break
            future = next(as_completed(under_way))
            under_way.remove(future)
            outcome = future.result()
            there[outcome["fault"], outcome["seed"]] = outcome
            with open(log, "a", encoding="utf-8") as f:
                f.write(json.dumps(outcome) + "\n")
            names = ", ".join(f["name"] for f in outcome["found"]) or "-"
            print(f"{outcome['fault']}, seed {outcome['seed']} ({outcome['recipe']}, {outcome['data']}): {names} "
                  f"[{outcome['processor_seconds']:.1f} s]", flush=True)  # fmt: skip
    finished = [job for job in jobs if job in there]
    figures = summary(there, finished)
    print(shown(figures))
    if len(finished) < len(jobs):
        print(f"{len(jobs) - len(finished)} runs are missing; the same command goes on", file=sys.stderr)
        return 130
    if not a.only:
        publish("planted_faults", figures, f"python benchmarks/planted_faults.py --seeds {a.seeds} --first-seed "
                f"{a.first_seed} --healthy {a.healthy}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
