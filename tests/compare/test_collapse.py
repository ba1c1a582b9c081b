"""A whole experiment on 8x8 digits, a few steps a generation: what it leaves, that it goes on, what it refuses."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import genloom
from genloom.cli.main import main
from genloom.compare import play
from genloom.compare.collapse import FILE
from genloom.compare.collapse_words import judged
from genloom.compare.collapsing import shares_of
from genloom.compare.generations import name_of
from genloom.errors import BadData, BadValue, NotFound

QUICK = {"batch": 16, "precision": "fp32", "channels_last": "off", "compile": "off", "limit": 400}
SMALL: dict[str, Any] = {"data": "digits", "budget": "3steps", "generations": 3, "fresh": "0,0.5", "n": 100,
                         "items": 200, **QUICK}  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own as the current one, a feature extractor of few pictures, runs in this process."""
    from genloom.metrics import store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENLOOM_CACHE", str(cache))
    monkeypatch.setattr(store, "train_extractor", partial(store.train_extractor, images=128))
    monkeypatch.setattr(play, "apart", play.here)
    return tmp_path


def test_an_experiment_is_restartable_and_says_what_it_found(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[str] = []

    def stops(path: Path, prefix: str = "") -> play.Played:
        calls.append(path.name)
        return play.Played("stopped") if len(calls) == 3 else play.here(path, prefix)

    monkeypatch.setattr(play, "apart", stops)
    stopped = genloom.collapse("vae-mlp", **SMALL)
    assert stopped.state == "stopped"
    assert stopped.again.startswith("genloom experiment collapse vae-mlp --data digits")
    kept = {p.name: p.read_bytes() for p in stopped.folder.rglob("samples/*.npz")}
    assert set(kept) == {"s0-g0.npz", "s0-f0-g1.npz"}
    done = genloom.collapse("vae-mlp", **SMALL)
    assert done.state == "finished"
    assert done.folder == stopped.folder
    assert calls == ["s0-g0", "s0-f0-g1", "s0-f0-g2", "s0-f0-g2", "s0-f0.5-g1", "s0-f0.5-g2"], "what is done is kept"
    assert all((done.folder / "samples" / name).read_bytes() == content for name, content in kept.items())
    record = json.loads((done.folder / FILE).read_text())
    assert len(record["runs"]) == 5
    for entry in record["runs"]:
        assert {len(v) for v in entry["figures"].values()} == {4}
        assert {"fd", "recall", "rare", "coverage", "vendi", "least", "smallest"} <= set(entry["figures"])
    assert record["floors"]["fd"] < min(record["runs"][0]["figures"]["fd"]), (
        "real items are nearer than three steps lead"
    )
    assert [v["verdict"] for v in record["verdicts"]] == ["inconclusive"] * 2, "three generations are too few"
    page = (done.folder / "report.html").read_text()
    for said in ("50% fresh data", "generation", "FD (judged)", "rare items covered", "genloom experiment collapse"):
        assert said in page
    assert page.count("<img") == 3, "a picture for each share, and real items"
    calls.clear()
    assert genloom.collapse("vae-mlp", **SMALL).state == "finished"
    assert not calls
    with pytest.raises(BadValue, match="another experiment"):
        genloom.collapse("vae-mlp", **{**SMALL, "budget": "4steps"}, out=done.folder)


def test_generations_learn_from_samples_and_fresh_items_and_keep_classes(place: Path) -> None:
    tiny = {"widths": "16,16", "blocks": "1,1", "config.steps": 2, "optimizer.lr": 0.1, "optimizer.warmup": 0}
    done = genloom.collapse("flow", **{**SMALL, "fresh": "0.25", "overrides": tiny})
    folder = done.folder
    mixed = np.load(folder / "data" / f"{name_of(0, 0.25, 1)}.npz")
    samples = np.load(folder / "samples" / f"{name_of(0, None, 0)}.npz")
    real = np.load(folder / "data" / f"{name_of(0, None, 0)}.npz")
    assert len(mixed["images"]) == len(real["images"]) == 200
    assert (mixed["images"][50:] == samples["images"][:150]).all(), "three quarters are the last one's samples"
    assert (mixed["labels"][50:] == samples["labels"][:150]).all(), "with the classes that were asked for"
    known = {i.tobytes() for i in genloom_images(400)}
    assert sum(i.tobytes() in known for i in mixed["images"][:50]) == 50, "one quarter is real"
    assert len(set(samples["labels"])) == 10
    assert "test_images" in mixed.files
    assert len(mixed["test_images"]) == 180
    assert "by class" in (folder / "report.html").read_text()


def genloom_images(limit: int) -> np.ndarray:
    import torch

    from genloom import data
    from genloom.data.options import DataOptions

    split = data.load(DataOptions("digits", limit=limit)).train
    return split.raw(torch.arange(len(split)))["image"][:, 0].numpy()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fresh": "0,1.5"}, "from 0 to 1"),
        ({"fresh": "much"}, "from 0 to 1"),
        ({"fresh": [-0.1]}, "from 0 to 1"),
        ({"generations": 1}, "2 or more"),
        ({"seeds": 0}, "at least 1"),
        ({"n": 50}, "at least 100"),
        ({"budget": "soon"}, "soon"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(place: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadValue, match=said):
        genloom.collapse("vae-mlp", **{**SMALL, **changed})
    assert not (place / "experiments").exists()


def test_unknown_recipes_and_texts_are_refused(place: Path) -> None:
    with pytest.raises(NotFound, match="vae"):
        genloom.collapse("vay", **SMALL)
    (place / "words.txt").write_text("the cat sat on the mat\n" * 300)
    with pytest.raises(BadData, match="pictures"):
        genloom.collapse("gpt", data="words.txt", budget="3steps")
    with pytest.raises(NotFound, match="collapse"):
        genloom.experiment("colapse", "vae")
    assert main(["experiment", "collapse", "vae-mlp", "--data", "digits", "--fresh", "2"]) == 2


def test_shares() -> None:
    assert shares_of("0.5, 0,0.1,0.5") == (0, 0.1, 0.5)
    assert shares_of(0.2) == (0.2,)
    assert shares_of([1, 0]) == (0, 1)


def planned(values: dict[float, list[float]]) -> dict[str, Any]:
    """A record of chains whose FD over generations is given; recall and the rare stay."""
    runs = []
    for share, fds in values.items():
        for g, fd in enumerate(fds):
            if g or share == min(values):
                draw = np.random.default_rng(g)
                figures = {"fd": (fd + 0.1 * draw.normal(size=4)).tolist(), "recall": [0.5, 0.51, 0.49, 0.5],
                           "rare": [0.3, 0.31, 0.3, 0.29]}  # fmt: skip
                runs.append({"run": f"{share}-{g}", "seed": 0, "share": share if g else None, "generation": g,
                             "figures": figures, "failed": ""})  # fmt: skip
    count = len(next(iter(values.values())))
    plan = {"shares": list(values), "generations": count, "seeds": [0], "recipe": "vae", "data": "d", "budget": "9s"}
    return {"plan": plan, "runs": runs}


def test_the_share_that_stops_it() -> None:
    falls, holds = [5.0, 9.0, 15.0, 22.0, 30.0], [5.0, 5.6, 5.2, 5.5, 5.3]
    found = judged(planned({0.0: falls, 0.1: falls, 0.5: holds}))
    assert [v["verdict"] for v in found["verdicts"]] == ["collapses", "collapses", "holds"]
    assert found["summary"].startswith("50% fresh data is the smallest share tried that stops")
    assert "10% does not" in found["summary"]
    assert "FD from 5" in found["verdicts"][0]["sentence"]
    assert "to 30" in found["verdicts"][0]["sentence"]
    assert "recall" not in found["verdicts"][0]["sentence"], "what does not decline is no sign of collapse"
    assert judged(planned({0.0: falls}))["summary"].startswith("No share tried stops")
    assert judged(planned({0.0: holds}))["summary"].startswith("No collapse was found")
    assert judged(planned({0.0: falls[:3]}))["verdicts"][0]["verdict"] == "inconclusive"
    broken = planned({0.0: falls})
    broken["runs"][-1].update(figures={}, failed="it diverged")
    assert judged(broken)["verdicts"][0]["verdict"] == "broken"
