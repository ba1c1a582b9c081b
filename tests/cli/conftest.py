"""Small finished runs, trained once: what the faces look at."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TINY = ["--train.batch", "32", "--train.precision", "fp32", "--train.channels_last", "off"]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs `pictures` (vae-mlp, encodes), `flow` (classes), `gan` (no latent codes) and `words` (gpt)."""
    from genloom.cli.main import main

    folder = tmp_path_factory.mktemp("house")
    cache = os.environ.get("GENLOOM_CACHE")
    os.environ["GENLOOM_CACHE"] = str(folder / "cache")
    (folder / "words.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 200)
    small = ["--runs", str(folder / "runs"), *TINY]
    digits = ["--data", "digits", "--budget", "4steps", *small]
    try:
        assert main(["train", "vae-mlp", "--name", "pictures", "--config.hidden", "16", *digits]) == 0
        flow = [
            "--config.widths",
            "32,32",
            "--config.blocks",
            "1,1",
            "--config.steps",
            "2",
            "--config.optimizer.lr",
            "0.1",
        ]
        assert main(["train", "flow", "--name", "flow", *flow, *digits, "--config.optimizer.warmup", "0"]) == 0
        assert main(["train", "gan-mlp", "--name", "gan", *digits]) == 0
        gpt = ["--config.width", "32", "--config.depth", "1", "--config.heads", "2", "--config.pairs", "64"]
        text = ["--data", str(folder / "words.txt"), "--data.context", "16", "--budget", "4steps"]
        assert main(["train", "gpt", "--name", "words", *gpt, *text, *small]) == 0
    finally:
        os.environ.pop("GENLOOM_CACHE") if cache is None else os.environ.update(GENLOOM_CACHE=cache)
    return folder


@pytest.fixture
def at_home(house: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder as the current one, with its cache."""
    monkeypatch.chdir(house)
    monkeypatch.setenv("GENLOOM_CACHE", str(house / "cache"))
    return house
