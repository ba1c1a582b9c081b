"""`genloom evaluate --extractor` and `--path-length`, as typed; samples that are no numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import genloom
from genloom.cli.main import main
from genloom.errors import BadData
from genloom.verbs.opened import open_run

CODE = "def rows(images):\n    return images.float().mean((1, 3))\n"


def test_a_run_in_a_function_of_ones_own(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_home / "flag_features.py").write_text(CODE)
    before = (at_home / "runs" / "gan" / "evaluation.json").exists()
    assert main(["evaluate", "gan", "-n", "60", "--extractor", "flag_features:rows", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["extractor"].startswith("rows@")
    assert told["asked_extractor"] == "flag_features:rows"
    fd = next(r for r in told["results"] if r["key"] == "fd")
    assert fd["name"] == f"FD({told['extractor']})"
    assert fd["value"] > fd["floor"]
    assert json.loads((at_home / "runs" / "gan" / "evaluation-flag_features_rows.json").read_text())["n"] == 60
    assert (at_home / "runs" / "gan" / "evaluation.json").exists() == before  # what comparisons read is left alone


def test_two_runs_in_it(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (at_home / "flag_features.py").write_text(CODE)
    words = ["evaluate", "gan", "--against", "flow", "-n", "60", "--extractor", "flag_features:rows", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert all("rows@" in d["name"] for d in told["differences"] if d["key"] in ("kd", "precision"))
    assert all(e["extractor"].startswith("rows@") for e in told["evaluations"])


def test_codes_are_judged_too(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "pictures", "-n", "40", "--path-length", "--json"]) == 0
    found = {r["key"]: r for r in json.loads(capsys.readouterr().out)["results"]}
    assert 0 < found["psnr"]["value"] < 40
    assert -1 < found["ssim"]["value"] < 1
    assert found["path_length"]["name"].startswith("path length(digits@")
    assert found["path_length"]["value"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gan --extractor inception", "genloom data fetch inception-fid"),
        ("gan --extractor fid", "expected one of own, inception"),
        ("gan --extractor nowhere_module:f", "nowhere_module"),
        ("words --extractor flag_features:rows", "it is for images"),
        ("words --path-length", "for images"),
        ("gan --against flow --path-length", "leave out --against"),
    ],
)
def test_refused_in_one_line(words: str, said: str, at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", *words.split(), "-n", "20"]) == 2
    error = capsys.readouterr().err.strip()
    assert said in error.splitlines()[-1]
    assert len(error.splitlines()) == 1


def test_samples_that_are_no_numbers_are_told(at_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = open_run("gan")
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.fill_(torch.nan)
    made = genloom.sample(loaded, n=3)
    assert made.data["not_finite"] == 3
    assert "3 of 3 items hold NaN" in str(made).splitlines()[-1]
    with pytest.raises(BadData, match="20 of 20 samples that the model drew hold NaN"):
        genloom.evaluate(loaded, n=20)
