"""Notes from and to files: MIDI by mido, ABC and MusicXML by music21; both come with genloom[music]."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from genloom.errors import BadData, BadValue
from genloom.modalities.notes import Note

READS = (".mid", ".midi", ".abc", ".musicxml", ".mxl")
_DRUMS = 9  # the channel of percussion, whose pitches are no pitches
_TICKS = 480  # of a quarter note, in files that we write
_VELOCITY = 80
_MOST = 100_000  # notes of a file: more are no piece of music


def _library(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise BadValue(f"{what} needs {name}: pip install 'genloom[music]'") from None


def read_score(path: str | Path) -> list[list[Note]]:
    """The pieces of a file: one of a MIDI file, one or more of an ABC or MusicXML file. Percussion is left out.

    Raises BadData for a file that is broken, holds no note, or is of another kind.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in READS:
        raise BadData(f"{path} is no score: expected a file ending in {', '.join(READS)}")
    what = _read_midi if ending in (".mid", ".midi") else _read_by_music21
    pieces = [piece for piece in what(path) if piece]
    if not pieces:
        raise BadData(f"{path} holds no note")
    return pieces


def _read_midi(path: Path) -> list[list[Note]]:
    mido = _library("mido", "MIDI")
    try:
        file = mido.MidiFile(path, clip=True)
    except FileNotFoundError:
        raise BadData(f"there is no {path}") from None
    except Exception as error:  # mido raises many kinds for a broken file: OSError, EOFError, KeySignatureError, ...
        raise BadData(f"{path} cannot be read as MIDI ({type(error).__name__}: {error})") from None
    ticks = file.ticks_per_beat
    if ticks <= 0:
        raise BadData(f"{path} counts time in frames of film, not in beats")
    notes: list[Note] = []
    lines: dict[tuple[int, int], int] = {}
    for number, track in enumerate(file.tracks):
        now = 0
        sounding: dict[tuple[int, int], int] = {}
        for message in track:
            now += message.time
            if message.type not in ("note_on", "note_off") or message.channel == _DRUMS:
                continue
            key = (message.channel, message.note)
            if key in sounding:  # a note that begins again ends first
                start = sounding.pop(key)
                line = lines.setdefault((number, message.channel), len(lines))
                if now > start and message.note > 0:
                    notes.append(Note(start / ticks, message.note, (now - start) / ticks, line))
            if message.type == "note_on" and message.velocity > 0:
                sounding[key] = now
        if len(notes) > _MOST:
            raise BadData(f"{path} holds more than {_MOST:,} notes")
    return [sorted(notes)]


def _read_by_music21(path: Path) -> list[list[Note]]:
    music21 = _library("music21", path.suffix)
    try:
        score = music21.converter.parse(path, forceSource=True)
    except Exception as error:  # music21 raises many kinds for a broken file
        said = " ".join(str(error).split())[:120]
        raise BadData(f"{path} cannot be read ({type(error).__name__}: {said})") from None
    scores = list(score.scores) if isinstance(score, music21.stream.Opus) else [score]
    return [_notes(one) for one in scores]


def _notes(score: Any) -> list[Note]:
    found = []
    parts = list(score.parts) or [score]
    for voice, part in enumerate(parts):
        for one in part.stripTies().flatten().notes:
            for pitch in getattr(one, "pitches", ()):
                if one.quarterLength > 0 and 0 < pitch.midi < 128:
                    found.append(Note(float(one.offset), int(pitch.midi), float(one.quarterLength), voice))
    return sorted(found)


def midi_bytes(notes: Sequence[Note], beats: float = 90.0, said: str = "") -> bytes:
    """A MIDI file with a track for each voice. beats: quarter notes a minute; said: a text in its first track."""
    mido = _library("mido", "a .mid file")
    file = mido.MidiFile(ticks_per_beat=_TICKS)
    first = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats), time=0)])
    if said:
        first.append(mido.MetaMessage("text", text=said.encode("latin-1", "replace").decode("latin-1"), time=0))
    file.tracks.append(first)
    for voice in sorted({n.voice for n in notes}):
        # of two events at one time the end comes first, or a repeated note would end as it begins
        events = [
            event
            for n in notes
            if n.voice == voice
            for event in (
                (round(n.start * _TICKS), 1, n.pitch),
                (round((n.start + n.length) * _TICKS), 0, n.pitch),
            )
        ]
        track, now = mido.MidiTrack(), 0
        channel = voice % 16 if voice % 16 != _DRUMS else 15
        for at, begins, pitch in sorted(events):
            kind = "note_on" if begins else "note_off"
            track.append(mido.Message(kind, note=pitch, velocity=_VELOCITY, channel=channel, time=at - now))
            now = at
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def musicxml_bytes(notes: Sequence[Note], beats: float = 90.0, said: str = "") -> bytes:
    """A MusicXML score with a staff for each voice, in common time."""
    music21 = _library("music21", "a .musicxml file")
    score = music21.stream.Score()
    score.metadata = music21.metadata.Metadata(title="genloom", composer="a model, by genloom")
    if said:
        score.metadata.add("description", said)
    for voice in sorted({n.voice for n in notes}) or [0]:
        part = music21.stream.Part(id=f"voice {voice + 1}")
        mine = sorted(n for n in notes if n.voice == voice)
        low = bool(mine) and sum(n.pitch for n in mine) / len(mine) < 57
        part.append(music21.clef.BassClef() if low else music21.clef.TrebleClef())
        part.append(music21.meter.TimeSignature("4/4"))
        if voice == 0:
            part.append(music21.tempo.MetronomeMark(number=round(beats)))
        together: dict[float, list[Note]] = {}
        for n in mine:
            together.setdefault(n.start, []).append(n)
        for start, some in together.items():
            length = max(n.length for n in some)
            pitches = sorted({n.pitch for n in some})
            one = music21.note.Note(pitches[0]) if len(pitches) == 1 else music21.chord.Chord(pitches)
            one.quarterLength = length
            part.insert(start, one)
        score.insert(0, part)
    # makes measures, ties and rests; given to the exporter as it is, the order of parts stays
    text = music21.musicxml.m21ToXml.GeneralObjectExporter(score).parse()
    return bytes(text)
