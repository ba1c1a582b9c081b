"""Samples of any tool: all of them, in order, at the data set's size and channels; what is none is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genloom.core import Field
from genloom.data import DataOptions
from genloom.data.samples import load_samples
from genloom.errors import BadData, NotFound

GREY, RGB, TEXT = Field("image", (1, 6, 8)), Field("image", (3, 6, 8)), Field("text", (9,), vocabulary=5)


def pixels(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


def loaded(path: Path, field: Field = GREY, most: int | None = None, notes: list[str] | None = None) -> Tensor:
    found = load_samples(path, field, DataOptions(), most, [] if notes is None else notes)
    assert isinstance(found, Tensor)
    return found


def texts(path: Path) -> list[str]:
    found = load_samples(path, TEXT, DataOptions(), None, [])
    assert isinstance(found, list)
    return found


def test_arrays_of_any_layout_keep_their_order(tmp_path: Path) -> None:
    x = pixels(30, 6, 8)
    for name, array in {
        "bytes.npy": x, "channel.npy": x[..., None], "first.npy": x[:, None], "unit.npy": (x / 255).astype(np.float32),
        "signed.npy": x / 127.5 - 1,
    }.items():  # fmt: skip
        np.save(tmp_path / name, array)
        assert torch.equal(loaded(tmp_path / name)[:, 0], torch.from_numpy(x)), name
    np.savez(tmp_path / "a.npz", images=x, labels=np.arange(30))
    assert torch.equal(loaded(tmp_path / "a.npz", most=7)[:, 0], torch.from_numpy(x[:7]))
    wide = loaded(tmp_path / "bytes.npy", RGB)
    assert wide.shape == (30, 3, 6, 8)
    assert torch.equal(wide[:, 2], torch.from_numpy(x))


def test_other_sizes_are_scaled_and_it_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels(4, 12, 16))
    notes: list[str] = []
    assert loaded(tmp_path / "a.npy", notes=notes).shape == (4, 1, 6, 8)
    assert "6x8" in notes[0]
    assert "from 12x16" in notes[0]


def test_colours_are_given_up_only_where_there_are_none(tmp_path: Path) -> None:
    x = pixels(5, 6, 8)
    np.save(tmp_path / "grey.npy", np.repeat(x[..., None], 3, 3))
    assert torch.equal(loaded(tmp_path / "grey.npy")[:, 0], torch.from_numpy(x))
    np.save(tmp_path / "colour.npy", pixels(5, 6, 8, 3))
    with pytest.raises(BadData, match=r"expected grey samples \(1 channel\).*got colours \(3 channels\)"):
        loaded(tmp_path / "colour.npy")
    np.save(tmp_path / "four.npy", pixels(5, 6, 8, 4))
    with pytest.raises(BadData, match="4 channels"):
        loaded(tmp_path / "four.npy")


def test_folders_in_the_order_of_names(tmp_path: Path) -> None:
    x = pixels(12, 6, 8)
    for i, item in enumerate(x):
        place = tmp_path / "s" / ("b" if i >= 6 else "a")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(item).save(place / f"{i:03d}.png")
    (tmp_path / "s" / "a" / "broken.png").write_bytes(b"no picture")
    notes: list[str] = []
    assert torch.equal(loaded(tmp_path / "s", notes=notes)[:, 0], torch.from_numpy(x))
    assert "1 of 13 pictures cannot be read: a/broken.png" in notes[0]
    assert len(loaded(tmp_path / "s", most=5)) == 5
    assert loaded(tmp_path / "s", RGB).shape == (12, 3, 6, 8)


def test_texts_by_line_by_ruled_line_and_by_file(tmp_path: Path) -> None:
    from genloom.modalities.text import save

    said = ["one\ntwo", "three", "vier öfter"]
    for name in ("s.jsonl", "s.txt"):
        assert [t.strip() for t in texts(save(said, tmp_path / name))] == said
    (tmp_path / "lines.txt").write_text("one\n\ntwo\r\n")
    assert texts(tmp_path / "lines.txt") == ["one", "two"]
    (tmp_path / "bare.jsonl").write_text('"one"\n{"text": "two\\n", "n": 1}\n\n')
    assert texts(tmp_path / "bare.jsonl") == ["one", "two\n"]
    for i, text in enumerate(said):
        save([text], tmp_path / "folder" / f"{i}.txt")
    assert [t.strip() for t in texts(tmp_path / "folder")] == said


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.npy", np.full((3, 6, 8), np.nan, np.float32), "NaN"),
        ("a.npy", np.full((3, 6, 8), 7.0, np.float32), r"floats in \[0, 1\]"),
        ("a.npy", pixels(3, 6), "expected"),
        ("a.npy", pixels(0, 6, 8), "empty"),
        ("a.npy", b"no array", "a.npy"),
        ("a.txt", b"text", "holds texts, and the data set images"),
        ("a.png", b"x", "give the folder it lies in"),
        ("a.csv", b"x", "no file of samples"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, content: object, said: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(BadData, match=said):
        loaded(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels(3, 6, 8))
    with pytest.raises(BadData, match="holds images, and the data set texts"):
        texts(tmp_path / "a.npy")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "a"}) + '\n{"words": 3}\n')
    with pytest.raises(BadData, match=r'line 2: expected a text or \{"text"'):
        texts(tmp_path / "a.jsonl")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00\xd8")
    with pytest.raises(BadData, match="UTF-8"):
        texts(tmp_path / "b.txt")
    (tmp_path / "none").mkdir()
    with pytest.raises(BadData, match=r"no pictures and no \.txt"):
        texts(tmp_path / "none")
    with pytest.raises(NotFound, match="there is no"):
        texts(tmp_path / "nowhere.txt")
