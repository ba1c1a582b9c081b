"""A whole comparison on handwritten digits of eight by eight pixels, trained for a few steps: what it leaves, that it
goes on where it stopped, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import genloom
from genloom.cli.main import main
from genloom.compare import play
from genloom.compare.contest import FILE
from genloom.compare.plan import make_plan
from genloom.engine.trainer import Diverged
from genloom.errors import BadData, BadValue, Busy, GenloomError, NotFound

QUICK = {"batch": 16, "precision": "fp32", "channels_last": "off", "compile": "off", "limit": 200}
FIELDS = [part for k, v in QUICK.items() for part in (f"--{k}", str(v))]
SMALL: dict[str, Any] = {"data": "digits", "budget": "4steps", "seeds": 2, "n": 60, "curve": 2, **QUICK}
WORDS = ["--data", "digits", "--budget", "4steps", "--seeds", "2", "--n", "60", "--curve", "2", *FIELDS]


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


def stamps(folder: Path) -> dict[str, int]:
    files = ("*.safetensors", "evaluation.json", "curve.json")
    return {str(p): p.stat().st_mtime_ns for pattern in files for p in folder.rglob(pattern)}


def test_a_comparison_from_the_terminal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "vae-mlp", "gan-mlp", *WORDS]
    assert main(words) == 0
    out, err = capsys.readouterr()
    (folder,) = (place / "comparisons").iterdir()
    assert folder.name.startswith("digits-4steps-")
    board = out.splitlines()
    assert "FD(digits@" in board[0]
    assert {line.split()[1] for line in board[1:3]} | {line.split()[2] for line in board[1:3]} >= {"vae-mlp", "gan-mlp"}
    assert board[3].split()[:2] == ["real", "items"]
    assert "Welch's t-test on the logarithm of FD over 2 seeds" in out
    assert "seed 0 of 2" in err, "the board of the first seed is shown on the way"
    order = [line.split(":")[0] for line in err.splitlines() if "measured in" in line]
    assert order == ["vae-mlp-s0", "gan-mlp-s0", "vae-mlp-s1", "gan-mlp-s1"], "seeds outside, recipes inside"
    page = (folder / "report.html").read_text()
    assert "vae-mlp and gan-mlp on digits" in page
    assert "blind.html" in page
    assert "gan-mlp" not in (folder / "blind.html").read_text()

    record = json.loads((folder / FILE).read_text())
    assert record["state"] == "finished"
    runs = record["runs"]
    same = {(r["evaluation"]["n"], r["evaluation"]["extractor"], r["evaluation"]["seed"]) for r in runs}
    assert len(same) == 1
    assert {tuple(p["share"] for p in r["curve"]) for r in runs} == {(0.5, 1.0)}
    assert {p["step"] for r in runs for p in r["curve"]} == {2, 4}
    fds = [r["evaluation"]["values"]["fd"] for r in runs if r["contestant"] == "gan-mlp"]
    (standing,) = (s for s in record["standings"] if s["name"] == "gan-mlp")
    assert standing["figures"]["fd"]["value"] == pytest.approx(sum(fds) / 2)
    assert standing["figures"]["fd"]["values"] == pytest.approx(fds)
    low, high = standing["figures"]["fd"]["interval"]
    assert low < sum(fds) / 2 < high
    assert standing["curve"]["points"][0][0] < standing["curve"]["points"][1][0]
    assert standing["parameters"] > 1000
    assert {"peak_memory_bytes", "energy_kwh_estimated", "seconds"} <= set(standing["cost"])
    assert record["significance"][0]["p"] is not None

    before = stamps(folder)
    assert main([*words, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["state"] == "finished"
    assert again["runs"] == runs
    assert stamps(folder) == before, "a finished comparison is only read"


def test_stopped_it_goes_on_and_ends_as_if_never_stopped(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = genloom.compare("vae-mlp", "gan-mlp", out="whole", **SMALL)
    calls: list[str] = []

    def interrupted(path: Path, prefix: str = "") -> play.Played:
        calls.append(path.name)
        if len(calls) == 3:
            return play.Played("stopped")
        return play.here(path, prefix)

    monkeypatch.setattr(play, "apart", interrupted)
    stopped = genloom.compare("vae-mlp", "gan-mlp", out="parts", **SMALL)
    assert stopped.state == "stopped"
    assert "--out parts" in stopped.again
    assert "go on:  genloom compare vae-mlp gan-mlp" in str(stopped)
    assert stopped.table is not None, "the first seed is complete, so there is a board"
    assert "seed 0 of 2" in str(stopped)
    assert not (place / "parts" / "report.html").exists()
    kept = stamps(place / "parts")
    monkeypatch.setattr(play, "apart", play.here)
    assert main(stopped.again.split()[1:]) == 0, "the command that it named goes on"
    assert kept.items() <= stamps(place / "parts").items(), "what was trained and measured stays"
    ended = json.loads((place / "parts" / FILE).read_text())
    for ours, theirs in zip(ended["runs"], whole.record["runs"], strict=True):
        assert ours["evaluation"]["values"] == theirs["evaluation"]["values"]
    monkeypatch.setattr(play, "apart", lambda path, prefix: pytest.fail("nothing is left to train"))
    again = genloom.compare("vae-mlp", "gan-mlp", out="parts", **SMALL)
    assert (again.state, again.folder) == ("finished", Path("parts"))


def test_one_seed_is_measured_thrice_and_claims_nothing(place: Path) -> None:
    found = genloom.compare("vae-mlp", "gan-mlp", **{**SMALL, "seeds": 1, "first_seed": 7, "curve": 0})
    (standing, other) = found.record["standings"]
    assert standing["figures"]["fd"]["interval"] is not None
    assert "3 disjoint sample sets" in standing["figures"]["fd"]["how"]
    assert standing["curve"] is None
    assert not standing["tied"]
    assert not other["tied"]
    assert "no difference is called significant" in str(found)
    assert [r["seed"] for r in found.record["runs"]] == [7, 7]
    config = json.loads((found.folder / "runs" / "gan-mlp-s7" / "config.json").read_text())
    assert config["train"]["seed"] == 7
    assert config["data"]["limit"] == 200
    assert config["train"]["batch"] == 16


def test_a_run_that_diverges_stands_last(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverging(path: Path, prefix: str = "") -> play.Played:
        if path.name.startswith("vae"):
            return play.Played(error="the loss was not finite at step 3", kind=Diverged.__name__)
        return play.here(path, prefix)

    monkeypatch.setattr(play, "apart", diverging)
    found = genloom.compare("vae-mlp", "gan-mlp", **{**SMALL, "seeds": 1, "curve": 0})
    assert [s["name"] for s in found.record["standings"]] == ["gan-mlp", "vae-mlp"]
    assert "vae-mlp, seed 0: the loss was not finite" in str(found)


def test_other_failures_end_it_with_one_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "apart", lambda path, prefix: play.Played(error="the disk is full", kind="Storage"))
    with pytest.raises(GenloomError, match=r"^gan-mlp, seed 0: the disk is full$"):
        genloom.compare("gan-mlp", **SMALL)


def test_texts_rank_by_likelihood(place: Path) -> None:
    (place / "words.txt").write_text("the cat sat on the mat and the dog sat on the log\n" * 300)
    (place / "tiny.toml").write_text(
        'recipe = "gpt"\n[config]\nwidth = 32\ndepth = 1\nheads = 2\npairs = 64\n[data]\ncontext = 16\n'
    )
    (place / "bytes.toml").write_text((place / "tiny.toml").read_text() + 'tokenizer = "byte"\n')
    quick = {k: v for k, v in QUICK.items() if k != "limit"}
    common: dict[str, Any] = {"data": "words.txt", "budget": "4steps", "seeds": 1, "curve": 2, "n": 20, **quick}
    found = genloom.compare("tiny.toml", "bytes.toml", **common)
    assert found.record["plan"]["key"] == "bits_per_character"
    assert "tokenizers differ" in str(found)
    values = {r["contestant"]: r["evaluation"]["values"] for r in found.record["runs"]}
    for s in found.record["standings"]:
        nats = values[s["name"]]["nats_per_character"]
        assert s["figures"]["bits_per_character"]["value"] == pytest.approx(nats / 0.693147, rel=1e-5)
    page = (found.folder / "blind.html").read_text()
    assert '"text"' in page
    alone = genloom.compare("tiny.toml", **common)
    assert alone.record["plan"]["key"] == "nats_per_token"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vae-mlp", "gpt", "--data", "digits"], "compare recipes of one modality"),
        (["vae-mlp", "flwo", "--data", "digits"], "did you mean 'flow'"),
        (["vae-mlp", "gan-mlp", "vae-mlp", "--data", "digits"], "takes part twice"),
        (["flow", "flow:nano", "--data", "digits"], "takes part twice"),
        (["flow:huge", "--data", "digits"], "has sizes nano, small, base"),
        (["none.toml", "--data", "digits"], "none.toml"),
        (["vae-mlp", "--data", "digits", "--seeds", "0"], "--seeds: expected a whole number of at least 1"),
        (["vae-mlp", "--data", "digits", "--first-seed", "-1"], "--first-seed"),
        (["vae-mlp", "--data", "digits", "--budget", "5x"], "budget '5x'"),
        (["vae-mlp", "--data", "digits", "--n", "3"], "at least 20"),
        (["vae-mlp", "--data", "digits", "--curve", "99"], "--curve"),
        (["vae-mlp", "--data", "digits", "--engine", "spark"], "one of local, ray"),
        (["vae-mlp", "--data", "digits", "--workers", "2"], "--engine ray"),
        (["vae-mlp", "--data", "digits", "--config.hidden", "8"], "recipe file"),
        (["vae-mlp", "--data", "digits", "--train.seed", "8"], "say --first-seed"),
        (["vae-mlp", "--data", "digits", "--bacth", "8"], "did you mean --train.batch"),
        (["--data", "digits"], "needs a RECIPE"),
        (["vae-mlp", "--data", "nothing-here"], "nothing-here"),
    ],
)
def test_bad_input_is_told_in_one_line(
    words: list[str], said: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *words]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert list(place.iterdir()) == [], "nothing was begun"


def test_a_folder_that_holds_something_else_is_left_alone(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(BadValue, match="not empty and holds no comparison"):
        genloom.compare("vae-mlp", out="mine", **SMALL)
    done = genloom.compare("vae-mlp", out="other", **{**SMALL, "seeds": 1, "curve": 0})
    before = (done.folder / FILE).read_bytes()
    with pytest.raises(BadValue, match=r"another comparison \(vae-mlp on digits, 4steps, 1 seeds"):
        genloom.compare("vae-mlp", out="other", **SMALL)
    assert (done.folder / FILE).read_bytes() == before


def test_two_processes_do_not_share_a_comparison(place: Path) -> None:
    from filelock import FileLock

    (place / "c").mkdir()
    plan, _ = make_plan(["vae-mlp"], "digits", "4steps", 2, 0, 60, 2, "local", None, QUICK)
    (place / "c" / FILE).write_text(json.dumps({"identity": plan.identity, "plan": plan.facts(), "runs": []}))
    with FileLock(place / "c" / "lock"), pytest.raises(Busy):
        genloom.compare("vae-mlp", out="c", **SMALL)


def test_what_decides_the_outcome_names_the_folder(place: Path) -> None:
    def identity(**changes: Any) -> str:
        given = {"words": ["vae-mlp"], "seeds": 2, "first": 0, "n": 60, "curve": 2, "values": QUICK, **changes}
        plan, _ = make_plan(given["words"], "digits", "4steps", given["seeds"], given["first"], given["n"],
                            given["curve"], "local", None, given["values"])  # fmt: skip
        return plan.identity

    known = {identity(), identity(words=["gan-mlp"]), identity(seeds=3), identity(first=1), identity(n=50)}
    known |= {identity(curve=0), identity(values={**QUICK, "batch": 8})}
    assert len(known) == 7
    assert identity() in known


def test_all_learn_from_the_same_items(place: Path) -> None:
    (place / "half.toml").write_text('recipe = "gan-mlp"\n[data]\nlimit = 50\nflip = true\n')
    plan, datasets = make_plan(["vae-mlp", "half.toml"], "digits", "4steps", 1, 0, None, 0, "local", None, {})
    options = [c.settings.data for c in plan.contestants]
    assert options[1].limit is None
    assert options[1].flip is True, "how a model takes its items is its own"
    assert any("data.limit is None for half.toml too" in note for note in plan.notes)
    assert {len(d.train) for d in datasets.values()} == {plan.n}, "n is at most the number of training items"


def test_a_recipe_without_samples_is_ranked_by_what_all_share(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.compare import plan as module
    from genloom.core import HasLikelihood, Model

    real = module.model_class

    class Silent(HasLikelihood, Model):  # type: ignore[misc]
        pass

    def classes(name: str) -> Any:
        return Silent if name == "vae-mlp" else real(name)

    monkeypatch.setattr(module, "model_class", classes)
    made, _ = make_plan(["vae-mlp", "vae"], "digits", "4steps", 1, 0, 60, 0, "local", None, {})
    assert made.key == "bits_per_dimension"
    assert any("vae-mlp draws no samples" in note for note in made.notes)
    with pytest.raises(BadData, match="gan-mlp gives no likelihood"):
        make_plan(["vae-mlp", "gan-mlp"], "digits", "4steps", 1, 0, 60, 0, "local", None, {})


def test_unknown_recipes_raise_in_python_too(place: Path) -> None:
    with pytest.raises(NotFound):
        genloom.compare("flwo", data="digits")


@pytest.mark.slow
def test_runs_have_processes_of_their_own_and_ctrl_c_stops_them(tmp_path: Path, cache: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GENLOOM_CACHE": str(cache)}
    words = [sys.executable, "-m", "genloom", "compare", "vae-mlp", "--data", "digits", "--budget", "1h"]
    words += ["--seeds", "1", "--out", "c", "--n", "60", *FIELDS]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it, and a
    process = subprocess.Popen(words, cwd=tmp_path, env=environment, **pipes)  # child would inherit that
    signal.signal(signal.SIGINT, before)
    run = tmp_path / "c" / "runs" / "vae-mlp-s0"
    rows = run / "metrics.jsonl"
    deadline = time.monotonic() + 60
    while not (rows.exists() and "items_per_second" in rows.read_text()) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "go on:  genloom compare vae-mlp" in out
    assert "Traceback" not in err
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "stopped", status
    assert status["step"] > 0


@pytest.mark.slow
def test_a_budget_too_short_for_a_step_is_told_by_recipe(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "vae-mlp", "--data", "digits", "--budget", "0.001s", "--n", "60", *FIELDS]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("genloom: vae-mlp, seed 0: a budget of 0.001 s ends before the first step")
    assert "give at least" in said


def test_two_collections_stand_side_by_side(place: Path) -> None:
    """The curve of a model of two collections is the mean of both distances, and ends where its evaluation does."""
    rng = np.random.default_rng(0)
    for name, light in (("dark", 0), ("light", 150)):
        (place / "pairs" / name).mkdir(parents=True)
        for i in range(200):
            noise = light + rng.integers(0, 100, (12, 12), dtype=np.uint8)
            Image.fromarray(noise.astype(np.uint8)).save(place / "pairs" / name / f"{name}{i}.png")
    fields = {k: v for k, v in QUICK.items() if k != "limit"} | {"pairing": "unpaired"}
    found = genloom.compare("cogan", "cyclegan", data=str(place / "pairs"), budget="3steps", seeds=1, n=20,
                                 curve=2, out="both", **fields)  # fmt: skip
    for run in found.record["runs"]:
        each = {r["key"]: r["value"] for r in run["evaluation"]["results"] if r["key"].endswith(":fd")}
        assert set(each) == {"dark:fd", "light:fd"}
        shares = [p["share"] for p in run["curve"]]
        assert shares == [0.5, 1.0]
        assert all(p["value"] > 0 for p in run["curve"])
        assert run["curve"][-1]["value"] == pytest.approx(sum(each.values()) / 2, rel=0.1)  # of other draws
