"""The demo and `evaluate`, on models and data small enough for a test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import genloom
from genloom.cli.main import main
from genloom.errors import BadData, BadValue
from genloom.verbs import demo as module
from genloom.verbs import look


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two quick recipes instead of four, without the feature extractor."""
    monkeypatch.setattr(module, "SHOW", (("vae-mlp", "digits"), ("gan-mlp", "digits")))
    result = {"key": "fd", "name": "FD(x@1)", "value": 3.0, "interval": None, "n": 9, "protocol": {"floor": 1.0}}
    figures = {"results": [{**result, "citation": "", "better": "lower"}], "values": {"fd": 3.0}, "notes": []}
    monkeypatch.setattr(look, "_figures", lambda *asked: figures)


def test_the_demo_trains_reports_and_keeps_finished_runs(
    at_home: Path, tmp_path: Path, small: None, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["demo", "--budget", "2steps", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "r.html")]
    assert main(words) == 0
    page = (tmp_path / "r.html").read_text()
    for said in ("vae-mlp", "gan-mlp", "data:image/png;base64,", "genloom demo --budget 2steps", "FD(x@1)"):
        assert said in page
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.safetensors")}
    (tmp_path / "r.html").unlink()
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"].endswith("r.html")
    assert (tmp_path / "r.html").exists()
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "runs").rglob("*.safetensors")}
    with pytest.raises(BadValue, match="choose another --runs"):
        genloom.demo(budget="3steps", runs=tmp_path / "runs", out=tmp_path / "r.html")


def test_the_demo_refuses_before_work(at_home: Path, tmp_path: Path, small: None) -> None:
    for bad in ({"budget": "5x"}, {"out": tmp_path / "r.png"}, {"out": at_home / "words.txt" / "r.html"}):
        with pytest.raises(genloom.errors.GenloomError):
            genloom.demo(**{"runs": tmp_path / "runs", "out": tmp_path / "r.html", **bad})
    assert list(tmp_path.iterdir()) == []


def test_evaluate_remembers_its_figures(at_home: Path) -> None:
    result = genloom.evaluate("words", n=6)
    assert result["nats_per_token"] > 0
    assert "nats per token" in str(result)
    stored = json.loads((at_home / "runs" / "words" / "evaluation.json").read_text())
    assert stored["values"]["nats_per_token"] == result["nats_per_token"]
    assert (stored["asked"], stored["step"]) == (6, 4)


def test_evaluate_refuses_data_that_changed(at_home: Path) -> None:
    text = (at_home / "words.txt").read_text()
    try:
        (at_home / "words.txt").write_text(text + "a new line\n" * 50)
        with pytest.raises(BadData, match="changed since"):
            genloom.evaluate("words", n=4)
    finally:
        (at_home / "words.txt").write_text(text)
