"""`genloom translate` of music: melodies are harmonised, beginnings go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import genloom
from genloom.cli.main import main
from genloom.errors import BadData, BadValue, NotFound
from genloom.modalities.notes import Note, to_grid
from genloom.modalities.scores import midi_bytes, read_score

pytest.importorskip("mido")
SMALL = {"config.width": 16, "config.depth": 1, "config.heads": 2, "config.pairs": 64,
         "train.batch": 8, "train.precision": "fp32", "data.context": 64}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("voices")
    (root / "scores").mkdir()
    rng = np.random.default_rng(0)
    for i in range(30):
        line = [Note(q, int(rng.integers(60, 72)), 1, 0) for q in range(16)]
        below = [Note(n.start, n.pitch - 12, 1, 1) for n in line]
        (root / "scores" / f"{i}.mid").write_bytes(midi_bytes(line + below))
    (root / "melody.mid").write_bytes(midi_bytes([Note(q, 84 + q % 3, 1) for q in range(8)]))
    for name, voices in (("grid", 2), ("events", 0)):
        genloom.train("music-transformer", data=str(root / "scores"), budget="2steps", name=name,
                      runs=str(root / "runs"), overrides={**SMALL, "data.voices": voices})  # fmt: skip
    return root


def test_a_melody_is_kept_and_moved_into_range(place: Path) -> None:
    out = place / "set.mid"
    found = genloom.translate(place / "runs" / "grid", "harmonise", place / "melody.mid", out=out)
    assert "moved by -" in " ".join(found.notes)
    grid = to_grid(read_score(out)[0], 2)
    moved = int(found.notes[0].split(" by ")[1].split()[0])
    wanted = [84 + q % 3 + moved for q in range(8)]
    assert all(w in grid[4 * q] for q, w in enumerate(wanted))


@pytest.mark.parametrize("task", ["harmonise", "continue"])
def test_held_out_pieces_are_scored(place: Path, task: str) -> None:
    found = genloom.translate(place / "runs" / "grid", task, n=2, out=place / f"{task}.mid")
    assert 0 <= found["agreement"] <= 1
    assert found.picture


def test_a_score_goes_on(place: Path) -> None:
    out = place / "on.mid"
    assert main(["translate", str(place / "runs" / "grid"), str(place / "scores" / "3.mid"), "--task", "continue",
                 "--length", "32", "--out", str(out)]) == 0  # fmt: skip
    before = to_grid(read_score(place / "scores" / "3.mid")[0], 2)
    assert (to_grid(read_score(out)[0], 2)[: len(before)] == before).all()


def test_samples_are_scores(place: Path) -> None:
    made = genloom.sample(place / "runs" / "events", n=2, out=place / "drawn.npy")
    assert made.images.shape == (2, 64)
    assert genloom.sample(place / "runs" / "grid", n=2).images.shape == (2, 32, 2)


def test_what_cannot_be_done_says_why(place: Path) -> None:
    with pytest.raises(BadValue, match=r"--data\.voices 4"):
        genloom.translate(place / "runs" / "events", "harmonise", place / "melody.mid")
    with pytest.raises(NotFound, match="name an existing score"):
        genloom.translate(place / "runs" / "grid", "harmonise", place / "none.mid")
    (place / "bad.mid").write_bytes(b"no midi")
    with pytest.raises(BadData, match="cannot be read as MIDI"):
        genloom.translate(place / "runs" / "grid", "harmonise", place / "bad.mid")
    with pytest.raises(BadValue, match="share"):
        genloom.translate(place / "runs" / "grid", "continue", share=1.5)
    with pytest.raises(BadValue, match="cannot inpaint"):
        genloom.translate(place / "runs" / "grid", "inpaint")
