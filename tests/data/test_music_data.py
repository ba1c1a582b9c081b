"""Folders of scores as windows of ids; transposition within the range of the training pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genloom.core import Step
from genloom.data import load
from genloom.data.dataset import augment
from genloom.data.options import DataOptions
from genloom.errors import BadData, BadValue
from genloom.metrics.likelihood import windows
from genloom.modalities.notes import END, Note, field_of
from genloom.modalities.scores import midi_bytes

pytest.importorskip("mido")


def tune(seed: int, bars: int = 4) -> list[Note]:
    rng = np.random.default_rng(seed)
    return [Note(q, int(rng.integers(60, 73)), 1, 0) for q in range(4 * bars)] + [Note(0, 48, 4.0 * bars, 1)]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    folder = tmp_path / "scores"
    folder.mkdir()
    for i in range(30):
        (folder / f"{i:02d}.mid").write_bytes(midi_bytes(tune(i)))
    return folder


def test_a_folder_becomes_events(scores: Path) -> None:
    found = load(DataOptions(source=str(scores), context=32))
    field = found.spec["music"]
    assert field.grid == ()
    assert field.shape == (32,)
    assert sum(len(part.pieces()) for part in (found.train, found.validation, found.test)) == 30
    batch = found.train.batch(torch.arange(5))["music"]
    assert batch.shape == (5, 32)
    assert batch.dtype == torch.int64
    assert "loudness" in " ".join(found.notes)


def test_a_folder_becomes_a_grid_whose_windows_begin_with_a_beat(scores: Path) -> None:
    found = load(DataOptions(source=str(scores), context=64, voices=2))
    assert found.spec["music"].grid == (4, 2)
    first = found.train.batch(torch.tensor([0]))["music"][0]
    assert first[:8].tolist() == [END] * 8
    assert (first[9::2][:20] == 48).all()  # the lower voice
    index = windows(found.test)
    assert len(index) == found.test.items
    rows = found.test.batch(index)["music"]
    assert (rows.flatten() == found.test.ids[: rows.numel()].long()).all()  # they follow one another


def test_broken_scores_are_skipped_by_name_and_counted(scores: Path) -> None:
    (scores / "bad.mid").write_bytes(b"no midi")
    (scores / "silent.mid").write_bytes(midi_bytes([]))
    found = load(DataOptions(source=str(scores), context=32))
    (said,) = [n for n in found.notes if "skipped" in n]
    assert "2 of 32 scores" in said
    assert "bad.mid" in said
    assert "silent.mid" in said
    with pytest.raises(BadData, match="mend or remove"):
        load(DataOptions(source=str(scores), context=32, strict=True))


def test_what_cannot_be_learnt_says_why(scores: Path, tmp_path: Path) -> None:
    with pytest.raises(BadData, match="is one score"):
        load(DataOptions(source=str(scores / "00.mid")))
    with pytest.raises(BadData, match="fewer than a context"):
        load(DataOptions(source=str(scores), context=10_000))
    with pytest.raises(BadValue, match="voices"):
        load(DataOptions(source=str(scores), voices=40))
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "x.mid").write_bytes(b"")
    with pytest.raises(BadData, match="give others"):
        load(DataOptions(source=str(tmp_path / "none"), read="music"))


def test_windows_are_transposed_within_the_training_range() -> None:
    field = field_of(8, 0, 50, 62)
    ids = torch.tensor([[50, 130, 60, 130, 0, END, 180, 61], [END] * 8]).repeat(200, 1)
    options = DataOptions(transpose=6)
    moved = augment({"music": ids}, {"music": field}, options, Step(seed=3, rows=(0, 400, 400)))["music"]
    pitched = (ids > 0) & (ids < END)
    assert (moved[~pitched] == ids[~pitched]).all()
    by = (moved - ids)[::2, 0]
    assert set(by.tolist()) == {0, 1}  # 61 may rise to 62, 50 may not fall
    assert (moved[pitched] >= 50).all()
    assert (moved[pitched] <= 62).all()
    assert augment({"music": ids}, {"music": field}, DataOptions(), Step(seed=3))["music"] is ids
