"""A person's clips: a folder of animated GIFs or MP4 files, or an array (N, T, H, W[, C]).

Files are read once into a store that is mapped from then on. Every clip gets the same number of frames (the middle ones
of a longer clip, the last one held by a shorter) and the same size. What cannot be read, and pictures of one frame, are
skipped by name and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genloom.core import Field
from genloom.data.arrayfile import find, read_file
from genloom.data.dataset import Dataset
from genloom.data.listing import Listing, scan
from genloom.data.options import DataOptions
from genloom.data.shape import fit_array, parse_size
from genloom.data.signals import PROBED, own_card, own_rows, report_bad, signal_dataset
from genloom.data.sounds import told_of
from genloom.data.splits import KEY_BYTES, content_key
from genloom.data.store import Draft, Source, Store, obtain
from genloom.errors import BadData, BadValue
from genloom.modalities import video

ENDINGS = frozenset((".gif", ".mp4"))
USUAL_FRAMES, USUAL_SIZE, KEEP_FRAMES, KEEP_SIZE = 16, 64, 32, 128
LEAST_SIDE = 4  # pixels: less is no picture, but another array of five dimensions
GOOD, STILL, BROKEN = range(3)
_NAMES = ("clips", "videos", "frames", "images", "x", "data", "arr_0")


@dataclass(frozen=True)
class Shape:
    """How clips are stored: (channels, frames, height, width), and how sizes get there."""

    channels: int
    frames: int
    height: int
    width: int
    resize: str

    @property
    def row(self) -> tuple[int, int, int, int]:
        return self.channels, self.frames, self.height, self.width

    def stored(self, clip: np.ndarray) -> np.ndarray:
        """A clip (t, h, w) or (t, h, w, 3) of any length and size as a row (C, T, H, W)."""
        images = torch.from_numpy(np.ascontiguousarray(_middle(clip, self.frames)))
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        options = DataOptions(
            size=f"{self.height}x{self.width}",
            resize=self.resize,  # type: ignore[arg-type]
            channels="rgb" if self.channels == 3 else "grey",
        )
        return fit_array(images, options, []).transpose(0, 1).contiguous().numpy()


def _middle(clip: np.ndarray, frames: int) -> np.ndarray:
    start = max(0, (len(clip) - frames) // 2)
    cut = clip[start : start + frames]
    return np.concatenate([cut, np.repeat(cut[-1:], frames - len(cut), 0)])


def is_clips(listing: Listing) -> bool:
    """Whether pictures are clips: MP4 files among them, or nothing but GIFs that move, by some of them."""
    endings = {Path(name).suffix.lower() for name in listing.names}
    if ".mp4" in endings:
        return True
    if endings != {".gif"}:
        return False
    chosen = np.unique(np.linspace(0, len(listing) - 1, min(8, len(listing))).astype(int)).tolist()
    moving = [_frames(listing.path(i)) for i in chosen]
    return sum(n > 1 for n in moving) > len(moving) // 2


def _frames(path: str) -> int:
    try:
        with Image.open(path) as file:
            return int(getattr(file, "n_frames", 1))
    except Exception:  # it will be named when it is read
        return 0


def _read(path: str) -> tuple[np.ndarray, float] | None:
    try:
        return video.read_mp4(path) if path.lower().endswith(".mp4") else video.read_gif(path)
    except (BadData, OSError):
        return None


def _checked(options: DataOptions) -> None:
    if options.frames is not None and not 2 <= options.frames <= 1024:
        raise BadValue(f"--data.frames: expected 2 to 1024 frames, got {options.frames}")


def shape_of(listing: Listing, options: DataOptions) -> tuple[Shape, float]:
    """(the shape all clips get, frames a second), by some of them."""
    _checked(options)
    chosen = np.unique(np.linspace(0, len(listing) - 1, min(PROBED, len(listing))).astype(int)).tolist()
    found = [x for x in (_read(listing.path(i)) for i in chosen) if x is not None and len(x[0]) > 1]
    counts, sizes = {len(c) for c, _ in found}, {c.shape[1:3] for c, _ in found}
    frames = options.frames or (next(iter(counts)) if len(counts) == 1 and max(counts) <= KEEP_FRAMES else USUAL_FRAMES)
    size = parse_size(options.size) or (
        next(iter(sizes)) if len(sizes) == 1 and max(next(iter(sizes))) <= KEEP_SIZE else (USUAL_SIZE, USUAL_SIZE)
    )
    wide = any(c.ndim == 4 for c, _ in found)
    channels = {"auto": 3 if wide else 1, "grey": 1, "rgb": 3}[options.channels]
    rate = float(np.median([r for _, r in found])) if found else 10.0
    return Shape(channels, frames, size[0], size[1], options.resize), round(rate, 3)


def stored_clips(listing: Listing, shape: Shape, notes: list[str]) -> Store:
    """All files as columns: items uint8 (N, C, T, H, W), keys, state, and the files' own frames, height and width."""
    said = {"row": list(shape.row), "resize": shape.resize}
    source = Source("clips", listing.folder, listing.fingerprint, said)

    def make(draft: Draft) -> Mapping[str, Any]:
        columns = {
            "items": (np.uint8, shape.row),
            "keys": (np.uint8, (KEY_BYTES,)),
            "state": (np.uint8, ()),
            "sizes": (np.int32, (3,)),
        }
        for i in range(draft.begin(said, columns, len(listing)), len(listing)):
            found = _read(listing.path(i))
            state = BROKEN if found is None else STILL if len(found[0]) < 2 else GOOD
            item = np.zeros(shape.row, np.uint8) if found is None or state != GOOD else shape.stored(found[0])
            size = np.zeros(3, np.int32) if found is None else np.array(found[0].shape[:3], np.int32)
            key = np.frombuffer(content_key(np.ascontiguousarray(item)), np.uint8)
            draft.append(items=item[None], keys=key[None], state=np.array([state], np.uint8), sizes=size[None])
        return {}

    return obtain(source, make, notes)


