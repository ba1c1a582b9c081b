"""Notes as sound: by fluidsynth and a General MIDI sound font where both are there, otherwise by adding up sines."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genloom.errors import BadData
from genloom.modalities.notes import Note, quarters
from genloom.modalities.scores import midi_bytes
from genloom.modalities.sound import read_wav, resampled

RATE = 22_050
FONTS = tuple(
    f"{place}/share/{name}"
    for place in ("/usr", "/usr/local", "/opt/homebrew")
    for name in ("sounds/sf2", "soundfonts")
)
OWN = "additive synthesis of genloom"
_PARTIALS = 6
_TAIL = 1.0  # seconds that the last note may fade


def sound_font() -> Path | None:
    """The first sound font in the usual places."""
    found = (p for folder in FONTS for p in sorted(Path(folder).glob("*.sf[23]")))
    return next(found, None)


def player() -> str:
    """What makes the sound here, in words."""
    font = sound_font()
    return f"fluidsynth with {font.name}" if font is not None and shutil.which("fluidsynth") else OWN


def synthesise(notes: Sequence[Note], beats: float = 90.0, rate: int = RATE) -> np.ndarray:
    """Samples float32 (T,) in [-1, 1]. beats: quarter notes a minute."""
    font = sound_font()
    if font is not None and shutil.which("fluidsynth") and notes:
        played = _fluidsynth(notes, beats, rate, font)
        if played is not None:
            return played
    return additive(notes, beats, rate)


def _fluidsynth(notes: Sequence[Note], beats: float, rate: int, font: Path) -> np.ndarray | None:
    with tempfile.TemporaryDirectory() as folder:
        score, wave = Path(folder) / "score.mid", Path(folder) / "score.wav"
        score.write_bytes(midi_bytes(notes, beats))
        command = ["fluidsynth", "-ni", "-q", "-r", str(rate), "-F", str(wave), str(font), str(score)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            samples, found = read_wav(wave)
        except (OSError, subprocess.SubprocessError, BadData):
            return None
    return resampled(samples, found, rate)


def additive(notes: Sequence[Note], beats: float = 90.0, rate: int = RATE) -> np.ndarray:
    """Every note is a sum of its first partials, which fade the faster the higher they are, like a plucked string."""
    seconds = 60 / beats
    wave = np.zeros(int((quarters(notes) * seconds + _TAIL) * rate) + 1, np.float32)
    for n in notes:
        frequency = 440 * 2 ** ((n.pitch - 69) / 12)
        held = n.length * seconds
        t = np.arange(int((held + 0.1) * rate), dtype=np.float32) / np.float32(rate)
        tone = np.zeros_like(t)
        for k in range(1, _PARTIALS + 1):
            if k * frequency < rate / 2:
                tone += np.sin(2 * np.pi * k * frequency * t) * np.exp(-t * (0.6 + 0.6 * k)) / k**1.3
        tone *= np.minimum(1, t / 0.01) * np.clip((held + 0.08 - t) / 0.08, 0, 1)  # no click at either end
        start = int(n.start * seconds * rate)
        wave[start : start + len(tone)] += tone[: len(wave) - start]
    loudest = float(np.abs(wave).max(initial=0.0))
    return wave * np.float32(0.7 / loudest) if loudest else wave
