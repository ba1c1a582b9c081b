"""Music for people: MIDI, MusicXML and sound files, and piano rolls to look at. `notes.py` says what the ids mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue
from genloom.modalities import image, sound
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending
from genloom.modalities.folder import number, write_files
from genloom.modalities.notes import Note, grid_of, notes_of, quarters, steps_of
from genloom.modalities.registry import modality
from genloom.modalities.scores import midi_bytes, musicxml_bytes
from genloom.modalities.synth import RATE, player, synthesise

WIDE, HIGH = 256, 96  # pixels of a piano roll
PAUSE = 4.0  # quarter notes between pieces in one file
CLIP_RATE, CLIPS = 11_025, 3  # of what pages hold: small, since it stands in the page
_COLOURS = ((200, 60, 60), (225, 150, 40), (60, 145, 85), (60, 95, 190), (130, 80, 160), (60, 150, 160))
_PAPER, _BEAT, _OCTAVE = 252, 238, 228  # grey of the ground, of beats' lines and of those of every C


def beats_of(field: Field) -> float:
    """Quarter notes a minute at which pieces are played."""
    return 60 * field.rate / steps_of(field) if field.rate else 90.0


def pieces(items: Tensor, field: Field) -> list[list[Note]]:
    """The notes of every item."""
    return [notes_of(row, field) for row in items.detach().cpu().long().numpy()]


def in_turn(played: Sequence[Sequence[Note]]) -> list[Note]:
    """All pieces one after another, with pauses, each beginning with a beat."""
    found: list[Note] = []
    now = 0.0
    for notes in played:
        found += [replace(n, start=n.start + now) for n in notes]
        now = float(np.ceil(now + quarters(notes) + PAUSE))
    return found


def roll(notes: Sequence[Note], length: float, low: int, high: int) -> np.ndarray:
    """A piano roll uint8 (3, HIGH, WIDE) of `length` quarter notes: time to the right, low notes at the bottom, a
    colour for each voice."""
    picture = np.full((3, HIGH, WIDE), _PAPER, np.uint8)
    across, tall = WIDE / max(length, 1e-9), HIGH / (high - low + 1)
    for quarter in range(int(length) + 1):
        picture[:, :, min(WIDE - 1, int(quarter * across))] = _BEAT
    for pitch in range(-(-low // 12) * 12, high + 1, 12):
        picture[:, min(HIGH - 1, int((high - pitch + 0.5) * tall)), :] = _OCTAVE
    for n in notes:
        top = int((high - n.pitch) * tall)
        left, right = int(n.start * across), int((n.start + n.length) * across)
        colour = np.array(_COLOURS[n.voice % len(_COLOURS)], np.uint8)[:, None, None]
        # a pixel of ground before the next note, where there is room, so that two of one pitch are told apart
        picture[:, max(0, top) : max(top + 1, int(top + tall)), left : max(left + 1, right - 1)] = colour
    return picture


class MusicCodec(Codec):
    """Pieces are seen as piano rolls."""

    def shaped(self, field: Field) -> str:
        if field.grid:
            steps = field.shape[0] // field.grid[1]
            return f"token ids: {steps} steps of a sixteenth by {field.grid[1]} voices"
        return "token ids of events: pitches, lengths, times"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        played = pieces(items, field)
        longest = max([quarters(p) for p in played] or [0.0])
        pitches = [n.pitch for p in played for n in p]
        low, high = min([int(field.range[0]), *pitches]) - 1, max([int(field.range[1]), *pitches]) + 1
        found = [torch.from_numpy(roll(p, max(longest, 4.0), low, high)) for p in played]
        return torch.stack(found) if found else torch.zeros(0, 3, HIGH, WIDE, dtype=torch.uint8)

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return image.grid(self.tiles(items, field), columns or min(2, max(1, len(items))), gap=6)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        """On a grid pitches (n, T, V), int16, a rest and what lies behind a piece's end -1; of events the ids."""
        rows = items.detach().cpu().long().numpy()
        if not field.grid:
            return rows.astype(np.int16)
        voices = field.grid[1]
        out = np.full((len(rows), rows.shape[1] // voices, voices), -1, np.int16)
        for i, row in enumerate(rows):
            piece = grid_of(row, voices)
            out[i, : len(piece)] = piece
        return out

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """.mid, .musicxml, .wav: one piece after another with pauses; .npy: `array`; .png: piano rolls; a folder: a
        .mid a piece. A .wav says in its comment what played it."""
        target, beats, said = Path(path), beats_of(field), sound.comment_of(metadata)
        suffix = target.suffix.lower()
        if is_folder(path):
            found = enumerate(pieces(items, field))
            write_files(target, ((f"{number(i, len(items))}.mid", midi_bytes(p, beats, said)) for i, p in found))
            return target
        if suffix not in modality("music").writes:
            raise wrong_ending(path, modality("music").plural, modality("music").writes)
        if not len(items):
            raise BadValue("a file of music needs at least one piece, got none: ask for n of 1 or more")
        if suffix == ".png":
            image.write_bytes(target, image.png(self.picture(items, field, columns), metadata))
        elif suffix == ".npy":
            image.write_bytes(target, image.npy(self.array(items, field)))
        elif suffix == ".wav":
            image.write_bytes(target, wave_bytes(in_turn(pieces(items, field)), beats, said))
        else:
            write: Callable[[Sequence[Note], float, str], bytes] = midi_bytes if suffix == ".mid" else musicxml_bytes
            image.write_bytes(target, write(in_turn(pieces(items, field)), beats, said))
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        found = enumerate(pieces(items[:CLIPS], field), 1)
        beats = beats_of(field)
        return tuple(
            Clip("audio/wav", wave_bytes(p, beats, "", CLIP_RATE), f"piece {i}, by {player()}") for i, p in found
        )

    def measured(self, field: Field) -> Field | None:
        return None

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        raise BadValue("music is measured by its notes, not by pictures")


def wave_bytes(notes: Sequence[Note], beats: float, said: str = "", rate: int = RATE) -> bytes:
    """Notes as a WAV file; its comment says what played them."""
    wave = torch.from_numpy(synthesise(notes, beats, rate))
    return sound.wav_bytes(sound.to_int16(wave), rate, "; ".join(s for s in (said, f"played by {player()}") if s))


CODEC = MusicCodec()
