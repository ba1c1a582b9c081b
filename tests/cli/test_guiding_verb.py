"""`genloom sample` of flows: solvers, steps, guidance, and every mistake in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import genloom
from genloom.cli.main import main
from genloom.errors import GenloomError

TINY = ["--config.widths", "32,32", "--config.blocks", "1,1", "--config.steps", "20", "--train.batch", "32",
        "--train.precision", "fp32", "--train.channels_last", "off"]  # fmt: skip


@pytest.fixture(scope="module")
def others(house: Path) -> Path:
    """Two more runs in the house: `worse` of the data of `flow`, and `untold` without classes."""
    train = ["train", "flow", "--data", "digits", "--runs", str(house / "runs"), *TINY]
    assert main([*train, "--name", "worse", "--budget", "1steps"]) == 0
    assert main([*train, "--name", "untold", "--budget", "1steps", "--data.labels", "false"]) == 0
    return house


BAD = {
    "steps": (["flow", "--steps", "0"], "--steps: expected at least 1, got 0"),
    "solver": (["flow", "--solver", "magic"], "expected one of adams, ddim, ddpm, dpmpp"),
    "near solver": (["flow", "--solver", "unipic"], "'unipc'"),
    "eta": (["flow", "--eta", "0.5"], "eta belongs to the solver ddim"),
    "eta range": (["flow", "--solver", "ddim", "--eta", "2"], "from 0"),
    "no condition": (["untold", "--guidance", "3"], "nothing to guide towards"),
    "no condition, interval": (["untold", "--interval", "0:0.5"], "not guided"),
    "no condition, negative": (["untold", "--negative", "3"], "trained without"),
    "interval": (["flow", "--interval", "0.8:0.2"], "LOW:HIGH"),
    "interval of nothing": (["flow", "--interval", "0:0.5"], "guidance is 1, which is none"),
    "interval word": (["flow", "--interval", "some"], "LOW:HIGH"),
    "negative": (["flow", "--negative", "giraffe"], "unknown class"),
    "negatives": (["flow", "--negative", "1,2"], "one class"),
    "partner itself": (["flow", "--partner", "flow"], "the run itself"),
    "partner of another kind": (["flow", "--partner", "pictures"], "same kind"),
    "partner of other data": (["flow", "--partner", "untold"], "same data"),
    "no such partner": (["flow", "--partner", "nobody"], "nobody"),
    "unguided partner": (["flow", "--partner", "worse", "--guidance", "1"], "needs guidance"),
}


@pytest.mark.parametrize("name", BAD)
def test_mistakes_take_one_line(name: str, others: Path, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, said = BAD[name]
    capsys.readouterr()
    assert main(["sample", *words, "-n", "2", "--raw"]) == 2
    err = capsys.readouterr().err.strip()
    assert said in err
    assert len(err.splitlines()) == 1


def test_ways_of_sampling_differ_and_repeat(others: Path, at_home: Path, tmp_path: Path) -> None:
    def draw(run: str = "flow", **choices: object) -> bytes:
        made = genloom.sample(run, n=2, raw=True, out=tmp_path / "x.npy", **choices)  # type: ignore[arg-type]
        return made.images.tobytes()

    usual = draw(guidance=20.0, label=3)
    assert usual == draw(guidance=20.0, label=3)
    for other in (
        {"solver": "ddpm"}, {"solver": "ddim", "eta": 0.5}, {"steps": 5}, {"interval": "0.0:0.6"}, {"negative": "4"},
        {"partner": "worse"},
    ):  # fmt: skip
        assert draw(**{"guidance": 20.0, "label": 3, **other}) != usual, other


def test_reconstruct_and_evaluate_a_flow(others: Path, at_home: Path, tmp_path: Path) -> None:
    made = genloom.reconstruct("worse", n=4, out=tmp_path / "pairs.npy")
    assert made.data["mse"] < 0.01
    torch.manual_seed(0)
    found = genloom.evaluate("worse", n=40)
    bits = found.evaluation["bits_per_dimension"]
    assert 0 < bits.value < 20
    assert bits.n <= 128
    assert bits.protocol["kind"] == "estimate"
    assert "Hutchinson" in str(bits.protocol["divergence"])
    assert bits.interval is not None


def test_python_says_the_same(others: Path, at_home: Path) -> None:
    with pytest.raises(GenloomError, match="nothing to guide towards"):
        genloom.sample("untold", n=1, guidance=2.0)
