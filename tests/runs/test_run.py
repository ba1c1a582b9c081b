"""Run directories: numbered, found again, whole or absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from genloom.errors import BadValue, Busy, Damaged, NotFound, Storage
from genloom.runs import Run, find, list_runs, read_json, write_atomic, write_json


def test_runs_are_numbered_and_named(tmp_path: Path) -> None:
    names = [Run.create(tmp_path, "vae", {}).name, Run.create(tmp_path, "flow", {}).name]
    assert names == ["0001-vae", "0002-flow"]
    assert Run.create(tmp_path, "vae", {}, name="mine").name == "mine"
    (tmp_path / "stray").mkdir()
    assert [r.name for r in list_runs(tmp_path)] == ["0001-vae", "0002-flow", "mine"]
    assert list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", ".hidden"])
def test_unusable_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadValue, match="--name"):
        Run.create(tmp_path, "vae", {}, name=name)
    assert not list(tmp_path.iterdir())


def test_a_taken_name_is_refused(tmp_path: Path) -> None:
    Run.create(tmp_path, "vae", {}, name="mine")
    with pytest.raises(BadValue, match="exists already"):
        Run.create(tmp_path, "vae", {}, name="mine")


def test_runs_are_found_by_path_name_and_number(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "vae", {})
    Run.create(tmp_path, "flow", {})
    for name in (run.path, "0001-vae", "1", "0001"):
        assert find(name, tmp_path).path == run.path


def test_an_unknown_run_offers_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there are no runs under"):
        find("7", tmp_path)
    Run.create(tmp_path, "vae", {})
    with pytest.raises(NotFound, match=r"did you mean .*0001-vae"):
        find("0001-va", tmp_path)
    with pytest.raises(NotFound, match="lists 1"):
        find("zzzzzz", tmp_path)


def test_status_changes_by_entry(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "vae", {"a": 1})
    run.set_status(step=3)
    run.set_status(state="running")
    assert run.status["step"] == 3
    assert run.status["state"] == "running"
    assert run.config["a"] == 1


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "vae", {})
    with run.lock(), pytest.raises(Busy), Run(run.path).lock():
        pass
    with Run(run.path).lock():
        pass


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})

    def fail(p: Path) -> None:
        p.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(Storage, match="the disk is full; nothing was overwritten"):
        write_atomic(path, fail)
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["x.json"]


def test_unwritable_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Storage, match="cannot write"):
        Run.create(tmp_path / "file" / "runs", "vae", {})


def test_broken_json_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    with pytest.raises(Damaged, match="is missing"):
        read_json(path)
    path.write_bytes(b"\xff{")
    with pytest.raises(Damaged, match="cut short or edited"):
        read_json(path)