def load_clips(folder: Path, options: DataOptions, listing: Listing | None = None) -> Dataset:
    """The data set of all animated GIFs and MP4 files in `folder`. Raises BadData where fewer than two can be used, and
    BadValue for MP4 files without the package that reads them."""
    notes: list[str] = []
    listing = scan(folder, ENDINGS) if listing is None else listing
    if not len(listing):
        raise BadData(f"{folder} holds no animated .gif and no .mp4 files: give a folder of clips")
    shape, rate = shape_of(listing, options)
    store = stored_clips(listing, shape, notes)
    state, what = store.columns["state"], "clips"
    report_bad(listing, np.flatnonzero(state == BROKEN), what, "cannot be read", options, notes)
    report_bad(listing, np.flatnonzero(state == STILL), what, "hold one frame", options, notes)
    good = np.flatnonzero(state == GOOD)
    if len(good) < 2:
        raise BadData(f"{folder} holds {len(good)} clips that can be used, and a model needs several: add more")
    _say_shape(store.columns["sizes"][good], shape, notes)
    label = told_of(listing.names, notes)
    rows = own_rows(folder, [listing.names[i] for i in good], good, store.columns["keys"], label, options, notes)
    content = hashlib.sha256(repr(shape).encode() + store.columns["keys"][good].tobytes()).digest()
    told = {} if label is None else {"label": label}
    card = own_card(folder, f"{len(good):,} clips in a folder", "video")
    field = Field("video", shape.row, rate=rate)
    return signal_dataset(folder.name, options, field, store.columns["items"], told, rows, card, notes, content)


def _say_shape(sizes: np.ndarray, shape: Shape, notes: list[str]) -> None:
    """How sizes and lengths were changed. sizes: (n, 3), frames, height and width of the files."""
    if (sizes[:, 1:] != (shape.height, shape.width)).any():
        low, high = ("x".join(map(str, f(sizes[:, 1:], 0))) for f in (np.min, np.max))
        notes.append(f"clips of {low} to {high} become {shape.height}x{shape.width} ({shape.resize}); --data.size and "
                     "--data.resize change that")  # fmt: skip
    if (sizes[:, 0] != shape.frames).any():
        notes.append(f"clips of {sizes[:, 0].min()} to {sizes[:, 0].max()} frames become {shape.frames}: the middle "
                     "ones of longer clips, the last one held by shorter; --data.frames changes that")  # fmt: skip


def load_clip_array(path: Path, options: DataOptions) -> Dataset:
    """The data set of an array (N, T, H, W) or (N, T, H, W, 1 or 3) of bytes, or of floats in [0, 1] or [-1, 1]."""
    _checked(options)
    notes: list[str] = []
    found = find(read_file(path, set(_NAMES), 64 << 20), _NAMES)
    wanted = "expected (n, frames, height, width) or (n, frames, height, width, 1 or 3)"
    array = None if found is None else found.whole
    if array is None:
        raise BadData(f"{path} holds no array of clips that could be mapped: save it as .npy")
    shape = "x".join(map(str, array.shape))
    small = array.ndim in (4, 5) and min(array.shape[2:4]) < LEAST_SIDE
    if array.ndim not in (4, 5) or small or 0 in array.shape or (array.ndim == 5 and array.shape[4] not in (1, 3)):
        raise BadData(f"{path}: {wanted}, got {shape}: reshape it to clips")
    if len(array) < 2 or array.shape[1] < 2:
        raise BadData(f"{path}: {shape} is one clip or one frame, and a model needs several: give more")
    clips = _in_bytes(array, path)
    clips = clips[..., 0] if clips.ndim == 5 and clips.shape[4] == 1 else clips
    t, h, w = clips.shape[1:4]
    frames, size = options.frames or t, parse_size(options.size) or (h, w)
    channels = {"auto": 3 if clips.ndim == 5 else 1, "grey": 1, "rgb": 3}[options.channels]
    form = Shape(channels, frames, size[0], size[1], options.resize)
    same = (t, h, w) == (frames, *size) and channels == 1 and clips.ndim == 4
    stored = clips[:, None] if same else np.stack([form.stored(clip) for clip in clips])
    _say_shape(np.array([(t, h, w)]), form, notes)
    keys = np.stack([np.frombuffer(content_key(np.ascontiguousarray(c)), np.uint8) for c in stored])
    every = np.arange(len(stored))
    rows = own_rows(path, [str(i) for i in every], every, keys, None, options, notes)
    content = hashlib.sha256(repr(form.row).encode() + keys.tobytes()).digest()
    card = own_card(path, f"{len(stored):,} clips in an array", "video")
    field = Field("video", form.row, rate=10.0)
    return signal_dataset(path.stem, options, field, stored, {}, rows, card, notes, content)


def _in_bytes(array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise BadData(f"{path}: expected bytes, or floats in [0, 1] or [-1, 1] that are numbers, got {array.dtype}")
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind in "iu" and low >= 0 and high <= 255:
        return array.astype(np.uint8)
    if low < -1 or high > 1:
        raise BadData(
            f"{path}: expected bytes, or floats in [0, 1] or [-1, 1], got {low:.3g} to {high:.3g}: scale them"
        )
    scaled = array * 255.0 if low >= 0 else (array + 1.0) * 127.5
    return np.rint(scaled).astype(np.uint8)
