"""Sound: 16-bit samples (N, 1, T), or log-mel spectrograms as bytes (N, 1, M, F), <-> WAV files and pictures.

A field ("audio", (1, T)) holds waveforms, ("audio", (1, M, F)) spectrograms (`modalities/sound.py` says of what), from
which the sound is found again. Functions take items as they are stored or as floats in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadValue
from genloom.modalities import image, sound
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending
from genloom.modalities.folder import number, write_files
from genloom.modalities.registry import modality

WIDE, LINE = 128, 24  # pixels of a tile's width and of the waveform above its spectrogram
_RAMP = ((0, (12, 8, 38)), (0.35, (92, 26, 110)), (0.65, (203, 62, 76)), (0.85, (249, 150, 50)), (1, (252, 250, 190)))


def is_mel(field: Field) -> bool:
    """Whether a sound's items are spectrograms."""
    return len(field.shape) == 3


def waves(items: Tensor, field: Field) -> Tensor:
    """Items as 16-bit samples (n, T); those of spectrograms are found by Griffin and Lim's algorithm."""
    items = items.detach().cpu()
    if not is_mel(field):
        return sound.to_int16(items.flatten(1))
    mels = image.to_float(items) if items.dtype == torch.uint8 else items.float()
    return sound.to_int16(sound.griffin_lim(mels[:, 0], field.rate))


def mels(items: Tensor, field: Field) -> Tensor:
    """Items as spectrograms in bytes (n, 1, M, F)."""
    items = items.detach().cpu()
    if is_mel(field):
        return image.to_bytes(items)
    floats = sound.from_int16(items) if items.dtype == torch.int16 else items.float().nan_to_num()
    return image.to_bytes(sound.log_mel(floats.flatten(1), field.rate)[:, None])


def _coloured(grey: Tensor) -> Tensor:
    """Bytes (n, h, w) as colours (n, 3, h, w), dark where there is silence."""
    places, colours = (np.array(x, np.float64) for x in zip(*_RAMP, strict=True))
    table = np.stack([np.interp(np.linspace(0, 1, 256), places, colours[:, c]) for c in range(3)])
    return torch.from_numpy(table.round().astype(np.uint8))[:, grey.long()].transpose(0, 1)


def _outline(items: Tensor, field: Field, width: int) -> tuple[Tensor, Tensor]:
    """(least, greatest) value of the wave in each of `width` columns (n, width); of spectrograms plus and minus the
    loudness, which says the same without looking for phases."""
    if is_mel(field):
        decibels = (image.to_float(mels(items, field))[:, 0] - 1) * (-sound.FLOOR_DB / 2)
        loud = (10 ** (decibels / 10) * (decibels > sound.FLOOR_DB)).sum(1, keepdim=True).sqrt()
        loud = F.interpolate(loud, width, mode="linear")[:, 0].clamp(0, 1)
        return -loud, loud
    x = sound.from_int16(waves(items, field))
    each = -(-x.shape[1] // width)
    x = F.pad(x, (0, each * width - x.shape[1])).view(len(x), width, each)
    return x.amin(2), x.amax(2)


def _lines(low: Tensor, high: Tensor) -> Tensor:
    """Outlines (n, width) in [-1, 1] as bytes (n, LINE, width)."""
    top, bottom = ((1 - y) / 2 * (LINE - 1) for y in (high, low))
    top, bottom = top.round(), bottom.round()
    row = torch.arange(LINE)[None, :, None]
    drawn = (row >= top[:, None]) & (row <= bottom[:, None])
    return torch.where(drawn, 40, 245).to(torch.uint8)


class AudioCodec(Codec):
    """Sounds are seen as their waveform above their spectrogram, low notes at the bottom."""

    seen_as = "spectrograms"

    def shaped(self, field: Field) -> str:
        if is_mel(field):
            seconds = field.shape[2] * sound.hop(field.rate) / field.rate
            return f"log-mel spectrogram: bands, frames; {seconds:.2f} s at {field.rate:g} Hz"
        return f"channels, samples; {field.shape[1] / field.rate:.2f} s at {field.rate:g} Hz"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        spectra = mels(items, field)
        high, wide = spectra.shape[2:]
        repeat = max(1, WIDE // wide)
        size = (high, min(wide * repeat, 2 * WIDE))
        grey = F.interpolate(spectra.float(), size, mode="nearest" if repeat > 1 else "area")[:, 0].round()
        colours = _coloured(grey.flip(1).to(torch.uint8))
        lines = _lines(*_outline(items, field, size[1]))
        return torch.cat([lines[:, None].expand(-1, 3, -1, -1), colours], 2)

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return image.grid(self.tiles(items, field), columns, gap=4)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        return waves(items, field).numpy()

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """.wav: one after another with pauses; .npy: int16 (n, T); .png: the picture; a folder: a .wav an item."""
        target, said = Path(path), sound.comment_of(metadata)
        suffix = target.suffix.lower()
        if is_folder(path):
            found = enumerate(waves(items, field))
            names = ((f"{number(i, len(items))}.wav", sound.wav_bytes(w, field.rate, said)) for i, w in found)
            write_files(target, names)
        elif suffix == ".wav":
            if not len(items):
                raise BadValue("a sound file needs at least one sound, got none: ask for n of 1 or more")
            row = sound.in_a_row(waves(items, field), field.rate)
            image.write_bytes(target, sound.wav_bytes(row, field.rate, said))
        elif suffix == ".png":
            image.write_bytes(target, image.png(self.picture(items, field, columns), metadata))
        elif suffix == ".npy":
            image.write_bytes(target, image.npy(self.array(items, field)))
        else:
            kind = modality("audio")
            raise wrong_ending(path, kind.plural, kind.writes)
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        found = enumerate(waves(items, field), 1)
        return tuple(Clip("audio/wav", sound.wav_bytes(w, field.rate), f"sound {i}") for i, w in found)

    def measured(self, field: Field) -> Field:
        if is_mel(field):
            return Field("image", field.shape)
        return Field("image", (1, sound.BANDS, -(-field.shape[1] // sound.hop(field.rate))))

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        return mels(items, field)


CODEC = AudioCodec()
