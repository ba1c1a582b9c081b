"""Music as token ids and as notes.

On a grid, voices take turns at every step of a sixteenth: id 1 to 127 is the MIDI pitch that a voice sounds, 0 a rest,
END the end of the piece (a beat of them). A pitch that stays is one long note: a grid does not tell it from one that is
struck again.

As events, a note is its pitch (1 to 127) and how long it sounds; before it stands how much later it begins than the one
before. Lengths and times are whole twelfths of a quarter note, up to LONGEST at once. END parts pieces. Whatever ids a
model writes, they mean some music: a pitch without a length lasts a twelfth, a length without a pitch is passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genloom.core import Field

Ids = NDArray[np.int64]

REST, END = 0, 128
LONGEST = 48  # twelfths of a quarter: a whole note
LENGTHS = END + 1  # the first id of a length, of one twelfth
SHIFTS = LENGTHS + LONGEST  # the first id of a later beginning, by one twelfth
GRID_SIZE, EVENT_SIZE = END + 1, SHIFTS + LONGEST
SIXTEENTHS, TWELFTHS = 4, 12  # steps of a quarter, on a grid and of events


@dataclass(frozen=True, order=True)
class Note:
    """start, length: in quarter notes; pitch: as in MIDI; voice: which of several lines it belongs to, from 0."""

    start: float
    pitch: int
    length: float
    voice: int = 0


def steps_of(field: Field) -> int:
    """Steps of a quarter note."""
    return SIXTEENTHS if field.grid else TWELFTHS


def field_of(context: int, voices: int, low: int, high: int, beats: float = 90.0) -> Field:
    """The field of windows of `context` tokens. voices: on a grid, 0 for events; low, high: pitches of training pieces;
    beats: quarter notes a minute, at which it is played."""
    grid = (SIXTEENTHS, voices) if voices else ()
    steps, size = (SIXTEENTHS, GRID_SIZE) if voices else (TWELFTHS, EVENT_SIZE)
    rate = beats / 60 * steps
    return Field("music", (context,), (float(low), float(high)), size, rate=rate, end=END, grid=grid)


# -- a grid ----------------------------------------------------------------------------------------------------------


def grid_ids(piece: NDArray[np.int16]) -> Ids:
    """Pitches (T, V), rests -1, as ids (T * V,)."""
    return np.where(piece > 0, piece, REST).astype(np.int64).flatten()


def grid_of(ids: Ids, voices: int) -> NDArray[np.int16]:
    """Ids (L,) as pitches (T, V) with rests -1, up to the first end; ends before any note are passed over."""
    steps = ids[: len(ids) // voices * voices].reshape(-1, voices)
    over = (steps == END).any(1)
    begin = int(np.argmin(over)) if not over.all() else len(steps)
    rest = np.flatnonzero(over[begin:])
    steps = steps[begin : begin + int(rest[0]) if len(rest) else len(steps)]
    return np.where(steps > REST, steps, -1).astype(np.int16)


def grid_notes(piece: NDArray[np.int16]) -> list[Note]:
    """The notes of pitches (T, V) by sixteenth."""
    found = []
    for voice in range(piece.shape[1]):
        line = np.concatenate([[-1], piece[:, voice], [-1]])
        places = np.flatnonzero(line[1:] != line[:-1])
        for start, stop in itertools.pairwise(places):
            if piece[start, voice] > 0:
                length = int(stop - start) / SIXTEENTHS
                found.append(Note(int(start) / SIXTEENTHS, int(piece[start, voice]), length, voice))
    return sorted(found)


def to_grid(notes: Sequence[Note], voices: int) -> NDArray[np.int16]:
    """Notes as pitches (T, voices) by sixteenth, high voices first. Where the notes have just so many voices these are
    kept; otherwise the highest notes that sound go to the first ones."""
    length = max((round((n.start + n.length) * SIXTEENTHS) for n in notes), default=0)
    length = -(-length // SIXTEENTHS) * SIXTEENTHS  # whole beats
    lines = sorted({n.voice for n in notes})
    if len(lines) == voices:
        piece = np.full((length, voices), -1, np.int16)
        middle = {v: float(np.mean([n.pitch for n in notes if n.voice == v])) for v in lines}
        place = {v: i for i, v in enumerate(sorted(lines, key=lambda v: -middle[v]))}
        for n in sorted(notes):
            a, b = round(n.start * SIXTEENTHS), round((n.start + n.length) * SIXTEENTHS)
            piece[a : max(b, a + 1), place[n.voice]] = n.pitch
        return piece
    sounding: list[set[int]] = [set() for _ in range(length)]
    for n in notes:
        a, b = round(n.start * SIXTEENTHS), round((n.start + n.length) * SIXTEENTHS)
        for step in range(a, min(max(b, a + 1), length)):
            sounding[step].add(n.pitch)
    rows = [(sorted(s, reverse=True) + [-1] * voices)[:voices] for s in sounding]
    return np.array(rows, np.int16).reshape(length, voices)


# -- events ----------------------------------------------------------------------------------------------------------


def event_ids(notes: Sequence[Note]) -> Ids:
    """Notes as ids; those that begin at once from the lowest to the highest."""
    ids: list[int] = []
    now = 0
    placed = sorted((round(n.start * TWELFTHS), n.pitch, max(1, round(n.length * TWELFTHS))) for n in notes)
    first = placed[0][0] if placed else 0
    for start, pitch, length in placed:
        later = start - first - now
        while later > 0:
            ids.append(SHIFTS + min(later, LONGEST) - 1)
            later -= min(later, LONGEST)
        now = start - first
        ids += [pitch, LENGTHS + min(length, LONGEST) - 1]
    return np.array(ids, np.int64)


def event_notes(ids: Ids) -> list[Note]:
    """The notes of ids, up to the first end behind a note."""
    found: list[Note] = []
    now, pitch = 0, 0
    for one in ids.tolist():
        if pitch and not LENGTHS <= one < SHIFTS:
            found.append(Note(now / TWELFTHS, pitch, 1 / TWELFTHS))
            pitch = 0
        if one == END and found:
            break
        if REST < one < END:
            pitch = one
        elif LENGTHS <= one < SHIFTS and pitch:
            found.append(Note(now / TWELFTHS, pitch, (one - LENGTHS + 1) / TWELFTHS))
            pitch = 0
        elif one >= SHIFTS:
            now += one - SHIFTS + 1
    if pitch:
        found.append(Note(now / TWELFTHS, pitch, 1 / TWELFTHS))
    return sorted(found)


def notes_of(ids: Ids, field: Field) -> list[Note]:
    """The notes of an item."""
    return grid_notes(grid_of(ids, field.grid[1])) if field.grid else event_notes(ids)


def ids_of(notes: Sequence[Note], field: Field) -> Ids:
    """Notes as the ids of a field."""
    return grid_ids(to_grid(notes, field.grid[1])) if field.grid else event_ids(notes)


def quarters(notes: Sequence[Note]) -> float:
    """How long a piece lasts, in quarter notes."""
    return max((n.start + n.length for n in notes), default=0.0)
