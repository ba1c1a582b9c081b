"""`genloom report`: one page of runs, from what they hold and what their data show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import genloom
from genloom.cli.main import main
from genloom.errors import BadValue, NotFound, Storage
from genloom.runs import Run
from genloom.verbs import look as module
from genloom.verbs.inside import inside, moments
from genloom.verbs.opened import open_run
from genloom.verbs.report import versions


def measured(run: Run, value: float = 3.25, **changes: Any) -> None:
    """Figures as `genloom evaluate` would leave them, of the run's newest checkpoint."""
    fd = {"key": "fd", "name": "FD(x@1)", "value": value, "interval": None, "n": 9, "protocol": {"floor": 1.0},
          "citation": "", "better": "lower"}  # fmt: skip
    run.write("evaluation.json", {"step": 4, "asked": 9, "seed": 0, "raw": False, "results": [fd], **changes})


@pytest.fixture
def runs(at_home: Path, tmp_path: Path) -> Path:
    """Copies of the house's runs, with figures."""
    shutil.copytree(at_home / "runs", tmp_path / "runs")
    for name in ("pictures", "flow", "gan"):
        measured(Run(tmp_path / "runs" / name))
    (tmp_path / "runs" / "words" / "evaluation.json").unlink(missing_ok=True)  # another test may have measured it
    return tmp_path / "runs"


