"""Sound as numbers: WAV files, resampling, log-mel spectrograms and the way back.

A spectrogram here is (M, F) bands and frames: the power in M triangular bands, evenly spread over the mel scale
(O'Shaughnessy 1987) from 0 to half the rate, of Hann windows of 64 ms every 16 ms, in decibels below a full-scale sine,
cut to [-80, 0] and stretched to [-1, 1]. Frame i is centred at sample i * hop, so F frames are F * hop samples.
"""

from __future__ import annotations

import functools
import io
import math
import struct
import warnings
import wave
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

from genloom.errors import BadData

FULL = 32768  # of 16-bit samples
HOP_SECONDS, WINDOWS = 0.016, 4  # windows overlap by three quarters, which finding their phases needs
FLOOR_DB = -80.0
BANDS = 64


def to_int16(waves: Tensor) -> Tensor:
    """Floats in [-1, 1] as 16-bit samples; beyond the range they are cut, NaN becomes 0; 16-bit samples pass as is."""
    if waves.dtype == torch.int16:
        return waves
    scaled = torch.nan_to_num(waves.detach().float(), nan=0.0) * FULL
    return scaled.round_().clamp_(-FULL, FULL - 1).to(torch.int16)


def from_int16(waves: Tensor) -> Tensor:
    """16-bit samples as floats in [-1, 1); the inverse of `to_int16`."""
    return waves.float() / FULL


# -- files -------------------------------------------------------------------------------------------------------


