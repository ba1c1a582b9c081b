"""Recipe files: written, read back, accepted wherever a recipe's name is, and refused in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genloom.cli.main import main
from genloom.errors import BadValue, GenloomError, NotFound
from genloom.recipes import fields, files, registry

TEXT = """# found on a Sunday
recipe = "flow"
size = "small"
[config]
widths = [32, 32]
blocks = [1, 1]
[config.optimizer]
lr = 0.002
[train]
batch = 16
[data]
limit = "none"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    return path


def test_a_file_is_its_base_with_its_changes(file: Path) -> None:
    name, size, overrides = files.read(file)
    assert (name, size) == ("flow", "small")
    assert overrides == {
        "config.widths": (32, 32), "config.blocks": (1, 1), "config.optimizer.lr": 0.002, "train.batch": 16,
        "data.limit": None,
    }  # fmt: skip
    resolved, recipe = files.resolve(str(file))
    assert resolved == "flow"
    assert recipe == registry.override(registry.get("flow", "small"), overrides)
    assert files.resolve("flow") == ("flow", registry.get("flow"))
    assert files.resolve(str(file), "nano")[1].config.attention == registry.get("flow", "nano").config.attention


@pytest.mark.parametrize("entry", registry.entries(), ids=lambda e: e.name)
def test_every_field_survives_being_written(entry: registry.Entry, tmp_path: Path) -> None:
    infos = fields.leaves(registry.get(entry.name))
    values = {i.path: i.value for i in infos if i.path != "model"}
    path = files.write(tmp_path / "all.toml", entry.name, values, comment="one\n\nthree")
    assert path.read_text().startswith("# one\n#\n# three\nrecipe = ")
    assert files.read(path) == (entry.name, None, values)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ('recipe = "flwo"', NotFound, "did you mean 'flow'"),
        ("[train]\nbatch = 3", BadValue, 'begin it with recipe = "NAME"'),
        ('recipe = "other.toml"', BadValue, "name a registered recipe"),
        ('recipe = "flow', BadValue, "is not valid TOML"),
        ('recipe = "flow"\nsize = "huge"', BadValue, "has sizes nano, small, base, got size huge"),
        ('recipe = "flow"\nsize = 3', BadValue, "size is a name in quotes"),
        ('recipe = "flow"\n[config]\nwidht = 3', NotFound, "unknown field config.widht: did you mean"),
        ('recipe = "flow"\n[train]\nbatch = "many"', BadValue, "train.batch: expected a whole number, got 'many'"),
        ('recipe = "flow"\nmodel = "gpt"', BadValue, "choose another recipe"),
        ('recipe = "flow"\nbatch = 3\n[train]\nbatch = 4', BadValue, "given twice"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line_that_names_it(
    tmp_path: Path, text: str, kind: type[GenloomError], said: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(kind) as caught:
        files.read(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_answers_with_the_nearest(file: Path) -> None:
    with pytest.raises(NotFound, match=r"did you mean .*mine\.toml"):
        files.resolve(str(file.with_name("mien.toml")))
    with pytest.raises(BadValue, match=r"end it in \.toml"):
        files.write(file.with_name("mine.txt"), "flow", {})


def test_commands_take_a_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes", str(file), "--json"]) == 0
    shown = {row["field"]: row["value"] for row in json.loads(capsys.readouterr().out)["fields"]}
    assert (shown["config.optimizer.lr"], shown["config.widths"]) == ("0.002", "32,32")
    assert main(["train", str(file), "--help"]) == 0
    assert "[0.002]" in capsys.readouterr().out
    assert main(["cite", str(file)]) == 0
    assert "Flow Matching" in capsys.readouterr().out


def test_a_run_from_a_file_says_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from genloom.verbs.train import train

    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8))
    files.write(tmp_path / "small.toml", "vae-mlp", {"config.hidden": 8, "train.budget": "2steps", "train.batch": 8})
    run = train("small.toml", "x.npy").run  # type: ignore[union-attr]
    config = run.config
    assert (config["recipe"], config["config"]["hidden"]) == ("vae-mlp", 8)
    assert config["recipe_file"] == str(tmp_path / "small.toml")
    assert run.name == "0001-vae-mlp"
