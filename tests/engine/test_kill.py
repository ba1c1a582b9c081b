"""Killed at any moment and resumed, a run ends with the very same weights. Real processes, real SIGKILL."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from genloom.engine import checkpoint
from genloom.engine.journal import Reporter
from genloom.engine.train import train
from genloom.runs import Run

SCRIPT = """
import sys
from genloom.engine.journal import Reporter
from genloom.engine.train import train
from genloom.runs import Run
from genloom.testing import fake_images
train(Run(sys.argv[1]), fake_images(), reporter=Reporter(None))
"""


def start(run: Run) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(run.path)], env=environment)


def wait_for(condition: object, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while not condition() and process.poll() is None:  # type: ignore[operator]
        assert time.monotonic() < deadline, "the process made no checkpoint"
        time.sleep(0.005)


def final_weights(run: Run) -> dict[str, torch.Tensor]:
    step = run.checkpoints()[-1]
    return {f"{n}/{k}": t for n in ("model", "ema") for k, t in checkpoint.read_tensors(run, step, n).items()}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vae-mlp", "gan-mlp"])
def test_killed_at_random_moments_and_resumed_equals_never_killed(shop, model: str) -> None:  # type: ignore[no-untyped-def]
    moments = random.Random(model)
    options = {
        "budget": "400steps",
        "checkpoint_every": "20steps",
        "validate_every": "90steps",
        "preview_every": "60steps",
    }
    whole, killed = shop.make(model, name="whole", **options), shop.make(model, name="killed", **options)
    train(whole, shop.dataset, reporter=Reporter(None))
    kills = 0
    for _ in range(3):
        process, before = start(killed), len(list((killed.path / "checkpoints").iterdir()))
        wait_for(lambda seen=before: len(list((killed.path / "checkpoints").iterdir())) > max(1, seen % 2), process)
        time.sleep(moments.random() * 0.3)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
        if killed.status["state"] == "finished":
            break
    assert kills, "the run ended before it could be killed: raise its budget"
    assert killed.status["state"] == "running"
    assert start(killed).wait(timeout=90) == 0
    assert killed.status["state"] == "finished"
    expected, got = final_weights(whole), final_weights(killed)
    assert expected.keys() == got.keys()
    differing = [k for k in expected if not torch.equal(expected[k], got[k])]
    assert not differing, f"{differing[0]} and {len(differing) - 1} more differ after {kills} kills"
    steps = [r["step"] for r in killed.metrics()]
    assert steps == sorted(steps)


def test_half_written_checkpoints_do_not_count(shop) -> None:  # type: ignore[no-untyped-def]
    run = shop.make()
    train(run, shop.dataset, reporter=Reporter(None))
    last = run.checkpoints()[-1]
    (run.checkpoint(last) / "state.json").unlink()
    assert run.checkpoints()[-1] < last
    (run.path / "checkpoints" / ".00000099.part").mkdir()
    (run.path / "checkpoints" / ".00000099.part" / "state.json").write_text(json.dumps({}))
    assert 99 not in run.checkpoints()


def test_a_cut_line_of_metrics_is_left_out(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "vae", {})
    run.append_metrics({"step": 1})
    with open(run.path / "metrics.jsonl", "a") as f:
        f.write('{"step": 2, "lo')
    assert run.metrics() == [{"step": 1}]
    run.cut_metrics(1)
    run.append_metrics({"step": 2})
    assert [r["step"] for r in run.metrics()] == [1, 2]
