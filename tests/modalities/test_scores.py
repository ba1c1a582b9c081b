"""Music as ids, notes and files: what goes in comes out, and whatever ids a model writes mean some music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.modalities import modality
from genloom.modalities.music import roll
from genloom.modalities.notes import (
    END,
    EVENT_SIZE,
    GRID_SIZE,
    Note,
    event_ids,
    event_notes,
    field_of,
    grid_ids,
    grid_notes,
    grid_of,
    ids_of,
    notes_of,
    to_grid,
)
from genloom.modalities.scores import midi_bytes, musicxml_bytes, read_score
from genloom.modalities.sound import read_wav, wav_comment
from genloom.modalities.synth import OWN, additive, player

GRID, EVENTS = field_of(64, 4, 40, 80), field_of(64, 0, 40, 80)
TUNE = [Note(0, 72, 1, 0), Note(1, 74, 0.5, 0), Note(1.5, 76, 0.5, 0), Note(2, 77, 2, 0), Note(0, 60, 4, 1)]
ABC = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\nC D E F|G2 G2|\n"


def plain(notes: list[Note]) -> list[tuple[float, int, float]]:
    return sorted((n.start, n.pitch, n.length) for n in notes)


def test_a_grid_keeps_pitches_rests_and_voices() -> None:
    piece = np.full((16, 4), -1, np.int16)
    piece[:8, 0], piece[8:, 0], piece[4:12, 3] = 72, 74, 48
    ids = grid_ids(piece)
    assert ids[:4].tolist() == [72, 0, 0, 0]
    assert (grid_of(ids, 4) == piece).all()
    assert grid_notes(piece) == [Note(0, 72, 2, 0), Note(1, 48, 2, 3), Note(2, 74, 2, 0)]
    ends = np.full(16, END)
    assert (grid_of(np.concatenate([ends, ids, ends, ids]), 4) == piece).all()  # the first piece, and no more
    assert len(grid_of(ends, 4)) == 0


def test_events_keep_notes_and_long_pauses() -> None:
    far = [*TUNE, Note(20, 50, 0.25)]
    assert plain(event_notes(event_ids(far))) == plain(far)
    assert plain(event_notes(event_ids([Note(3, 60, 9)]))) == [(0.0, 60, 4.0)]  # begins at once, at most a whole note


@pytest.mark.parametrize(("field", "size"), [(GRID, GRID_SIZE), (EVENTS, EVENT_SIZE)], ids=["grid", "events"])
def test_any_ids_mean_some_music(field, size: int, tmp_path: Path) -> None:
    items = torch.randint(size, (20, 64), generator=torch.Generator().manual_seed(0))
    items[0], items[1] = END, 0
    for row in items.numpy():
        for n in notes_of(row, field):
            assert 1 <= n.pitch <= 127
            assert n.length > 0
    codec = modality("music").codec
    assert codec.tiles(items, field).dtype == torch.uint8
    assert len(codec.array(items, field)) == 20
    codec.save(items[:4], field, tmp_path / "x.mid")


def test_voices_are_sorted_from_high_to_low() -> None:
    grid = to_grid(TUNE, 2)
    assert grid.shape == (16, 2)
    assert (grid[:, 1] == 60).all()
    assert grid[[0, 4, 6, 8], 0].tolist() == [72, 74, 76, 77]
    assert to_grid([Note(0, p, 1, p % 2) for p in (60, 64, 67)], 3)[0].tolist() == [67, 64, 60]


def test_midi_goes_round(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    place = tmp_path / "tune.mid"
    place.write_bytes(midi_bytes(TUNE, beats=70, said="by a test"))
    (back,) = read_score(place)
    assert back == sorted(TUNE)
    assert b"by a test" in place.read_bytes()


def test_a_repeated_note_does_not_end_the_next(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    twice = [Note(0, 60, 1), Note(1, 60, 1)]
    (tmp_path / "x.mid").write_bytes(midi_bytes(twice))
    assert read_score(tmp_path / "x.mid") == [twice]


def test_sheets_go_round(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    place = tmp_path / "tune.musicxml"
    place.write_bytes(musicxml_bytes(TUNE))
    (back,) = read_score(place)
    assert plain(back) == plain(TUNE)


def test_abc_is_read(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    (tmp_path / "tune.abc").write_text(ABC)
    (piece,) = read_score(tmp_path / "tune.abc")
    assert [(n.start, n.pitch, n.length) for n in piece] == [
        (0, 60, 1), (1, 62, 1), (2, 64, 1), (3, 65, 1), (4, 67, 2), (6, 67, 2)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content", [b"", b"MThd", b"no midi at all", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\0\x09\0\x90"]
)
def test_broken_midi_is_said_in_one_line(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("mido")
    (tmp_path / "x.mid").write_bytes(content)
    with pytest.raises(BadData, match=r"x\.mid"):
        read_score(tmp_path / "x.mid")


def test_other_files_are_no_scores(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="expected a file ending in"):
        read_score(tmp_path / "x.txt")


def test_every_ending_is_written(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    kind = modality("music")
    items = torch.stack([torch.from_numpy(np.pad(ids_of(TUNE, GRID), (0, 64))[:64]) for _ in range(2)])
    for ending in kind.writes:
        place = kind.codec.save(items, GRID, tmp_path / f"x{ending}", metadata={"genloom": "seed 1"})
        assert place.stat().st_size > 100, ending
    kind.codec.save(items, GRID, f"{tmp_path}/many/")
    assert sorted(p.name for p in (tmp_path / "many").glob("*.mid")) == ["0000.mid", "0001.mid"]
    with pytest.raises(BadValue, match="for pieces of music, got"):
        kind.codec.save(items, GRID, tmp_path / "x.xyz")
    with pytest.raises(BadValue, match="at least one piece"):
        kind.codec.save(items[:0], GRID, tmp_path / "x.mid")
    assert player() in wav_comment((tmp_path / "x.wav").read_bytes())


def test_the_synthesiser_plays_the_pitch(tmp_path: Path) -> None:
    wave = additive([Note(0, 69, 2)], beats=60, rate=8000)
    assert np.abs(wave).max() <= 1
    spectrum = np.abs(np.fft.rfft(wave[:8000]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert not additive([], rate=8000).any()
    assert "genloom" in OWN


def test_clips_can_be_played() -> None:
    items = torch.from_numpy(np.pad(ids_of(TUNE, GRID), (0, 64))[:64])[None]
    (clip,) = modality("music").codec.clips(items, GRID)
    assert clip.kind == "audio/wav"
    assert clip.content[:4] == b"RIFF"


def test_a_roll_shows_high_notes_above_low_ones() -> None:
    picture = roll([Note(0, 70, 1, 0), Note(0, 50, 1, 3)], 2, 45, 75).astype(int)
    coloured = (picture.max(0) - picture.min(0) > 40)[:, 10]
    rows = np.flatnonzero(coloured)
    red = picture[0, :, 10] > picture[2, :, 10] + 40
    assert red[rows[0]]
    assert not red[rows[-1]]


def test_read_wav_opens_what_is_played(tmp_path: Path) -> None:
    pytest.importorskip("mido")
    items = torch.from_numpy(np.pad(ids_of(TUNE, GRID), (0, 64))[:64])[None]
    modality("music").codec.save(items, GRID, tmp_path / "x.wav")
    samples, rate = read_wav(tmp_path / "x.wav")
    assert len(samples) > rate
