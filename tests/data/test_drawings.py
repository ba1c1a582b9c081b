"""Files of drawings: lines of JSON, arrays, sketch-rnn's pickled lists read without running them; what is refused."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genloom.data import DataOptions
from genloom.data import load as load_data
from genloom.errors import BadData, Damaged, GenloomError


def some(n: int = 40, seed: int = 0) -> list[np.ndarray]:
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        rows = np.concatenate([draw.integers(-50, 50, (draw.integers(3, 9), 2)), np.zeros((0, 0)).reshape(0, 2)])
        made.append(np.concatenate([rows, np.zeros((len(rows), 1))], 1).astype(np.int16))
        made[-1][-1, 2] = 1
    return made


def ragged(path: Path, **parts: list[Any]) -> Path:
    """A .npz of object arrays, as numpy pickles them."""
    arrays = {}
    for name, drawings in parts.items():
        arrays[name] = np.empty(len(drawings), object)
        arrays[name][:] = drawings
    np.savez_compressed(path, **arrays)
    return path


def open_set(path: Path, **options: Any) -> Any:
    return load_data(DataOptions(source=str(path), **options))


def test_sketch_rnns_lists(tmp_path: Path) -> None:
    drawings = some()
    data = open_set(ragged(tmp_path / "x.npz", train=drawings, valid=drawings[:6], test=drawings[:5]))
    assert [data.train.items, data.validation.items, data.test.items] == [40, 6, 5]
    field = data.spec["strokes"]
    assert field.shape == (1 + max(map(len, drawings)), 3)
    scale = np.concatenate(drawings)[:, :2].std()
    assert field.grain == pytest.approx(1 / scale)
    batch = data.train.batch(torch.tensor([3, 0]))["strokes"]
    np.testing.assert_allclose(batch[0, : len(drawings[3]), :2] * scale, drawings[3][:, :2], atol=1e-4)
    assert (batch[0, len(drawings[3]) :, 2] == 2).all()


def test_plain_arrays_and_json_hold_the_same(tmp_path: Path) -> None:
    drawings = some()
    flat, long = np.concatenate(drawings), np.array([len(d) for d in drawings])
    np.savez(tmp_path / "x.npz", strokes=flat, lengths=long)
    lines = []
    for d in drawings:
        places = d[:, :2].cumsum(0)
        lines.append(json.dumps({"word": "x", "drawing": [[places[:, 0].tolist(), places[:, 1].tolist()]]}))
    (tmp_path / "x.ndjson").write_text("\n".join([*lines, "", '{"drawing": 5}', "no json"]))
    one, two = open_set(tmp_path / "x.npz"), open_set(tmp_path / "x.ndjson")
    assert one.train.items + one.validation.items + one.test.items == 40
    assert one.digest == two.digest
    assert any("2 of 42 lines are no drawings" in note for note in two.notes)


def test_long_drawings_are_left_out_and_counted(tmp_path: Path) -> None:
    drawings = [*some(), np.ones((300, 3), np.int16), np.ones((0, 3), np.int16)]
    data = open_set(ragged(tmp_path / "x.npz", train=drawings, valid=drawings[:6], test=drawings[:5]))
    assert data.train.items == 40
    assert any("2 of 53 drawings are left out" in note for note in data.notes)


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("harm"),))


def test_a_pickle_that_would_run_something_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = ragged(tmp_path / "x.npz", train=[_Evil()] * 3, valid=some(3), test=some(3))
    with pytest.raises(Damaged, match="not made of arrays alone"):
        open_set(path)
    assert not (tmp_path / "harm").exists()


def test_what_is_no_drawing_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_bytes(b"\x00\xff\x00" * 50)
    np.savez(tmp_path / "b.npz", strokes=np.zeros((5, 3)), lengths=np.array([2, 2]))
    ragged(tmp_path / "c.npz", train=some(3), valid=some(3), test=some(3))
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        for name in ("train", "valid", "test"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + pickle.dumps([1])[:9])
    for name, words in (("a.ndjson", "no drawings"), ("b.npz", "add up"), ("c.npz", "at least 10"), ("d.npz", "d.npz")):
        with pytest.raises(GenloomError, match=words) as told:
            open_set(tmp_path / name)
        assert "\n" not in str(told.value)
    with pytest.raises(BadData):
        open_set(tmp_path / "a.ndjson")
