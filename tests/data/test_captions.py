"""Captions: where they are read from, how they become ids, which pairs of words are kept out of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from genloom.core import Step
from genloom.data import DataOptions, Dataset, augment, load
from genloom.data.captions import crossings, drop_parts, meets
from genloom.errors import BadData, BadValue
from genloom.modalities.words import COMMA, PAD
from genloom.testing.fakes import fake_captioned, fake_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    where = tmp_path / "pictures"
    where.mkdir()
    for i in range(12):
        Image.new("RGB", (16, 16), (20 * i, 0, 255 - 20 * i)).save(where / f"{i:02d}.png")
    return where


def listed(folder: Path, rows: list[dict[str, str]], name: str = "captions.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def get(path: Path, **options: object) -> Dataset:
    return load(DataOptions(source=str(path), captions=True, **options))  # type: ignore[arg-type]


def texts(data: Dataset) -> dict[int, str]:
    """The caption of every picture by its redness, which says which one it is."""
    assert data.tokenizer is not None
    found = {}
    for split in (data.train, data.validation, data.test):
        batch = split.raw(torch.arange(len(split)))
        for image, ids in zip(batch["image"], batch["caption"], strict=True):
            found[int(image[0, 0, 0]) // 20] = data.tokenizer.decode(ids.tolist())
    return found


@pytest.mark.parametrize("kind", ["jsonl", "metadata", "csv", "txt"])
def test_captions_beside_pictures(folder: Path, kind: str) -> None:
    rows = [{"file_name": f"{i:02d}.png", "text": f"Picture {'odd' if i % 2 else 'even'}"} for i in range(12)]
    if kind == "txt":
        for row in rows:
            (folder / row["file_name"]).with_suffix(".txt").write_text(row["text"] + "\n")
    elif kind == "csv":
        lines = [f'{row["file_name"]},"{row["text"]}"' for row in rows]
        (folder / "captions.csv").write_text("\n".join(["file,caption", *lines]))
    else:
        listed(folder, rows, "metadata.jsonl" if kind == "metadata" else "captions.jsonl")
    data = get(folder)
    assert texts(data) == {i: f"picture {'odd' if i % 2 else 'even'}" for i in range(12)}
    field = data.spec["caption"]
    assert (field.modality, field.role, field.shape, field.vocabulary) == ("text", "condition", (2,), 6)
    assert data.train.batch(torch.tensor([0, 1]))["caption"].dtype == torch.int64


def test_what_does_not_fit_is_counted_by_name(folder: Path) -> None:
    rows = [{"file": f"{i:02d}.png", "text": "" if i == 3 else "a dog"} for i in range(10)]
    rows += [{"file": "gone.png", "text": "x"}, {"file": "00.png", "text": "a cat"}]
    data = get(listed(folder, rows))
    said = " ".join(data.notes)
    assert "1 captions in captions.jsonl name no readable picture and are skipped: gone.png" in said
    assert "3 of 12 pictures have no caption and learn without one: 03.png, 10.png, 11.png" in said
    assert "1 further captions" in said
    assert texts(data)[3] == ""
    assert "cat" not in data.tokenizer.words  # type: ignore[union-attr]


def test_one_line_where_there_are_none(folder: Path) -> None:
    with pytest.raises(BadData, match=r"holds no captions: put a captions\.jsonl"):
        get(folder)
    with pytest.raises(BadData, match=r"no picture has a caption in captions\.jsonl"):
        get(listed(folder, [{"file": "00.png", "text": " "}]))
    (folder / "captions.jsonl").write_text("a red dog\n")
    with pytest.raises(BadData, match="line 1: expected an object"):
        get(folder)
    with pytest.raises(BadData, match="row 1: expected a file and a text, got name"):
        get(listed(folder, [{"name": "00.png"}]))


def test_captions_are_told_only_where_asked_for(folder: Path) -> None:
    plain = load(DataOptions(source=str(folder)))
    with_list = load(DataOptions(source=str(listed(folder, [{"file": "00.png", "text": "a dog"}]))))
    assert with_list.digest == plain.digest
    assert "caption" not in with_list.spec
    assert "captions in captions.jsonl are not used" in " ".join(with_list.notes)
    one = get(folder)
    other = get(listed(folder, [{"file": "00.png", "text": "a cat"}]))
    assert len({plain.digest, one.digest, other.digest}) == 3
    with pytest.raises(BadValue, match=r"--data\.hold_out goes by captions"):
        load(DataOptions(source=str(folder), hold_out="red dog"))


def test_class_names_are_captions_where_there_are_no_others(tmp_path: Path) -> None:
    for kind in ("hot air balloon", "bicycle"):
        (tmp_path / "all" / kind).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (16, 16), (20 * i, len(kind), 9)).save(tmp_path / "all" / kind / f"{i}.png")
    data = get(tmp_path / "all", labels=False)
    assert set(data.spec) == {"image", "caption"}
    assert set(data.tokenizer.words) == {"hot", "air", "balloon", "bicycle"}  # type: ignore[union-attr]


def test_held_out_pairs_never_train() -> None:
    whole, data = fake_captioned(96), fake_captioned(96, hold_out="red wide; blue tall")
    words = data.tokenizer

    def held(split: object) -> list[bool]:
        ids = split.raw(torch.arange(len(split)))["caption"]  # type: ignore[attr-defined, arg-type]
        return [meets(words.decode(row), [("red", "wide"), ("blue", "tall")]) for row in ids.tolist()]  # type: ignore[union-attr]

    assert not any(held(data.train) + held(data.validation))
    assert sum(held(data.test)) == 24
    assert len(data.train) + len(data.validation) + len(data.test) == len(whole.train) * 3
    assert {"red", "wide", "blue", "tall"} <= set(words.words)  # type: ignore[union-attr]
    assert crossings(data.options) == [("red", "wide"), ("red", "tall"), ("blue", "wide"), ("blue", "tall")]
    assert data.digest != whole.digest


@pytest.mark.parametrize(
    ("hold_out", "said"),
    [("red", "words that meet"), ("red round", "no caption holds red and round"), ("red wide; red tall", "'red'")],
)
def test_what_cannot_be_held_out_is_said(hold_out: str, said: str) -> None:
    with pytest.raises(BadValue, match=said):
        fake_captioned(96, hold_out=hold_out)


def test_parts_are_dropped_behind_the_first() -> None:
    ids = torch.tensor([[5, 6, COMMA, 7, COMMA, 8, 9, PAD]] * 400)
    step = Step(seed=0, rows=(0, 400, 400))
    dropped = drop_parts(ids, 0.5, step)
    kinds = {tuple(row) for row in dropped.tolist()}
    assert kinds == {
        (5, 6, COMMA, 7, COMMA, 8, 9, PAD),
        (5, 6, COMMA, 7, PAD, PAD, PAD, PAD),
        (5, 6, COMMA, 8, 9, PAD, PAD, PAD),
        (5, 6, PAD, PAD, PAD, PAD, PAD, PAD),
    }
    assert 140 < int((dropped == 7).any(1).sum()) < 260
    assert torch.equal(drop_parts(ids, 0.0, step), ids)


def test_training_drops_parts_and_leaves_the_rest() -> None:
    data = fake_captioned(48, drop_parts=0.5)
    batch = data.train.batch(torch.arange(16))
    seen = augment(batch, data.spec, data.options, Step(seed=1, rows=(0, 16, 16)))
    assert torch.equal(seen["image"], batch["image"])
    shorter = (seen["caption"] != PAD).sum(1) < (batch["caption"] != PAD).sum(1)
    assert 0 < int(shorter.sum()) < 16


def test_other_data_are_as_they_were() -> None:
    assert set(fake_images().train.batch(torch.arange(2))) == {"image", "label"}
