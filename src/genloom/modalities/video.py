"""Clips: stored bytes (N, C, T, H, W) <-> floats in [-1, 1] <-> animated GIFs, MP4 files, frames, film strips.

C is 1 (grey) or 3 (RGB), T counts frames. Functions take clips as bytes or as floats in [-1, 1].
"""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageSequence
from torch import Tensor

from genloom.core import Field
from genloom.errors import BadData, BadValue
from genloom.modalities import image
from genloom.modalities.codec import Clip, Codec, Place, is_folder, wrong_ending
from genloom.modalities.folder import number, write_files
from genloom.modalities.registry import modality

STRIP = 8  # frames of a film strip, evenly spread
MOSAIC = 2  # frames along each side of the picture by which clips are compared
MOST = 4096  # frames of a file that are read
_LACKS = "MP4 files need the package imageio-ffmpeg: install genloom[video], or use animated GIFs"


def _bytes(items: Tensor) -> Tensor:
    """Clips as bytes on the CPU. Raises BadData for any other shape."""
    if items.ndim != 5 or items.shape[1] not in (1, 3):
        raise BadData(f"expected clips of shape (n, 1 or 3, frames, height, width), got {tuple(items.shape)}")
    return image.to_bytes(items).cpu()


def frames_of(items: Tensor, count: int) -> Tensor:
    """At most `count` frames of each clip, evenly spread, the first and the last among them."""
    at = torch.linspace(0, items.shape[2] - 1, min(count, items.shape[2])).round().long()
    return items[:, :, at]


def strips(items: Tensor, count: int = STRIP, gap: int = 1) -> Tensor:
    """Clips as film strips (n, C, h, w): frames side by side."""
    chosen = frames_of(_bytes(items), count)
    chosen = F.pad(chosen, (0, gap), value=128)
    strip = chosen.permute(0, 1, 3, 2, 4).flatten(3)
    return strip[..., : strip.shape[3] - gap].contiguous()


def sheets(items: Tensor, columns: int | None = None) -> list[Image.Image]:
    """The clips beside each other, frame by frame. Raises BadValue where there are none."""
    clips = _bytes(items)
    return [image.grid(clips[:, :, t], columns) for t in range(clips.shape[2])]


# -- files -------------------------------------------------------------------------------------------------------


def gif_bytes(frames: list[Image.Image], rate: float, comment: str = "", hold: float = 0.0) -> bytes:
    """An animated GIF that repeats for ever; its frames last whole hundredths of a second, the last `hold` seconds
    longer than the others."""
    buffer = io.BytesIO()
    first, *rest = frames
    each = _duration(rate)
    options: dict[str, Any] = {"comment": comment.encode()} if comment else {}
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=rest,
        duration=[each] * len(rest) + [each + round(hold * 100) * 10] if rest else each,
        loop=0,
        disposal=1,
        optimize=False,
        **options,
    )
    return buffer.getvalue()


def _duration(rate: float) -> int:
    """Milliseconds of a frame, a multiple of ten of at least 20, since viewers slow down what is faster."""
    return max(20, round(100 / max(rate, 1e-3)) * 10)


def read_gif(path: str | Path) -> tuple[np.ndarray, float]:
    """(uint8 (t, h, w) or (t, h, w, 3), frames a second) of an animated picture.

    A frame that is shown several times as long as the shortest counts as several. Raises BadData where it is none.
    """
    try:
        with Image.open(path) as file:
            shown, lasting = [], []
            for frame in ImageSequence.Iterator(file):
                shown.append(np.asarray(frame.convert("RGB")))
                lasting.append(max(10, int(frame.info.get("duration", 100) or 100)))
                if len(shown) >= MOST:
                    break
    except PermissionError:
        raise
    except Exception as error:  # a broken picture fails in many ways
        raise BadData(f"{path} cannot be read as an animated picture: {error}: save it again") from None
    unit = math.gcd(*lasting)
    unit = unit if sum(lasting) // unit <= MOST else min(lasting)
    repeats = [max(1, round(x / unit)) for x in lasting] if len(shown) > 1 else [1]
    found = np.repeat(np.stack(shown), repeats, 0)
    grey = bool((found == found[..., :1]).all())
    return (found[..., 0] if grey else found), 1000 / unit


def _ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise BadValue(_LACKS) from None
    return imageio_ffmpeg


def check_mp4() -> None:
    """Raises BadValue where the package that writes MP4 files is missing."""
    _ffmpeg()


