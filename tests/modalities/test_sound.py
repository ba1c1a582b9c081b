"""Sound: files of every width read back, rates, spectrograms and the way back, comments."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile

from genloom.core import Field
from genloom.errors import BadData
from genloom.modalities import audio, sound

RATE = 8000


def tone(pitch: float = 440.0, seconds: float = 0.5, rate: int = RATE, loud: float = 0.5) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (loud * np.sin(2 * np.pi * pitch * t)).astype(np.float32)


def pitch_of(samples: np.ndarray, rate: int) -> float:
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize(
    ("dtype", "scale", "error"),
    [(np.uint8, 127.0, 0.01), (np.int16, 32767.0, 1e-4), (np.int32, 2147483647.0, 1e-6), (np.float32, 1.0, 0.0)],
)
def test_every_width_reads_as_the_same_sound(dtype: type, scale: float, error: float, tmp_path: Path) -> None:
    x = tone()
    stored = np.rint(x * scale + 128).astype(dtype) if dtype == np.uint8 else (x * scale).astype(dtype)
    wavfile.write(tmp_path / "x.wav", RATE, stored)
    found, rate = sound.read_wav(tmp_path / "x.wav")
    assert rate == RATE
    assert np.abs(found - x).max() <= error + 1e-6


def test_24_bits_and_stereo(tmp_path: Path) -> None:
    x = np.rint(tone() * 8388607).astype("<i4")
    both = np.stack([x, np.zeros_like(x)], 1)  # the right channel is silent: the mean is half as loud
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(RATE)
        file.writeframes(both.reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
    found, _ = sound.read_wav(tmp_path / "x.wav")
    assert np.abs(found - tone() / 2).max() < 1e-5


def test_files_that_are_none_are_refused_in_one_line(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "empty.wav", RATE, np.zeros(0, np.int16))
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "nothing.wav").write_bytes(b"")
    wavfile.write(tmp_path / "nan.wav", RATE, np.full(50, np.nan, np.float32))
    for name in ("empty", "text", "nothing", "nan"):
        with pytest.raises(BadData) as caught:
            sound.read_wav(tmp_path / f"{name}.wav")
        assert "\n" not in str(caught.value), name


def test_16_bit_samples_survive_a_round_trip(tmp_path: Path) -> None:
    stored = torch.randint(-32768, 32768, (3, 700), generator=torch.Generator().manual_seed(0)).to(torch.int16)
    assert torch.equal(sound.to_int16(sound.from_int16(stored)), stored)
    assert sound.to_int16(torch.tensor([2.0, -2.0, float("nan")])).tolist() == [32767, -32768, 0]
    field = Field("audio", (1, 700), rate=float(RATE))
    audio.CODEC.save(stored[:, None], field, f"{tmp_path}/x/", metadata={"genloom": '{"seed": 7}'})
    for i in range(3):
        found, rate = sound.read_wav(tmp_path / "x" / f"000{i}.wav")
        assert rate == RATE
        assert np.array_equal((found * 32768).astype(np.int16), stored[i].numpy())
    assert sound.wav_comment((tmp_path / "x" / "0000.wav").read_bytes()) == '{"seed": 7}'
    audio.CODEC.save(stored[:, None], field, tmp_path / "row.wav")
    row, _ = sound.read_wav(tmp_path / "row.wav")
    assert len(row) == 3 * 700 + 2 * RATE // 4
    assert np.array_equal(np.load(audio.CODEC.save(stored[:, None], field, tmp_path / "x.npy")), stored.numpy())


def test_resampling_keeps_pitch_and_length() -> None:
    for rate in (44_100, 16_000, 11_025, 4_000):
        found = sound.resampled(tone(rate=rate), rate, RATE)
        assert abs(len(found) - RATE // 2) <= 1
        assert abs(pitch_of(found, RATE) - 440) < 3, rate
    high = sound.resampled(tone(6000, rate=16_000), 16_000, RATE)  # above what 8 kHz can hold: gone, not folded down
    assert np.abs(high[200:-200]).max() < 0.02


def test_a_tone_lights_up_its_band_at_its_loudness() -> None:
    for pitch in (200.0, 1000.0, 3000.0):
        mel = sound.log_mel(torch.from_numpy(tone(pitch, loud=1.0))[None], RATE)[0]
        edges = np.linspace(0, 1127 * math.log1p(RATE / 2 / 700), sound.BANDS + 2)
        centres = 700 * np.expm1(edges[1:-1] / 1127)
        middle = mel[:, mel.shape[1] // 2]
        assert abs(centres[int(middle.argmax())] - pitch) < 60
        assert -6 < (float(middle.max()) - 1) * 40 <= 0.5  # decibels below a full-scale sine
    assert float(sound.log_mel(torch.zeros(1, 800), RATE).max()) == -1.0


def test_sound_is_found_again_from_its_spectrogram() -> None:
    glide = np.sin(2 * np.pi * np.cumsum(np.linspace(300, 1500, 4096)) / RATE) * np.hanning(4096)
    x = torch.from_numpy(glide.astype(np.float32))[None]
    mel = sound.log_mel(x, RATE)
    again = sound.griffin_lim(mel, RATE)
    assert again.shape == x.shape
    assert torch.equal(again, sound.griffin_lim(mel, RATE))  # the same each time
    loud = mel > 0  # where it is louder than -40 dB
    error = (sound.log_mel(again, RATE) - mel)[loud].abs().mean() * 40
    assert error < 4, f"{error:.1f} dB"
    noise = sound.log_mel(torch.randn(1, 4096, generator=torch.Generator().manual_seed(0)) * x.std(), RATE)
    assert (noise - mel)[loud].abs().mean() * 40 > 2 * error
    assert float(sound.griffin_lim(torch.full((1, 64, 8), -1.0), RATE).abs().max()) == 0.0


def test_both_forms_are_compared_by_the_same_picture() -> None:
    x = torch.from_numpy(np.stack([tone(300), tone(900)]))[:, None]
    wave_field = Field("audio", (1, x.shape[2]), rate=float(RATE))
    seen = audio.CODEC.to_measured(x, wave_field)
    mel_field = Field("audio", tuple(seen.shape[1:]), rate=float(RATE))
    assert audio.CODEC.measured(wave_field) == audio.CODEC.measured(mel_field)
    assert torch.equal(audio.CODEC.to_measured(seen, mel_field), seen)
    tiles = audio.CODEC.tiles(x, wave_field).float()
    assert tiles[:, 0].flatten(1).std(1).min() > 10  # something is to be seen