def read_wav(path: str | Path) -> tuple[np.ndarray, int]:
    """(float32 (T,) in [-1, 1], samples a second) of a WAV file of 8, 16, 24 or 32 bits or floats.

    Channels are averaged. Raises BadData where the file is none, holds no sample, or holds what is not a number.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of notes in the file that we do not read
            rate, data = wavfile.read(path)
    except PermissionError:
        raise
    except Exception as error:  # a broken file fails in many ways, struct.error and MemoryError among them
        raise BadData(f"{path} cannot be read as a WAV file: {error}: save it again as 16-bit PCM") from None
    if not len(data) or rate < 1:
        raise BadData(f"{path} holds no sound: leave it out")
    if data.dtype == np.uint8:
        found = (data.astype(np.float32) - 128) / 128
    elif data.dtype.kind == "i":
        found = data.astype(np.float32) / float(2 ** (8 * data.dtype.itemsize - 1))
    else:
        found = data.astype(np.float32)
    found = found.mean(1, dtype=np.float32) if found.ndim == 2 else found
    if not np.isfinite(found).all():
        raise BadData(f"{path} holds samples that are no numbers: save it again")
    return found.clip(-1, 1), int(rate)


def resampled(sound: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The sound at another rate: a polyphase filter, without what the new rate cannot hold."""
    if rate == wanted:
        return sound
    common = math.gcd(rate, wanted)
    found: np.ndarray = resample_poly(sound, wanted // common, rate // common).astype(np.float32)
    return found.clip(-1, 1)


def fitted(sound: np.ndarray, length: int) -> np.ndarray:
    """The first `length` samples, with silence behind where there are fewer."""
    return np.pad(sound[:length], (0, max(0, length - len(sound))))


def wav_bytes(samples: Tensor, rate: float, comment: str = "") -> bytes:
    """Samples (T,), 16-bit or floats, as a WAV file; the comment stands in its INFO list."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(round(rate))
        file.writeframes(to_int16(samples).cpu().numpy().astype("<i2").tobytes())
    content = buffer.getvalue()
    if comment:
        said = comment.encode() + b"\0"
        said += b"\0" * (len(said) % 2)
        listed = b"INFO" + b"ICMT" + struct.pack("<I", len(said)) + said
        content += b"LIST" + struct.pack("<I", len(listed)) + listed
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    return content


def wav_comment(content: bytes) -> str:
    """The comment that `wav_bytes` wrote, or nothing."""
    at = content.find(b"LIST", 12)
    if at < 0 or content[at + 8 : at + 16] != b"INFOICMT":
        return ""
    (size,) = struct.unpack("<I", content[at + 16 : at + 20])
    return content[at + 20 : at + 20 + size].rstrip(b"\0").decode("utf-8", "replace")


def in_a_row(waves: Tensor, rate: float, pause: float = 0.25) -> Tensor:
    """Sounds (n, T) one after another (n T + pauses,), with `pause` seconds of silence between them."""
    gap = torch.zeros(len(waves), round(pause * rate), dtype=waves.dtype)
    joined = torch.cat([waves, gap], 1).flatten()
    return joined[: len(joined) - gap.shape[1]] if len(waves) else joined


# -- spectrograms ------------------------------------------------------------------------------------------------


def hop(rate: float) -> int:
    """Samples from one frame to the next."""
    return max(1, round(rate * HOP_SECONDS))


@functools.lru_cache(maxsize=8)
def _filters(rate: float, bands: int) -> Tensor:
    """Triangles (bands, bins) over the power spectrum, each with the peak 1."""
    bins = WINDOWS * hop(rate) // 2 + 1
    top = 1127 * math.log1p(rate / 2 / 700)
    edges = 700 * torch.expm1(torch.linspace(0, top, bands + 2, dtype=torch.float64) / 1127)
    at = torch.linspace(0, rate / 2, bins, dtype=torch.float64)
    step = rate / 2 / (bins - 1)
    # low bands are narrower than a bin: a triangle at least a bin wide on each side misses none
    left, right = (edges[1:-1] - edges[:-2]).clamp_min(step), (edges[2:] - edges[1:-1]).clamp_min(step)
    away = at[None] - edges[1:-1, None]
    found = torch.minimum(1 + away / left[:, None], 1 - away / right[:, None]).clamp_min(0)
    return found.float()


@functools.lru_cache(maxsize=8)
def _inverse(rate: float, bands: int) -> Tensor:
    return torch.linalg.pinv(_filters(rate, bands).double()).float()


def _spectrum(waves_NT: Tensor, rate: float) -> Tensor:
    """Complex spectra (N, bins, F + 1) of windows every hop, scaled so that a full-scale sine peaks at 1."""
    size = WINDOWS * hop(rate)
    window = torch.hann_window(size)
    found = torch.stft(waves_NT, size, hop(rate), window=window, center=True, pad_mode="constant", return_complex=True)
    return found * (2 / float(window.sum()))


def log_mel(waves_NT: Tensor, rate: float, bands: int = BANDS) -> Tensor:
    """Sounds (N, T) in [-1, 1] -> spectrograms (N, bands, ceil(T / hop)) in [-1, 1]."""
    frames = -(-waves_NT.shape[1] // hop(rate))
    if not len(waves_NT):
        return torch.zeros(0, bands, frames)
    length = frames * hop(rate)
    padded = torch.nn.functional.pad(waves_NT.float(), (0, length - waves_NT.shape[1]))
    power = _spectrum(padded, rate)[..., :-1].abs().square()
    decibels = 10 * (_filters(rate, bands) @ power).clamp_min(1e-12).log10()
    return decibels.clamp(FLOOR_DB, 0) * (-2 / FLOOR_DB) + 1


def griffin_lim(mels_NMF: Tensor, rate: float, rounds: int = 48, momentum: float = 0.99) -> Tensor:
    """Spectrograms (N, M, F) in [-1, 1] -> sounds (N, F * hop) whose spectrograms are near them.

    Phases are found by the fast algorithm of Griffin and Lim (Perraudin, Balazs and Sondergaard 2013), from the same
    random ones each time: the same spectrogram always sounds the same.
    """
    n, bands, frames = mels_NMF.shape
    if n == 0:
        return torch.zeros(0, frames * hop(rate))
    size, step = WINDOWS * hop(rate), hop(rate)
    window = torch.hann_window(size)
    decibels = (mels_NMF.float().cpu().nan_to_num(-1.0).clamp(-1, 1) - 1) / (-2 / FLOOR_DB)
    power = 10 ** (decibels / 10) * (decibels > FLOOR_DB)
    wanted = (_inverse(rate, bands) @ power).clamp_min(0).sqrt() * (float(window.sum()) / 2)
    wanted = torch.nn.functional.pad(wanted, (0, 1))  # the window that starts where the sound ends
    length = frames * step
    draws = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0))
    phases = torch.polar(torch.ones_like(draws), 2 * math.pi * draws)
    before = torch.zeros_like(phases)

    def sound() -> Tensor:
        return torch.istft(wanted * phases, size, step, window=window, center=True, length=length)

    for _ in range(rounds):
        found = torch.stft(sound(), size, step, window=window, center=True, pad_mode="constant", return_complex=True)
        moved = found + momentum * (found - before)
        phases, before = moved / moved.abs().clamp_min(1e-12), found
    return sound().clamp(-1, 1)


def comment_of(metadata: Mapping[str, str] | None) -> str:
    """What a file with room for one comment says of its items."""
    return (metadata or {}).get("genloom", "")
