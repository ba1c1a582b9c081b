"""What a piece is like, in numbers: pitch, rhythm, voice-leading, texture, key. One value a piece and descriptor.

A piece is (T, V) pitches by sixteenth and voice. A note begins where a voice's pitch differs from the step before: an
array of pitches does not tell a repeated note from a long one.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from genloom.metrics.music.keys import key_of, pitch_classes
from genloom.metrics.music.pieces import Piece

BAR = 16  # steps
LEAP = 5  # semitones from which on a voice leaps: more than a major third
WINDOW = 4  # bars in which a key is looked for
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))  # major, natural minor

NAMES = {
    "pitch_class_entropy": ("pitch-class entropy", "bits"),
    "scale_consistency": ("scale consistency", "share of notes' time"),
    "groove_consistency": ("groove consistency", "share of a bar's steps"),
    "motion": ("motion of voices", "semitones a note"),
    "leaps": ("leaps", "share of notes"),
    "parallels": ("parallel fifths and octaves", "share of joint moves"),
    "polyphony": ("polyphony", "voices"),
    "key_stability": ("key stability", "share of windows"),
}


def describe(piece: Piece, bar: int = BAR) -> dict[str, float]:
    """All descriptors of a piece by their keys in NAMES. bar: steps in a bar. What a piece is too short for is NaN."""
    mean, leaps = voice_leading(piece)
    return {
        "pitch_class_entropy": pitch_class_entropy(piece),
        "scale_consistency": scale_consistency(piece),
        "groove_consistency": groove_consistency(piece, bar),
        "motion": mean,
        "leaps": leaps,
        "parallels": parallels(piece),
        "polyphony": polyphony(piece),
        "key_stability": key_stability(piece, bar),
    }


def pitch_class_entropy(piece: Piece) -> float:
    """The entropy of the 12 pitch classes by sounding time, in bits: 0 for one, log2(12) = 3.58 for all alike."""
    p = pitch_classes(piece)
    p = p[p > 0] / p.sum()
    return max(0.0, float(-(p * np.log2(p)).sum()))


def scale_consistency(piece: Piece) -> float:
    """The largest share of the sounding time that lies in one major or natural minor scale."""
    counts = pitch_classes(piece)
    best = max(sum(counts[(tonic + step) % 12] for step in scale) for tonic in range(12) for scale in _SCALES)
    return float(best / counts.sum())


def groove_consistency(piece: Piece, bar: int = BAR) -> float:
    """How alike the rhythms of neighbouring bars are (Wu & Yang 2020): 1 - the share of a bar's steps at which a note
    begins in one and not in the other, the mean over bars. NaN for less than two bars."""
    begins = np.asarray(onsets(piece).any(1))
    bars = begins[: len(begins) // bar * bar].reshape(-1, bar)
    return float(1 - (bars[1:] != bars[:-1]).mean()) if len(bars) > 1 else float("nan")


def onsets(piece: Piece) -> NDArray[np.bool_]:
    """Where a voice begins a note (T, V)."""
    before = np.concatenate([np.full((1, piece.shape[1]), -1, piece.dtype), piece[:-1]])
    return (piece != before) & (piece > 0)


def voice_leading(piece: Piece) -> tuple[float, float]:
    """(mean size in semitones, share of leaps) of a voice's moves from note to note; rests end a line.

    NaN where no voice moves.
    """
    now, before = piece[1:].astype(np.int64), piece[:-1].astype(np.int64)
    moved = (now != before) & (now > 0) & (before > 0)
    sizes = np.abs(now - before)[moved]
    if not len(sizes):
        return float("nan"), float("nan")
    return float(sizes.mean()), float((sizes >= LEAP).mean())


def parallels(piece: Piece) -> float:
    """Of all times that two voices move together, the share in which they go in one direction from a fifth to a fifth,
    or from an octave (or unison) to an octave. NaN where no two voices move together."""
    now, before = piece[1:].astype(np.int64), piece[:-1].astype(np.int64)
    joint = wrong = 0
    for a, b in itertools.combinations(range(piece.shape[1]), 2):
        sounding = (now[:, [a, b]] > 0).all(1) & (before[:, [a, b]] > 0).all(1)
        first, second = now[:, a] - before[:, a], now[:, b] - before[:, b]
        both = sounding & (first != 0) & (second != 0)
        interval, was = (np.abs(x[:, a] - x[:, b]) % 12 for x in (now, before))
        perfect = (interval == was) & np.isin(interval, (0, 7))
        joint += int(both.sum())
        wrong += int((both & perfect & (first * second > 0)).sum())
    return wrong / joint if joint else float("nan")


def polyphony(piece: Piece) -> float:
    """How many voices sound, the mean over the steps at which any does."""
    voices = (piece > 0).sum(1)
    return float(voices[voices > 0].mean())


def key_stability(piece: Piece, bar: int = BAR) -> float:
    """The share of windows of four bars, a bar apart, whose key is the whole piece's. NaN for less than four bars."""
    whole, size = key_of(pitch_classes(piece)), WINDOW * bar
    starts = range(0, len(piece) - size + 1, bar)
    keys = [key_of(pitch_classes(piece[s : s + size])) for s in starts]
    return float(np.mean([k == whole for k in keys])) if keys else float("nan")
