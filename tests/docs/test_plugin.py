"""A package from elsewhere: installed into a folder, found by its entry points, usable by every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import ROOT, install

TALK = """
import sys
from genloom.cli.main import main
for line in sys.stdin.read().splitlines():
    assert main(line.split()) == 0, line
"""
COMMANDS = """
recipes
cite ppca
train ppca --data digits --budget 20steps --batch 32 --config.latent 4
sample 1 -n 9 --label 3 --out samples.npy
reconstruct 1 -n 4 --out pairs.png
interpolate 1 -n 2 --out walks.png
""".strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(ROOT / "tests" / "plugin", tmp_path_factory.mktemp("elsewhere") / "site")


def python(arguments: list[str], site: Path, folder: Path, said: str = "") -> str:
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "GENLOOM_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    call = [sys.executable, *arguments]
    done = subprocess.run(call, cwd=folder, env=environment, input=said, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_package_brings_a_model_and_a_recipe(site: Path, tmp_path: Path) -> None:
    import numpy as np

    said = python(["-c", TALK], site, tmp_path, COMMANDS)
    assert "a Gaussian of low rank for each class" in said
    assert "tipping1999probabilistic" in said
    assert (tmp_path / "runs" / "0001-ppca" / "config.json").exists()
    assert np.load(tmp_path / "samples.npy").shape == (9, 8, 8)
    assert (tmp_path / "pairs.png").stat().st_size > 0
    assert (tmp_path / "walks.png").stat().st_size > 0


@pytest.mark.slow
def test_its_own_test_passes(site: Path, tmp_path: Path) -> None:
    said = python(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(site / "test_ppca.py")], site, tmp_path)
    assert "1 passed" in said


def test_without_it_the_recipe_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    from genloom.cli.main import main

    assert main(["recipes", "ppca"]) == 2
    assert "unknown recipe 'ppca'" in capsys.readouterr().err
