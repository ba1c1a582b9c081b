"""`genloom sample --prompt` for models that are told captions: rows, words nobody knows, and what cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genloom.cli.main import main
from genloom.engine.journal import Reporter
from genloom.engine.options import TrainOptions
from genloom.engine.train import Settings, create_run, train
from genloom.modalities.image import read_metadata
from genloom.models.diffusion.flow import FlowConfig
from genloom.runs import Run
from genloom.testing.fakes import fake_captioned

CONFIG = FlowConfig(widths=(16, 16), blocks=(1, 1), embedding=16, steps=3, guidance=2.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = fake_captioned(48)
    options = TrainOptions(budget="12steps", batch=8, precision="fp32", device="cpu", preview_every="1h")
    settings = Settings("text-to-image", "flow", CONFIG, data.options, options)
    made = create_run(tmp_path_factory.mktemp("runs"), settings, data)
    train(made, data, reporter=Reporter(None))
    return made


def test_rows_share_their_noise(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.npy"
    prompts = ["--prompt", "red wide bar", "--prompt", "blue tall bar", "--prompt", "red wide bar"]
    assert main(["sample", str(run.path), *prompts, "-n", "2", "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["prompt"] == ["red wide bar", "blue tall bar", "red wide bar"]
    items = np.load(out)
    assert items.shape == (6, 16, 16, 3)
    assert (items[:2] == items[4:]).all()  # one prompt, one noise
    assert (items[:2] != items[2:4]).any()


def test_a_labelled_sheet_from_a_file(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "prompts.txt", tmp_path / "sheet.png"
    file.write_text("red wide bar\n\ngreen bar, left\n")
    assert main(["sample", str(run.path), "--prompts", str(file), "-n", "3", "--out", str(out)]) == 0
    with Image.open(out) as sheet:
        assert sheet.width >= 3 * 64
        assert sheet.height >= 2 * (64 + 20)
    assert json.loads(read_metadata(out)["genloom"])["prompt"] == ["red wide bar", "green bar, left"]


def test_one_prompt_and_what_to_avoid(run: Run, tmp_path: Path) -> None:
    plain, away = tmp_path / "plain.npy", tmp_path / "away.npy"
    common = ["sample", str(run.path), "--prompt", "red wide bar", "--out"]
    assert main([*common, str(plain)]) == 0
    assert main([*common, str(away), "--negative", "tall"]) == 0
    assert np.load(plain).shape == (16, 16, 16, 3)
    assert (np.load(plain) != np.load(away)).any()
    assert main(["sample", str(run.path), "--prompt", "red wide bar"]) == 0
    assert [f for f in run.samples.iterdir() if "red_wide_bar" in f.name]


def test_unknown_words_are_named(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "x.png")
    assert main(["sample", str(run.path), "--prompt", "purple wide bar", "--out", out]) == 0
    assert "'purple wide bar': the model never saw purple" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--prompt", "grean"], "knows none of these words: did you mean 'green'?"),
        (["--prompt", " "], "--prompt is empty"),
        (["--prompt", "red", "--negative", "tall", "--guidance", "1"], "--negative needs guidance"),
        (["--prompts", "nowhere.txt"], "nowhere.txt cannot be read"),
    ],
)
def test_one_line(run: Run, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sample", str(run.path), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_models_without_captions_take_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genloom.testing.fakes import fake_images

    data = fake_images(n=48)
    options = TrainOptions(budget="1steps", batch=8, precision="fp32", device="cpu", preview_every="1h")
    made = create_run(tmp_path, Settings("flow", "flow", CONFIG, data.options, options), data)
    train(made, data, reporter=Reporter(None))
    assert main(["sample", str(made.path), "--prompt", "red bar"]) == 2
    assert "was trained without captions; leave --prompt out" in capsys.readouterr().err


def test_the_words_are_in_the_run(run: Run) -> None:
    held = json.loads((run.path / "tokenizer.json").read_text())
    assert held["kind"] == "word"
    assert {"red", "wide", "left"} <= set(held["words"])
    from genloom.engine.load import load

    loaded = load(run)
    assert torch.is_tensor(loaded.model.get_buffer("conditioner.kept_caption"))
    assert int(loaded.model.get_buffer("conditioner.seen_caption")) == 96
