"""`genloom traverse`: codes one at a time, numbers of a plain latent, what it refuses; points end to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import genloom
from genloom.cli.main import main

FAST = ["--train.batch", "32", "--train.precision", "fp32", "--train.channels_last", "off", "--budget", "4steps"]


@pytest.fixture(scope="module")
def coded(house: Path) -> str:
    small = ["--config.width", "8", "--config.features", "8", "--config.categories", "3", "--config.continuous", "1"]
    words = ["train", "infogan", "--data", "digits", "--name", "coded", "--runs", str(house / "runs")]
    assert main([*words, *small, *FAST]) == 0
    return "coded"


def test_codes_one_at_a_time(at_home: Path, coded: str, tmp_path: Path) -> None:
    made = genloom.traverse(coded, n=2, points=4, out=tmp_path / "all.npy")
    assert len(made.data["codes"]) == 2
    assert np.load(tmp_path / "all.npy").shape == (2 * 3 + 2 * 4, 8, 8)  # a category's three values, four of a number
    one = genloom.traverse(coded, n=1, points=4, code="code 1", out=tmp_path / "one.png")
    assert len(one.images) == 4
    assert one.png[:4] == b"\x89PNG"


def test_numbers_of_a_plain_latent(at_home: Path, tmp_path: Path) -> None:
    made = genloom.traverse("gan", n=1, points=3, out=tmp_path / "x.png")
    assert len(made.data["codes"]) == 8
    assert all(title.startswith("number ") for title in made.data["codes"])
    assert len(made.images) == 24


def test_what_it_refuses(at_home: Path, coded: str, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        ([coded, "--code", "code 7"], "category 1, code 1"),
        (["gan", "--code", "code 1"], "names no codes"),
        (["words"], "shows images"),
        ([coded, "--points", "1"], "at least 2"),
    ):
        assert main(["traverse", *words]) == 2
        err = capsys.readouterr().err
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_codes_are_measured(at_home: Path, coded: str) -> None:
    found = genloom.evaluate(coded, n=60, page=False)
    assert 0.0 <= found["code_error:label"] <= 1.0


def test_points_are_trained_sampled_and_measured(at_home: Path, tmp_path: Path) -> None:
    words = ["train", "gan", "--data", "ring", "--config.conditional", "false", "--name", "ring", *FAST]
    assert main(words) == 0
    for ending in ("csv", "npy", "png"):
        genloom.sample("ring", n=5, out=tmp_path / f"p.{ending}")
    assert np.load(tmp_path / "p.npy").shape == (5, 2)
    assert (tmp_path / "p.csv").read_text().splitlines()[0] == "x1,x2"
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 6
    found = genloom.evaluate("ring", n=200, page=False)
    assert 0 <= found["modes"] <= 8
