"""One pass over a data set's pictures: what each looks like in small, and what its file says.

Thumbnails of many pictures lie in a file that the system may page out, so memory does not grow with the data.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from genloom.data.inspect.duplicates import SIDE, Progress
from genloom.data.shape import in_threads

COLOUR = 8  # side of the colour thumbnail
_IN_MEMORY = 20_000  # pictures whose thumbnails stay in memory
_BLOCK = 1024
_WHOLE = 64 << 20  # bytes: larger files are not read into memory at once
_ORIENTATION, _ARTIST, _COPYRIGHT, _XP_AUTHOR, _EXIF, _GPS = 0x0112, 0x013B, 0x8298, 0x9C9D, 0x8769, 0x8825
_OWNER, _SERIAL = 0xA430, 0xA431


@dataclass(frozen=True)
class Remarks:
    """What a file's EXIF says besides the picture. orientation: as written, 0 where it is not; gps: whether it says
    where; author: of which kinds it names somebody ("artist"); broken: that it cannot be read."""

    orientation: int = 0
    gps: bool = False
    author: tuple[str, ...] = ()
    broken: bool = False

    @property
    def odd(self) -> bool:
        return self.orientation not in (0, 1) or self.gps or bool(self.author) or self.broken


@dataclass(frozen=True)
class Seen:
    """One picture. why: why it could not be read, empty where it could; size: (width, height) upright."""

    why: str
    file_size: int = 0
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    format: str = ""
    key: bytes = b""
    grey: np.ndarray | None = None
    colour: np.ndarray | None = None
    remarks: Remarks = Remarks()


@dataclass(frozen=True)
class Album:
    """Everything the checks need of n pictures; only those that could be read have a row.

    names (n,): paths relative to the folder, or "train 12"; labels, splits: int (n,) into `classes` and `parts`, -1 for
    none; sizes (n, 2) width and height; file_sizes (n,) in bytes; modes, formats (n,); keys (n,) hashes of the content;
    grey (n, 32, 32) and colour (n, 8, 8, 3) uint8; remarks by row where there are any; unreadable: (name, why); total:
    pictures there are, more than were looked at where there are too many; picture: the picture of a row, as RGB or L.
    """

    names: list[str]
    labels: np.ndarray
    splits: np.ndarray
    classes: tuple[str, ...]
    parts: tuple[str, ...]
    sizes: np.ndarray
    file_sizes: np.ndarray
    modes: list[str]
    formats: list[str]
    keys: np.ndarray
    grey: np.ndarray
    colour: np.ndarray
    remarks: dict[int, Remarks]
    unreadable: tuple[tuple[str, str], ...]
    total: int
    picture: Callable[[int], Image.Image]
    origin: str = ""

    def __len__(self) -> int:
        return len(self.names)


def remarks_of(picture: Image.Image) -> Remarks:
    """The EXIF of a picture, as far as a person should know of it."""
    try:
        exif = picture.getexif()
        if not exif:
            return Remarks()
        orientation = exif.get(_ORIENTATION, 0)
        inner = exif.get_ifd(_EXIF)
        named = (
            ("artist", exif.get(_ARTIST)),
            ("author", exif.get(_XP_AUTHOR)),
            ("copyright", exif.get(_COPYRIGHT)),
            ("camera owner", inner.get(_OWNER)),
            ("camera's serial number", inner.get(_SERIAL)),
        )
        author = tuple(name for name, value in named if str(value or "").strip(" \0"))
        place = exif.get_ifd(_GPS)
        gps = any(tag in place for tag in (2, 4))  # latitude, longitude
        return Remarks(orientation if isinstance(orientation, int) else -1, gps, author)
    except Exception:  # EXIF is written by a thousand programs, and some of them badly
        return Remarks(broken=True)


def look(path: Path) -> Seen:
    """One file, read once: its hash, and the picture in small. Never raises; `why` says what was wrong."""
    size = 0
    try:
        size = path.stat().st_size
        if size == 0:
            return Seen("empty file")
        digest = hashlib.blake2b(digest_size=16)
        if size <= _WHOLE:
            content = path.read_bytes()
            digest.update(content)
            return _opened(io.BytesIO(content), size, digest.digest())
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return _opened(path, size, digest.digest())
    except PermissionError:
        return Seen("not allowed to read it", size)
    except UnidentifiedImageError:
        return Seen("no picture of a known format", size)
    except Image.DecompressionBombError:
        return Seen("far too many pixels to be opened safely", size)
    except Exception as error:  # decoders of a dozen formats raise what they like at broken files
        return Seen(" ".join(str(error).split())[:80] or type(error).__name__, size)


def _opened(source: io.BytesIO | Path, size: int, key: bytes) -> Seen:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(source) as picture:
            mode, kind, remarks = picture.mode, picture.format or "", remarks_of(picture)
            width, height = picture.size
            if kind == "JPEG" and mode in ("L", "RGB"):
                picture.draft(mode, (2 * SIDE, 2 * SIDE))
            picture.load()
            grey, colour = thumbnails(picture)
    turned = remarks.orientation in (5, 6, 7, 8)
    return Seen("", size, (height, width) if turned else (width, height), mode, kind, key, grey, colour, remarks)


def thumbnails(picture: Image.Image) -> tuple[np.ndarray, np.ndarray]:
    """A picture of any mode as uint8 grey (32, 32) and colour (8, 8, 3), stretched; transparency on white."""
    solid = solidly(picture)
    small = solid.resize((SIDE, SIDE), Image.Resampling.BOX if min(solid.size) >= SIDE else Image.Resampling.BICUBIC)
    return np.asarray(small.convert("L")), np.asarray(small.resize((COLOUR, COLOUR), Image.Resampling.BOX))


def solidly(picture: Image.Image) -> Image.Image:
    """Any mode as RGB, with transparency on white and 16 bits scaled to 8."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture, np.float32)
        top = float(np.nanmax(values, initial=1.0))
        return Image.fromarray(np.nan_to_num(values * (255 / max(top, 1e-6))).clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return picture.convert("RGB")


def _room(shape: tuple[int, ...]) -> np.ndarray:
    """uint8 zeros, in a file without a name where they are many."""
    if shape[0] <= _IN_MEMORY:
        return np.zeros(shape, np.uint8)
    with tempfile.TemporaryFile(prefix="genloom-report-") as file:
        return np.memmap(file, np.uint8, "w+", shape=shape)


def gather(
    seen: Iterable[Seen],
    names: list[str],
    labels: np.ndarray,
    splits: np.ndarray,
    classes: tuple[str, ...],
    parts: tuple[str, ...],
    total: int,
    picture: Callable[[int], Image.Image],
    origin: str,
    progress: Progress,
) -> Album:
    """An album of the pictures `seen`, one for each name. picture: of a position among `names`."""
    n = len(names)
    grey, colour = _room((n, SIDE, SIDE)), _room((n, COLOUR, COLOUR, 3))
    kept: list[int] = []
    sizes, counts, modes, formats, keys = [], [], [], [], []
    remarks: dict[int, Remarks] = {}
    unreadable = []
    for i, one in enumerate(seen):
        if i % 256 == 0:
            progress(i / max(1, n))
        if one.grey is None or one.colour is None:
            unreadable.append((names[i], one.why))
            continue
        row = len(kept)
        grey[row], colour[row] = one.grey, one.colour
        if one.remarks.odd:
            remarks[row] = one.remarks
        kept.append(i)
        sizes.append(one.size)
        counts.append(one.file_size)
        modes.append(one.mode)
        formats.append(one.format)
        keys.append(one.key)
    rows = np.array(kept, np.int64)
    return Album(
        names=[names[i] for i in kept],
        labels=labels[rows],
        splits=splits[rows],
        classes=classes,
        parts=parts,
        sizes=np.array(sizes, np.int64).reshape(-1, 2),
        file_sizes=np.array(counts, np.int64),
        modes=modes,
        formats=formats,
        keys=np.array(keys, "S16") if keys else np.empty(0, "S16"),
        grey=grey[: len(kept)],
        colour=colour[: len(kept)],
        remarks=remarks,
        unreadable=tuple(unreadable),
        total=total,
        picture=lambda row: picture(kept[row]),
        origin=origin,
    )


def look_at_all(paths: list[Path]) -> Iterable[Seen]:
    """`look` at every file in turn, several at a time; a bounded number of results waits."""
    for start in range(0, len(paths), _BLOCK):
        yield from in_threads(look, paths[start : start + _BLOCK])
