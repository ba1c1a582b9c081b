"""Runs over Ray: two workers on this machine, and what is said where Ray is missing."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

import genloom
from genloom.cli.main import main
from genloom.compare import play
from genloom.compare.cluster import _share, play_all
from genloom.compare.contest import FILE
from genloom.errors import BadValue

if os.environ.get("GENLOOM_REQUIRE_ALL") == "1":
    import ray
else:
    ray = pytest.importorskip("ray")

FIELDS: dict[str, Any] = {"batch": 16, "precision": "fp32", "channels_last": "off", "compile": "off", "limit": 200}


def test_without_ray_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["compare", "vae-mlp", "--data", "digits", "--engine", "ray"]) == 2
    said = capsys.readouterr().err.strip()
    assert 'pip install "genloom[ray]"' in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


class Cluster:
    """Answers as ray.nodes() does."""

    def __init__(self, *machines: dict[str, float]) -> None:
        self.machines = [{"Alive": True, "Resources": m} for m in machines]
        self.machines.append({"Alive": False, "Resources": {}})

    def nodes(self) -> list[dict[str, Any]]:
        return self.machines


def test_a_run_asks_for_a_whole_machine_or_its_part() -> None:
    one, two = Cluster({"CPU": 8.0}), Cluster({"CPU": 8.0, "GPU": 1.0}, {"CPU": 16.0, "GPU": 2.0})
    assert _share(one, None) == {"num_cpus": 8}
    assert _share(one, 2) == {"num_cpus": 4}
    assert _share(two, None) == {"num_cpus": 8, "num_gpus": 1}
    assert _share(two, 2) == {"num_cpus": 8, "num_gpus": 1}
    assert _share(two, 4) == {"num_cpus": 4, "num_gpus": 0.5}
    with pytest.raises(BadValue, match="--workers 9"):
        _share(one, 9)


@pytest.mark.slow
def test_two_workers_on_one_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    from genloom.metrics import store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "train_extractor", partial(store.train_extractor, images=128))
    monkeypatch.setattr(play, "apart", lambda *a: pytest.fail("not trained by Ray"))
    common: dict[str, Any] = {"data": "digits", "budget": "4steps", "seeds": 1, "n": 60, "curve": 0, **FIELDS}
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, configure_logging=False)
    try:
        found = genloom.compare("vae-mlp", "gan-mlp", engine="ray", workers=2, out="c", **common)
        assert ray.is_initialized(), "a cluster that was there before is left running"
        lost = list(play_all([tmp_path / "nowhere"], 2))
    finally:
        ray.shutdown()
    assert found.state == "finished"
    record = json.loads((tmp_path / "c" / FILE).read_text())
    assert [(r["contestant"], r["seed"]) for r in record["runs"]] == [("vae-mlp", 0), ("gan-mlp", 0)]
    assert all(r["evaluation"]["values"]["fd"] > 0 for r in record["runs"])
    assert "where all machines see it" in lost[0][1].error
    again = genloom.compare("vae-mlp", "gan-mlp", engine="ray", workers=2, out="c", **common)
    assert again.state == "finished"
    assert not ray.is_initialized()
    with pytest.raises(BadValue, match="another comparison"):
        genloom.compare("vae-mlp", "gan-mlp", out="c", **common)


def test_sharing_a_machine_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.compare.plan import make_plan

    plan, _ = make_plan(["vae-mlp"], "digits", "5s", 1, 0, 60, 0, "ray", 2, {})
    assert any("share its cores" in note for note in plan.notes)
