"""The command line and the Python functions on small real runs: what they write, say and refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genloom
from genloom.cli.main import main
from genloom.errors import BadValue

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(at_home: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs one command in the house; returns its exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


def tree(folder: Path) -> set[Path]:
    return {p for p in folder.rglob("*") if "cache" not in p.parts and p.name != "lock"}


# -- what is written -----------------------------------------------------------------------------------------------


def test_samples_as_grid_array_and_folder(say: Say, tmp_path: Path) -> None:
    code, out, _ = say("sample", "flow", "-n", "6", "--out", str(tmp_path / "g.png"))
    assert (code, out.strip()) == (0, str(tmp_path / "g.png"))
    note = json.loads(Image.open(tmp_path / "g.png").text["genloom"])
    assert note["n"] == 6
    assert note["run"].endswith("flow")
    assert say("sample", "flow", "-n", "6", "--out", str(tmp_path / "a.npy"))[0] == 0
    array = np.load(tmp_path / "a.npy")
    assert array.shape == (6, 8, 8)
    assert array.dtype == np.uint8
    assert say("sample", "flow", "-n", "6", "--out", f"{tmp_path}/many/")[0] == 0
    assert len(list((tmp_path / "many").glob("*.png"))) == 6
    assert np.array_equal(np.asarray(Image.open(tmp_path / "many" / "0005.png")), array[5])


def test_samples_go_into_the_run_where_nothing_is_said(say: Say, house: Path) -> None:
    code, out, _ = say("sample", "flow", "-n", "2", "--label", "3")
    assert code == 0
    assert Path(out.strip()).parent == Path("runs/flow/samples")
    assert Path(out.strip()).exists()


def test_the_function_and_the_command_make_the_same_pictures(say: Say, tmp_path: Path) -> None:
    say("sample", "flow", "-n", "3", "--seed", "7", "--out", str(tmp_path / "a.npy"))
    drawn = genloom.sample("flow", n=3, seed=7, out=tmp_path / "b.png")
    assert np.array_equal(drawn.images, np.load(tmp_path / "a.npy"))
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert drawn.image.size[0] > 8
    other = genloom.sample("flow", n=3, seed=7, raw=True, out=tmp_path / "c.png")
    assert other.images.shape == drawn.images.shape


def test_classes_are_listened_to(at_home: Path, tmp_path: Path) -> None:
    # four updates teach little: guidance makes what was heard of classes visible in bytes
    three = genloom.sample("flow", n=4, label=3, guidance=50.0, raw=True, out=tmp_path / "a.png").images
    named = genloom.sample("flow", n=4, label="3,4", guidance=50.0, raw=True, out=tmp_path / "a.png").images
    assert np.array_equal(three[::2], named[::2])
    assert not np.array_equal(three[1::2], named[1::2])


def test_texts_to_files_and_terminal(say: Say, tmp_path: Path) -> None:
    code, out, _ = say("sample", "words", "--prompt", "the é", "--length", "9")
    assert code == 0
    assert out.startswith("the é")
    assert len(out.rstrip("\n")) <= len("the é") + 9
    whole = genloom.sample("words", prompt="the é", length=9)
    assert out.rstrip("\n") == whole.texts[0].rstrip("\n")
    assert "".join(genloom.stream("words", prompt="the é", length=9)) == whole.texts[0]
    assert say("sample", "words", "-n", "2", "--length", "5", "--out", str(tmp_path / "t.jsonl"))[0] == 0
    rows = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert len(rows) == 2
    assert set(rows[0]) == {"text"}
    assert say("sample", "words", "-n", "2", "--length", "5", "--out", f"{tmp_path}/texts/")[0] == 0
    assert len(list((tmp_path / "texts").glob("*.txt"))) == 2
    assert whole._repr_markdown_().startswith("    the é")


def test_walks_and_reconstructions(say: Say, tmp_path: Path) -> None:
    walks = genloom.interpolate("pictures", n=2, points=5, out=tmp_path / "w.png")
    assert walks.images.shape == (10, 8, 8)
    code, out, _ = say("reconstruct", "pictures", "-n", "4", "--out", str(tmp_path / "r.npy"))
    assert code == 0
    assert np.load(tmp_path / "r.npy").shape == (8, 8, 8)
    code, out, _ = say("reconstruct", "pictures", "-n", "4")
    assert "mean squared error" in out


def test_a_map_of_a_two_dimensional_space(say: Say, at_home: Path, tmp_path: Path) -> None:
    made = (
        "train",
        "vae-mlp",
        "--data",
        "digits",
        "--budget",
        "5steps",
        "--config.latent",
        "2",
        "--config.hidden",
        "16",
    )
    assert say(*made, "--name", "flat", "--train.precision", "fp32")[0] == 0
    assert say("interpolate", "flat", "--map", "--points", "5", "--out", str(tmp_path / "map.npy"))[0] == 0
    assert np.load(tmp_path / "map.npy").shape == (25, 8, 8)
    code, _, err = say("interpolate", "pictures", "--map")
    assert (code, err.count("\n")) == (2, 1)
    assert "a map needs 2" in err


# -- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["runs", "flow"],
        ["recipes"],
        ["recipes", "flow"],
        ["data", "list"],
        ["data", "show", "digits"],
        ["doctor"],
        ["cite", "flow"],
        ["sample", "flow", "-n", "2"],
        ["sample", "words", "--length", "3"],
        ["interpolate", "pictures", "-n", "2"],
        ["reconstruct", "pictures", "-n", "2"],
        ["train", "--resume", "flow"],
        ["train", "vae-mlp", "--data", "digits", "--dry-run", "--budget", "7steps", "--precision", "fp32"],
        ["train", "vae-mlp", "--data", "digits", "--budget", "1steps", "--precision", "fp32", "--runs", "others"],
        ["sample", "nothing"],
        ["sample", "flow", "-n", "0"],
        ["smaple"],
    ],
    ids=" ".join,
)
def test_json_is_one_object_and_nothing_else(say: Say, words: list[str]) -> None:
    code, out, _ = say(*words, "--json")
    found = json.loads(out)
    assert isinstance(found, dict)
    assert out.count("\n") == 1
    assert ("error" in found) == (code == 2)


def test_json_stays_pure_in_a_process_of_its_own(at_home: Path) -> None:
    words = ["train", "vae-mlp", "--data", "digits", "--budget", "2steps", "--runs", "others", "--json"]
    done = subprocess.run([sys.executable, "-m", "genloom", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "finished"
    assert "finished at step 2" in done.stderr


# -- training --------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_everything_and_writes_nothing(say: Say, house: Path) -> None:
    before = tree(house)
    code, out, _ = say(
        "train", "vae-mlp", "--data", "digits", "--budget", "3epochs", "--precision", "fp32", "--dry-run"
    )
    assert code == 0
    assert tree(house) == before
    for said in (
        "config.optimizer.lr",
        "no CUDA device here",
        "asked for",
        "parameters",
        "1,437 train",
        "expected steps",
    ):
        assert said in out
    plan = genloom.train("vae-mlp", data="digits", budget="3epochs", precision="fp32", dry_run=True, batch=1437)
    assert plan["steps"] == 3


def test_overrides_reach_the_run(at_home: Path) -> None:
    done = genloom.train(
        "vae-mlp",
        data="digits",
        budget="1steps",
        runs="others",
        overrides={"config.hidden": 9},
        batch=8,
        precision="fp32",
    )
    assert done.run.config["config"]["hidden"] == 9
    assert done.run.config["train"]["batch"] == 8
    assert done.state == "finished"
    assert "<table>" in done._repr_html_()


def test_a_finished_run_is_left_as_it_is(say: Say) -> None:
    code, out, _ = say("train", "--resume", "flow")
    assert code == 0
    assert "finished already" in out
    assert say("train", "flow", "--resume", "flow")[0] == 0


def test_a_run_starts_from_another_with_its_configuration(at_home: Path) -> None:
    done = genloom.train(start_from="pictures", budget="1steps", runs="runs", name="continued")
    try:
        assert done.run.config["config"]["hidden"] == 16
        assert done.run.config["recipe"] == "vae-mlp"
    finally:
        done.run.remove()


def test_a_replay_takes_seed_and_configuration_from_the_run(at_home: Path) -> None:
    done = genloom.train(replay="pictures", runs="runs", name="again")
    try:
        assert done.steps == 4
        drawn = [genloom.sample(r, n=2, out="x.npy").images for r in (done, "pictures")]
        assert np.array_equal(*drawn)
    finally:
        done.run.remove()


# -- what is refused: one line, exit code 2, nothing half-written -----------------------------------------------------

REFUSED = {
    "verb": (["trian"], "did you mean 'train'"),
    "recipe": (["train", "vea"], "did you mean 'vae'"),
    "no recipe": (["train"], "needs a recipe"),
    "field": (["train", "vae", "--config.widht", "3"], "--config.width"),
    "value": (["train", "vae", "--config.width", "wide"], "expected a whole number"),
    "choice": (["train", "vae", "--precision", "fp16"], "auto, fp32, bf32, bf16"),
    "no value": (["train", "vae", "--config.width"], "expected a whole number"),
    "flag": (["sample", "flow", "--temprature", "1"], "--temperature"),
    "data": (["train", "vae", "--data", "mnits"], "mnist"),
    "data path": (["train", "vae", "--data", "./nowhere/at/all"], "nowhere/at/all"),
    "run": (["sample", "flwo"], "flow"),
    "runs path": (["sample", "runs/flwo"], "flow"),
    "budget 0": (["train", "vae", "--budget", "0"], "budget"),
    "budget -1": (["train", "vae", "--budget", "-1"], "budget"),
    "budget 5x": (["train", "vae", "--budget", "5x"], "budget '5x'"),
    "budget twice": (["train", "vae", "--budget", "5s", "--train.budget", "6s"], "different things"),
    "batch 0": (["train", "vae", "--batch", "0"], "batch"),
    "size": (["train", "flow", "--size", "32"], "--data.size"),
    "n 0": (["sample", "flow", "-n", "0"], "at least 1"),
    "n -3": (["sample", "flow", "-n", "-3"], "at least 1"),
    "text n 0": (["sample", "words", "-n", "0"], "at least 1"),
    "evaluate n 0": (["evaluate", "flow", "-n", "0"], "at least 1"),
    "out kind": (["sample", "flow", "--out", "a.gif"], ".png or .npy"),
    "out kind of texts": (["sample", "words", "--out", "a.png"], ".txt or .jsonl"),
    "prompt": (["sample", "flow", "--prompt", "a cat"], "trained without captions"),
    "empty prompt": (["sample", "words", "--prompt", ""], "empty"),
    "label": (["sample", "flow", "--label", "zebra"], "unknown class"),
    "label of texts": (["sample", "words", "--label", "3"], "without classes"),
    "label nobody hears": (["sample", "pictures", "--label", "3"], "does not listen"),
    "solver": (["sample", "flow", "--solver", "eular"], "euler"),
    "top-p": (["sample", "words", "--top-p", "7"], "probability"),
    "misspelt flag": (["sample", "words", "--temprature", "1"], "--temperature"),
    "strategy": (["sample", "words", "--decode", "best"], "diverse-beam"),
    "min-p": (["sample", "words", "--min-p", "2"], "min_p"),
    "groups": (["sample", "words", "--decode", "diverse-beam", "--beams", "4", "--groups", "3"], "groups"),
    "decoding of images": (["sample", "flow", "--decode", "beam"], "no texts"),
    "long prompt": (["sample", "words", "--prompt", "the cat sat on a mat", "--overflow", "refuse"], "context of 16"),
    "empty stop": (["sample", "words", "--stop", ""], "--stop is empty"),
    "draft of images": (["sample", "words", "--draft", "flow"], "continues no text"),
    "walks of words": (["interpolate", "words"], "shows images"),
    "points": (["interpolate", "pictures", "--points", "1"], "at least 2"),
    "codes of a gan": (["reconstruct", "gan"], "cannot encode"),
    "text for images": (["train", "flow", "--data", "words.txt"], "image"),
    "images for text": (["train", "gpt", "--data", "digits"], "text"),
    "short text": (["train", "gpt", "--data", "words.txt", "--data.context", "100000"], "context"),
    "resume with more": (["train", "--resume", "flow", "--budget", "9m"], "--from"),
    "resume field": (["train", "--resume", "flow", "--batch", "9"], "--batch"),
    "resume recipe": (["train", "vae", "--resume", "flow"], "'flow', not 'vae'"),
    "name taken": (["train", "vae-mlp", "--data", "digits", "--name", "flow", "--budget", "1steps"], "exists already"),
    "name": (["train", "vae-mlp", "--data", "digits", "--name", "../x", "--budget", "1steps"], "--name"),
    "weights that do not fit": (["train", "gan-mlp", "--data", "digits", "--from", "words"], "fits"),
    "cite": (["cite", "flwo"], "flow"),
    "data verb": (["data", "shwo"], "show"),
    "runs not writable": (["train", "vae", "--runs", "words.txt/runs"], "not a folder"),
    "out not writable": (["sample", "flow", "--out", "words.txt/a.png"], "not a folder"),
    "out into a folder": (["interpolate", "pictures", "--out", "runs"], "not to a folder"),
}


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_refused_in_one_line(case: str, say: Say, house: Path) -> None:
    words, said = REFUSED[case]
    before = tree(house)
    code, out, err = say(*words)
    lines = [line for line in err.splitlines() if not line.startswith(("digits: ", "words"))]
    assert code == 2
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("genloom: ")
    assert said in lines[0]
    assert tree(house) == before


def test_a_damaged_checkpoint_is_named(say: Say, house: Path, tmp_path: Path) -> None:
    shutil.copytree(house / "runs" / "flow", tmp_path / "flow")
    for path in (tmp_path / "flow" / "checkpoints").glob("*/*.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
    code, _, err = say("sample", str(tmp_path / "flow"))
    assert code == 2
    assert "changed or cut short" in err


def test_an_unwritable_place_is_refused_before_work(say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a superuser may write everywhere: the system's answer is made up, so that the test means the same for everybody
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    for words in (["sample", "flow", "--out"], ["sample", "words", "--out"], ["interpolate", "pictures", "--out"]):
        name = "a.txt" if words[1] == "words" else "a.png"
        code, _, err = say(*words, str(tmp_path / name))
        assert code == 2
        assert "cannot be written" in err
    assert say("train", "vae-mlp", "--data", "digits", "--runs", str(tmp_path / "runs"))[0] == 2
    assert list(tmp_path.iterdir()) == []


def test_interrupts_pipes_and_tracebacks(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    from genloom.cli import commands

    def interrupted(parsed: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(commands.COMMANDS, "runs", interrupted)
    assert say("runs")[0] == 130
    with pytest.raises(BadValue):
        main(["sample", "flow", "-n", "0", "--debug"])
    monkeypatch.setenv("GENLOOM_DEBUG", "1")
    with pytest.raises(BadValue):
        main(["sample", "flow", "-n", "0"])


def test_a_closed_pipe_is_quiet(at_home: Path) -> None:
    command = f'"{sys.executable}" -m genloom recipes flow | head -1'
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith("field")


def test_packages_are_verbs_and_stay_packages(at_home: Path) -> None:
    from genloom.runs import Run

    assert genloom.runs.Run is Run
    assert {row[0] for row in genloom.runs().rows} >= {"flow", "gan", "pictures", "words"}
    assert "flow" in str(genloom.recipes())
    assert "digits" in str(genloom.data())
    assert genloom.data("digits", size=16)["spec"]["image"]["shape"] == (1, 16, 16)
    with pytest.raises(AttributeError):
        _ = genloom.nothing


def test_help_of_a_recipe_lists_its_fields(say: Say) -> None:
    code, out, _ = say("train", "flow", "--size", "small", "--help")
    assert code == 0
    assert "--config.widths INT,..." in out
    assert "[64,128,128]" in out
    assert "network evaluations of sampling" in out
