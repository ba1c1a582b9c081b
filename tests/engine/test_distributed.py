"""torchrun with two processes trains what one process trains with the same global batch."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from genloom.engine import checkpoint
from genloom.engine.distributed import World
from genloom.engine.journal import Reporter
from genloom.engine.train import train
from genloom.errors import BadValue
from genloom.models.registry import model_class
from genloom.runs import Run

SCRIPT = """
import sys
from itertools import pairwise
from genloom.engine.journal import Reporter
from genloom.engine.train import train
from genloom.runs import Run
from genloom.testing import fake_images
train(Run(sys.argv[1]), fake_images(), reporter=Reporter(None))
"""


def torchrun(run: Run, script: str) -> None:
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--master-port",
        "0",
        "--standalone",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, script, str(run.path)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_equal_one(shop, tmp_path) -> None:  # type: ignore[no-untyped-def]
    # second-order phases included; plain SGD-like rates keep Adam from blowing rounding up where gradients vanish
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    config = model_class("r3gan").Config(width=8, latent=4, embedding=4)
    options = {"budget": "6steps", "batch": 10, "config": config, "keep": 9}
    alone, together = shop.make("r3gan", name="alone", **options), shop.make("r3gan", name="together", **options)
    train(alone, shop.dataset, reporter=Reporter(None))
    torchrun(together, str(script))
    assert together.status["state"] == "finished"
    assert together.environment["processes"] == 2
    a, b = (checkpoint.read_tensors(r, 6, "model") for r in (alone, together))
    start = checkpoint.read_tensors(alone, 0, "model")
    moved = max((a[k] - start[k]).abs().max().item() for k in a if a[k].is_floating_point())
    invariant = {"discriminator.out.bias"}  # a relativistic loss does not depend on it: its gradient is rounding alone
    for name in a.keys() - invariant:
        gap = (a[name].double() - b[name].double()).abs().max().item()
        assert gap < 0.02 * moved, f"{name} differs by {gap:.2g}, weights moved {moved:.2g}"


def test_rows_are_shared_out_without_gaps() -> None:
    for total in (2, 7, 10):
        shares = (
            [World(r, 3).rows(total) for r in range(3)] if total >= 3 else [World(r, 2).rows(total) for r in range(2)]
        )
        assert shares[0][0] == 0
        assert shares[-1][1] == total
        assert all(a[1] == b[0] for a, b in pairwise(shares))


def test_too_small_a_batch_is_refused() -> None:
    with pytest.raises(BadValue, match="cannot feed 4 processes"):
        World(0, 4).rows(3)


def test_alone_every_operation_gives_back_what_it_got() -> None:
    world, x = World(), torch.ones(3, requires_grad=True)
    assert world.gather(x, 3) is x
    assert world.agree([1.5]) == [1.5]
    assert world.agree_text("a") == "a"
    assert world.mean([2.0], 1.0) == [2.0]
    assert world.any(True)
    assert world.leads
