"""Descriptors of hand-made pieces of four bars, distances of collections, and what is no piece."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from genloom.errors import BadData, BadValue, NotFound
from genloom.metrics.music import apart, as_piece, compare, describe, read_pieces
from genloom.metrics.music.apart import basic_interval, earth_movers, jensen_shannon
from genloom.metrics.music.descriptors import groove_consistency, parallels, polyphony, voice_leading
from genloom.metrics.music.keys import CHORDS, chord_transitions, key_of, pitch_classes, triad

C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]


def melody(pitches: list[int], steps: int = 4) -> list[int]:
    return [p for p in pitches for _ in range(steps)]


def four_bars(voices: list[list[int]]) -> np.ndarray:
    """Each voice as sixteen quarter notes."""
    return as_piece(np.array([melody(v) for v in voices]).T)


SCALE = four_bars([C_MAJOR + C_MAJOR[::-1]])
CHORALE = four_bars([
    [67, 69, 67, 67, 67, 69, 67, 67] * 2,
    [64, 65, 65, 64, 64, 65, 65, 64] * 2,
    [60, 60, 62, 60, 60, 60, 62, 60] * 2,
    [48, 53, 55, 48, 48, 53, 55, 48] * 2,
])  # fmt: skip


def test_one_note_and_all_notes() -> None:
    one = four_bars([[60] * 16])
    assert describe(one)["pitch_class_entropy"] == 0
    assert describe(one)["scale_consistency"] == 1
    assert math.isnan(describe(one)["motion"]), "a voice that stays moves nowhere"
    chromatic = as_piece([[60 + i % 12] for i in range(48)])
    assert describe(chromatic)["pitch_class_entropy"] == pytest.approx(math.log2(12))
    assert describe(chromatic)["scale_consistency"] == pytest.approx(7 / 12)


def test_a_scale_up_and_down() -> None:
    found = describe(SCALE)
    assert found["scale_consistency"] == 1
    assert found["polyphony"] == 1
    assert found["motion"] == pytest.approx((5 * 2 + 2 * 1) * 2 / 14)  # the top note is held over the bar line
    assert found["leaps"] == 0
    assert math.isnan(found["parallels"]), "one voice has no parallels"
    assert found["key_stability"] == 1
    assert key_of(pitch_classes(SCALE)) == 0, "C major"
    assert key_of(pitch_classes(SCALE + 2)) == 2, "D major, two semitones up"


def test_rhythm_of_bars() -> None:
    assert groove_consistency(four_bars([[60, 62] * 8])) == 1
    even, other = melody([60, 62, 64, 65]), [60] * 8 + [62] * 8
    piece = as_piece([[p] for p in even + other + even + other])
    assert groove_consistency(piece) == pytest.approx(1 - 2 / 16), "two of sixteen steps begin a note in one bar alone"
    assert math.isnan(groove_consistency(piece[:20]))


def test_leaps_and_rests() -> None:
    mean, leaps = voice_leading(four_bars([[60, 67, 60, 65, 64, 64, 64, 64] * 2]))
    assert mean == pytest.approx((2 * (7 + 7 + 5 + 1) + 4) / 9)
    assert leaps == pytest.approx(6 / 9), "sevenths and fourths; steps and the third are none"
    rests = four_bars([[60, -1, 72, -1] * 4])
    assert math.isnan(voice_leading(rests)[0]), "over a rest there is no step"
    assert polyphony(four_bars([[60, -1] * 8, [64, 64] * 8])) == 1.5


def test_parallel_fifths_and_octaves() -> None:
    fifths = four_bars([[67, 69, 71, 72] * 4, [60, 62, 64, 65] * 4])
    assert parallels(fifths) == 1
    octaves = four_bars([[72, 74] * 8, [60, 62] * 8])
    assert parallels(octaves) == 1
    sixths = four_bars([[69, 71, 72, 74] * 4, [60, 62, 64, 65] * 4])
    assert parallels(sixths) == 0
    contrary = four_bars([[67, 79] * 8, [60, 48] * 8])
    assert parallels(contrary) == 0, "apart, not in parallel"
    assert parallels(CHORALE) == pytest.approx(1 / 9), "tenor and bass from IV to V, the textbook's example"


def test_chords() -> None:
    assert triad(np.array([67, 64, 60, 48], np.int16)) == 0, "C major"
    assert triad(np.array([69, 64, 60, 45], np.int16)) == 4 * 9 + 1, "A minor"
    assert triad(np.array([65, 62, 59, 47], np.int16)) == 4 * 11 + 2, "B diminished"
    assert triad(np.array([60, 61, 62, -1], np.int16)) == CHORDS - 1
    assert triad(np.array([60, 72, -1, -1], np.int16)) == CHORDS - 1
    counts = chord_transitions(four_bars([[64, 69, 67, 64] * 4, [60, 60, 62, 60] * 4, [55, 65, 59, 55] * 4,
                                          [48, 53, 55, 48] * 4]))  # fmt: skip
    tonic, fourth, fifth = 0, 4 * 5, 4 * 7
    assert counts[tonic, fourth] == counts[fourth, fifth] == counts[fifth, tonic] == 4
    assert counts.sum() == 12, "the tonic that stays over the bar line is no transition"
    assert (chord_transitions(CHORALE + 3) == chord_transitions(CHORALE)).all(), "counted from the tonic"


def collection(n: int, seed: int, leap: int = 2) -> list[np.ndarray]:
    """Pieces of four voices that walk about their scale."""
    draw = np.random.default_rng(seed)
    notes = np.array([n for n in range(36, 84) if n % 12 in (0, 2, 4, 5, 7, 9, 11)])
    pieces = []
    for _ in range(n):
        places = np.array([23, 19, 15, 8]) + np.cumsum(draw.integers(-leap, leap + 1, (24, 4)), 0)
        pieces.append(as_piece(np.repeat(notes[places.clip(0, len(notes) - 1)], 4, 0)))
    return pieces


def test_collections_of_one_source_lie_at_their_floor_and_others_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "RESAMPLES", 200)
    reference, train = collection(14, 1), collection(14, 2)
    same = {r.key: r for r in compare(collection(14, 3), reference, train)}
    assert len(same) == 9
    other = {r.key: r for r in compare(collection(14, 4, leap=6), reference, train)}
    assert other["music_motion"].value > 5 * max(other["music_motion"].floor, same["music_motion"].value)
    assert other["music_motion"].protocol["p"] < 0.01 < same["music_motion"].protocol["p"]
    assert other["music_motion"].interval[0] > 0
    assert other["music_leaps"].protocol["mean"] > other["music_leaps"].protocol["mean_reference"]
    assert 0 < same["music_chords"].value < 1
    assert same["music_chords"].floor == pytest.approx(same["music_chords"].value, rel=0.3)
    assert sum(r.protocol["p"] < 0.05 for r in same.values()) <= 2
    scrambled = [np.random.default_rng(i).permuted(p, axis=1) for i, p in enumerate(collection(14, 3))]
    voices = {r.key: r for r in compare(scrambled, reference, train)}
    assert voices["music_motion"].value > 20 * voices["music_motion"].floor
    assert voices["music_pitch_class_entropy"].value == same["music_pitch_class_entropy"].value, "pitches are the same"


def test_intervals_of_distances_hold_the_truth() -> None:
    held = null = 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        a, b = draw.normal(0, 1, 60), draw.normal(1, 1, 60)
        low, high = basic_interval(a, b, earth_movers, 0)
        held += low <= 1 <= high
        null += basic_interval(a, draw.normal(0, 1, 60), earth_movers, 0)[0] <= 0.05
    assert 34 <= held <= 40, "85 to 100% at nominal 95%"
    assert null >= 36


def test_the_divergence() -> None:
    a, b = np.array([[1.0, 0.0]]), np.array([[0.0, 3.0]])
    assert jensen_shannon(a, a * 5) == 0
    assert jensen_shannon(a, b) == 1
    assert jensen_shannon(a, np.zeros((1, 2))) == 1


def test_files_and_what_is_no_piece(tmp_path: Path) -> None:
    path = tmp_path / "pieces.json"
    path.write_text(json.dumps({"train": [[[60, 64], [62]]], "test": [[[60]]]}))
    assert [p.tolist() for p in read_pieces(path, "train")] == [[[60, 64], [62, -1]]]
    assert len(read_pieces(path)) == 2
    with pytest.raises(BadData, match="train, test"):
        read_pieces(path, "valid")
    with pytest.raises(NotFound):
        read_pieces(tmp_path / "none.json")
    assert as_piece([[60.0, float("nan")], [0, 62]]).tolist() == [[60, -1], [-1, 62]]
    for bad, said in (([["c"]], "MIDI"), ([], "steps"), ([[200]], "200"), ([[60.5]], "whole"), ([[-1]], "rests")):
        with pytest.raises(BadData, match=said):
            as_piece(bad)
    with pytest.raises(BadValue, match="at least 10"):
        compare(collection(3, 0), collection(20, 0))