def test_one_page_of_several_runs(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "page.html"
    words = ["report", "pictures", str(runs / "flow"), "words", "--runs", str(runs), "--out", str(out), "-n", "9"]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bytes"] == out.stat().st_size
    page = out.read_text()
    for said in (
        "<h1>pictures, flow and words</h1>", "FD(x@1)", "Samples above, their nearest training items below",
        "From noise to items", "Walks through the latent space", "nats per token", "Written by the model",
        "genloom train vae-mlp --data digits --budget 4steps --seed 0", f"genloom report {runs / 'pictures'}",
        Run(runs / "flow").config["dataset"]["digest"], "Digest of its items", genloom.__version__,
    ):  # fmt: skip
        assert said in page, said
    assert page.count("From noise to items") == 1, "only the flow refines noise"
    assert "Map of the two-dimensional" not in page


def test_figures_are_taken_or_measured(runs: Path, tmp_path: Path) -> None:
    asked: list[int] = []

    def evaluate(loaded: Any, n: int, seed: int, page: bool) -> Any:
        assert not page  # the report is the page
        asked.append(n)
        measured(loaded.run, 7.5)
        return type(
            "Evaluated", (), {"to_json": lambda self: json.loads((loaded.run.path / module.FILE).read_text())}
        )()

    patch = pytest.MonkeyPatch()
    patch.setattr(module, "evaluate", evaluate)
    try:
        assert module.look(Run(runs / "gan"))[0].evaluation["results"][0]["value"] == 3.25
        assert asked == []
        assert module.look(Run(runs / "gan"), n=5)[0].evaluation["results"][0]["value"] == 7.5
        measured(Run(runs / "gan"), step=3)
        module.look(Run(runs / "gan"))
        (runs / "gan" / module.FILE).write_text("{")
        module.look(Run(runs / "gan"))
    finally:
        patch.undo()
    train = module.data_of(open_run(Run(runs / "gan"))).train.items
    assert asked == [5, min(5000, train), min(5000, train)]


def test_data_that_moved_or_changed_is_a_note(runs: Path, at_home: Path, tmp_path: Path) -> None:
    text = (at_home / "words.txt").read_text()
    try:
        (at_home / "words.txt").write_text(text + "a new line\n" * 50)
        seen, _ = module.look(Run(runs / "words"))
        assert any("changed since" in note for note in seen.notes)
        (at_home / "words.txt").unlink()
        made = genloom.report("words", runs=runs, out=tmp_path / "r.html")
    finally:
        (at_home / "words.txt").write_text(text)
    page = made.report.read_text()
    assert "Real items and new figures are missing" in page
    assert "This checkpoint was not evaluated." in page
    assert "Written by the model" in page
    assert "Real, held out" not in page
    assert "Digest of its items" in page


def test_a_run_that_was_stopped_says_so(runs: Path) -> None:
    Run(runs / "gan").set_status(state="stopped", progress=0.42)
    seen, _ = module.look(Run(runs / "gan"))
    assert "This run is not finished (stopped, 42% of its budget): shown is its checkpoint of step 4." in seen.notes


def test_what_the_watch_found_is_shown(runs: Path, tmp_path: Path) -> None:
    line = {"name": "mode collapse", "seen": "2 of 10 classes", "likely": "the generator won", "level": "serious",
            "advice": "lower its rate", "step": 3, "seconds": 1.5, "something": "new"}  # fmt: skip
    (runs / "gan" / "health.jsonl").write_text(json.dumps(line) + '\n{"name": "cut sho')
    page = genloom.report("gan", runs=runs, out=tmp_path / "r.html").report.read_text()
    assert "Serious: mode collapse" in page
    assert "2 of 10 classes" in page
    assert "lower its rate" in page
    with open(runs / "gan" / "health.jsonl", "w") as file:
        file.write(json.dumps(line) + "\n" + json.dumps({"name": "mode collapse", "gone": True, "step": 4}) + "\n")
    page = genloom.report("gan", runs=runs, out=tmp_path / "r.html").report.read_text()
    assert "Note: mode collapse" in page, "what is gone is no warning any more"
    assert "from step 3 to step 4" in page
    (runs / "gan" / "health.jsonl").unlink()
    assert "mode collapse" not in genloom.report("gan", runs=runs, out=tmp_path / "r.html").report.read_text()


def test_training_items_are_never_read_all_at_once(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from genloom.metrics import neighbours

    dataset = module.data_of(open_run(Run(runs / "pictures")))
    read: list[int] = []
    split, raw = type(dataset.train), type(dataset.train).raw
    monkeypatch.setattr(split, "raw", lambda self, index: (read.append(len(index)), raw(self, index))[1])
    monkeypatch.setattr(neighbours, "_blocks", lambda n, size: torch.arange(n).split(100))
    some = raw(dataset.train, torch.tensor([3, 250, 999]))["image"]
    assert torch.equal(module._twins(dataset, "image", some), some), "a training item's nearest is itself"
    assert read
    assert max(read) <= 100
    monkeypatch.setattr(module, "SOUGHT", 50)
    read.clear()
    module._twins(dataset, "image", some)
    assert sum(read) <= 60
    assert any("among 50 of" in note for note in module.look(Run(runs / "pictures"))[0].notes)


def test_a_path_begins_with_noise_and_ends_with_the_sample(runs: Path) -> None:
    import torch

    loaded = open_run(Run(runs / "flow"))
    path = moments(loaded, "image", 0)
    assert path is not None
    assert path.shape[1] == 3, "two evaluations and the item"
    again = loaded.model.sample(4, generator=torch.Generator().manual_seed(0))["image"]  # type: ignore[attr-defined]
    assert torch.allclose(path[:, -1], again.float())
    assert path[:, 0].std() > 0.5
    assert moments(open_run(Run(runs / "gan")), "image", 0) is None


def test_a_plane_of_codes_is_drawn_as_a_map(runs: Path) -> None:
    words = ["train", "vae-mlp", "--name", "plane", "--config.hidden", "16", "--config.latent", "2", "--data", "digits"]
    more = ["--budget", "2steps", "--runs", str(runs), "--train.precision", "fp32", "--train.channels_last", "off"]
    assert main([*words, *more]) == 0
    found = inside(open_run(Run(runs / "plane")), "image", 0)
    assert set(found) == {"walks", "map"}
    assert found["map"].width == found["map"].height


def test_mistakes_are_told_in_one_line(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadValue, match="named twice"):
        genloom.report("gan", str(runs / "gan"), runs=runs)
    with pytest.raises(BadValue, match=r"written to \.html"):
        genloom.report("gan", runs=runs, out="page.pdf")
    with pytest.raises(NotFound, match="did you mean"):
        genloom.report("gann", runs=runs)
    with pytest.raises(BadValue, match="at least 1"):
        genloom.report("gan", runs=runs, n=0)
    with pytest.raises(BadValue, match="at least one run"):
        genloom.report([], runs=runs)
    (tmp_path / "file").write_text("")
    with pytest.raises(Storage, match="--out"):
        genloom.report("gan", runs=runs, out=tmp_path / "file" / "r.html")
    assert main(["report"]) == 2
    assert not list(tmp_path.glob("*.html"))


def test_versions_that_differ_stand_beside_each_other(runs: Path) -> None:
    known = Run(runs / "gan").environment
    Run(runs / "gan").write("environment.json", {**known, "torch": "9.9"})
    found = versions([Run(runs / "gan"), Run(runs / "flow")])
    assert found["torch"] == f"9.9, {known['torch']}"
    assert found["python"] == known["python"]
