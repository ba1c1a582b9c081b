"""Keys and chords of a piece: profiles of Krumhansl & Kessler (1982), triads, and steps from chord to chord."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genloom.metrics.music.pieces import Piece

BEAT = 4  # steps, of sixteenths
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_TRIADS = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8))  # major, minor, diminished, augmented
CHORDS = 12 * len(_TRIADS) + 1  # by root and kind; the last is anything else
Array = NDArray[np.float64]


def pitch_classes(piece: Piece) -> Array:
    """For how many steps each of the 12 pitch classes sounds, over all voices (12,)."""
    sounding = piece[piece > 0]
    return np.bincount(sounding % 12, minlength=12).astype(np.float64)


def key_of(counts: Array) -> int:
    """The key whose profile goes best with pitch-class counts (12,): 0..11 major by tonic, 12..23 minor."""
    scores = [
        np.corrcoef(counts, np.roll(profile, tonic))[0, 1] if counts.std() else 0.0
        for profile in (_MAJOR, _MINOR)
        for tonic in range(12)
    ]
    return int(np.argmax(scores))


def triad(pitches: NDArray[np.int16]) -> int:
    """The chord of the notes that sound together: 4 * root + kind, or CHORDS - 1 where no triad holds them.

    Of the triads that hold all notes the one whose tones are most of them counts, with its root in the lowest voice
    where there are several; two notes may stand for a triad, one note for none.
    """
    sounding = pitches[pitches > 0]
    classes = {int(p) % 12 for p in sounding}
    if len(classes) < 2:
        return CHORDS - 1
    bass = int(sounding.min()) % 12
    fitting = [
        (root != bass, kind, root)
        for root in range(12)
        for kind, shape in enumerate(_TRIADS)
        if classes <= {(root + step) % 12 for step in shape}
    ]
    if not fitting:
        return CHORDS - 1
    _, kind, root = min(fitting)
    return len(_TRIADS) * root + kind


def chord_transitions(piece: Piece) -> Array:
    """How often each chord follows each other one from beat to beat, counted from the piece's tonic (CHORDS, CHORDS).

    A chord that stays is no transition.
    """
    tonic = key_of(pitch_classes(piece)) % 12
    counts = np.zeros((CHORDS, CHORDS))
    last = -1
    for step in piece[::BEAT]:
        if not (step > 0).any():
            last = -1
            continue
        chord = triad(step)
        if chord < CHORDS - 1:
            root, kind = divmod(chord, len(_TRIADS))
            chord = len(_TRIADS) * ((root - tonic) % 12) + kind
        if last >= 0 and chord != last:
            counts[last, chord] += 1
        last = chord
    return counts