def read_mp4(path: str | Path) -> tuple[np.ndarray, float]:
    """(uint8 (t, h, w, 3), frames a second) of a video file.

    Raises BadData where it is none, BadValue where the package that reads it is missing."""
    ffmpeg = _ffmpeg()
    try:
        reader = ffmpeg.read_frames(str(path), pix_fmt="rgb24")
        about = next(reader)
        width, height = about["size"]
        found = []
        for frame in reader:
            found.append(np.frombuffer(frame, np.uint8).reshape(height, width, 3))
            if len(found) >= MOST:
                break
        reader.close()
        return np.stack(found), float(about["fps"])
    except Exception as error:  # ffmpeg's own words span many lines
        said = str(error).strip().splitlines()
        raise BadData(f"{path} cannot be read as a video: {said[-1][:100] if said else 'no frames'}") from None


def mp4_bytes(frames: list[Image.Image], rate: float) -> bytes:
    """An MP4 (H.264) of pictures of one size; odd sides lose a row or column. Raises BadValue without ffmpeg."""
    ffmpeg = _ffmpeg()
    width, height = (side - side % 2 for side in frames[0].size)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "clip.mp4"
        writer = ffmpeg.write_frames(
            str(place), (width, height), fps=rate, macro_block_size=2, quality=8, ffmpeg_log_level="error"
        )
        writer.send(None)
        for frame in frames:
            writer.send(np.ascontiguousarray(np.asarray(frame.convert("RGB"))[:height, :width]).tobytes())
        writer.close()
        return place.read_bytes()


def _singles(clips: Tensor, rate: float, said: str) -> Iterator[tuple[str, bytes]]:
    """A GIF an item, and its frames below frames/."""
    for i, clip in enumerate(clips):
        name = number(i, len(clips))
        pictures = [Image.fromarray(a) for a in image.to_array(clip.transpose(0, 1))]
        yield f"{name}.gif", gif_bytes(pictures, rate, said)
        for t, picture in enumerate(pictures):
            yield f"frames/{name}-{t:03d}.png", image.png(picture)


class VideoCodec(Codec):
    """Clips are seen as film strips, and played as animated GIFs."""

    seen_as = "frames"

    def shaped(self, field: Field) -> str:
        return f"channels, frames, height, width; {field.rate:g} frames a second"

    def tiles(self, items: Tensor, field: Field) -> Tensor:
        return strips(items)

    def picture(self, items: Tensor, field: Field, columns: int | None = None) -> Image.Image:
        return image.grid(self.tiles(items, field), columns, gap=4)

    def array(self, items: Tensor, field: Field) -> np.ndarray:
        clips = _bytes(items).permute(0, 2, 3, 4, 1).contiguous().numpy()
        return clips[..., 0] if clips.shape[4] == 1 else clips

    def save(
        self,
        items: Tensor,
        field: Field,
        path: Place,
        *,
        columns: int | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        """.gif, .mp4: all beside each other; .png: film strips; .npy: uint8 (n, t, h, w) or (n, t, h, w, 3).

        A folder: a GIF an item, and below frames/ a PNG a frame."""
        target, said = Path(path), (metadata or {}).get("genloom", "")
        suffix = target.suffix.lower()
        if is_folder(path):
            write_files(target, _singles(_bytes(items), field.rate, said))
        elif suffix == ".gif":
            image.write_bytes(target, gif_bytes(sheets(items, columns), field.rate, said))
        elif suffix == ".mp4":
            image.write_bytes(target, mp4_bytes(sheets(items, columns), field.rate))
        elif suffix == ".png":
            image.write_bytes(target, image.png(self.picture(items, field, columns), metadata))
        elif suffix == ".npy":
            image.write_bytes(target, image.npy(self.array(items, field)))
        else:
            kind = modality("video")
            raise wrong_ending(path, kind.plural, kind.writes)
        return target

    def clips(self, items: Tensor, field: Field) -> tuple[Clip, ...]:
        if not len(items):
            return ()
        content = gif_bytes(sheets(items), field.rate)
        return (Clip("image/gif", content, f"{len(items)} clips, moving"),)

    def measured(self, field: Field) -> Field:
        channels, frames, height, width = field.shape
        side = MOSAIC if frames >= MOSAIC**2 else 1
        return Field("image", (channels, side * height, side * width))

    def to_measured(self, items: Tensor, field: Field) -> Tensor:
        """Four frames of each clip, evenly spread, as a square; the first frame alone of clips with fewer."""
        clips = _bytes(items)
        side = MOSAIC if clips.shape[2] >= MOSAIC**2 else 1
        chosen = frames_of(clips, side**2)[:, :, : side**2]
        n, c, _, h, w = chosen.shape
        square = chosen.reshape(n, c, side, side, h, w).permute(0, 1, 2, 4, 3, 5)
        return square.reshape(n, c, side * h, side * w).contiguous()


CODEC = VideoCodec()
