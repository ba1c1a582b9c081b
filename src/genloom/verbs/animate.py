"""Moving pictures: items as they come out of noise, and walks that end where they began. GIF files repeat for ever."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.places import check_writable
from genloom.verbs.results import Picture, size_text

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from genloom.core import Field

ENDINGS = (".gif", ".mp4")
LARGEST = 1_000_000  # bytes of an animated GIF: what a chat or a page takes without complaint
FRAMES = 48  # moments of a path at most; samplers of 1,000 evaluations change little from one to the next
PIXELS = 6_000_000  # of all frames; a GIF of more is never as small as that
LEAST = 12  # moments that are kept to the last, however large a file becomes
ITEMS = 100  # items at most
GRIDS = ((40, 25), (80, 16), (160, 9), (10**6, 4))  # tiles of up to so many pixels a side: so many of them
SECONDS, HOLD = 3.0, 1.5  # that a path takes, and that its end stays


def is_moving(out: str | Path | None) -> bool:
    """Whether a place asks for a moving picture by its ending."""
    return out is not None and Path(out).suffix.lower() in ENDINGS


def check_moving(out: str | Path) -> Path:
    """`out` as a file that a moving picture can be written to. Raises BadValue or Storage before any work."""
    path = Path(out)
    if os.fspath(out).endswith(("/", os.sep)) or path.is_dir() or not is_moving(path):
        got = repr(path.suffix) if path.suffix and not path.is_dir() else "a folder"
        raise BadValue(f"--out {out}: animations are written to {' or '.join(ENDINGS)}, got {got}")
    check_writable(path, "--out")
    if path.suffix.lower() == ".mp4":
        from genloom.modalities.video import check_mp4

        check_mp4()
    return path


def check_kind(kind: str, where: object) -> None:
    """Raises BadValue for items that no frame can stand for, or that move already."""
    found = modality(kind)
    if kind == "video":
        raise BadValue(f"--animate: {where} makes clips, which move already; leave it out")
    if not found.tiled:
        raise BadValue(f"--animate shows images and sounds; {where} makes {found.plural}: leave it out")


def usual_count(shown: Field) -> int:
    """How many items are easily seen beside each other while they move."""
    from genloom.verbs.sheets import tile_size

    return next(count for side, count in GRIDS if max(tile_size(shown)) <= side)


def check_items(count: int) -> None:
    """Raises BadValue for more items than one moving picture can show."""
    if count > ITEMS:
        raise BadValue(f"--animate shows at most {ITEMS} items, got {count}: give a smaller -n")


@dataclass
class Watch:
    """A sampler's callback that keeps its state before each evaluation, at most FRAMES of them, as tiles.

    Raises BadValue at the first call by a sampler that refines nothing: models that make items in one pass.
    """

    shown: Field
    where: object
    frames: list[Tensor] = field(default_factory=list)

    def __call__(self, told: Mapping[str, Any]) -> None:
        if "state" not in told:
            raise self.nothing()
        i, of = int(told["i"]), int(told["of"])
        kept = min(of, FRAMES - 1)
        if i == 1 or (i - 1) * kept // of != (i - 2) * kept // of:
            state: Tensor = told["state"]
            self.frames.append(modality(self.shown.modality).codec.tiles(state.float().cpu(), self.shown))

    def nothing(self) -> BadValue:
        """The error of a model without a path."""
        return BadValue(
            f"--animate: the model of {self.where} makes its items in one pass, not out of noise step by step; "
            "leave it out (flows have such a path; `genloom interpolate --animate` walks through other models)"
        )

    def ended(self, items: Tensor) -> list[Tensor]:
        """All frames, the finished items (n, ...) last."""
        if not self.frames:
            raise self.nothing()
        return [*self.frames, modality(self.shown.modality).codec.tiles(items, self.shown)]


def path(
    watches: Sequence[Watch | None],
    drawn: Sequence[Tensor],
    shown: Field,
    place: Path,
    data: Mapping[str, Any],
    notes: tuple[str, ...],
) -> Picture:
    """The paths of items that were drawn under watch; of several prompts under one another."""
    import torch

    several = [watch.ended(items) for watch, items in zip(watches, drawn, strict=True) if watch is not None]
    frames = [torch.cat(moment) for moment in zip(*several, strict=True)]
    columns = len(drawn[0]) if len(drawn) > 1 else None
    return moving(
        frames, torch.cat(list(drawn)), shown, place, data, seconds=SECONDS, hold=HOLD, columns=columns, notes=notes
    )


@dataclass(frozen=True)
class Film:
    """A whole file; frames: how many it has, as pictures; last: the last of them."""

    content: bytes
    frames: int
    last: Image.Image


def film(
    frames: Sequence[Tensor],
    ending: str,
    *,
    seconds: float,
    hold: float = 0.0,
    columns: int | None = None,
    gap: int = 2,
    comment: str = "",
) -> Film:
    """Frames of tiles (n, C, h, w) as a GIF or MP4 that takes `seconds`, and `hold` more on its last frame.

    A GIF that would be larger than LARGEST is drawn smaller, then with fewer frames, then smaller than its items.
    """
    import torch
    from PIL import Image

    from genloom.modalities import image, video

    count, _, height, width = frames[0].shape
    across = columns or image.columns_for(count, height, width)
    scale = image.scale_for(height, width, -(-count // across), across)

    def drawn(chosen: Sequence[Tensor]) -> list[Image.Image]:
        sheets = [image.grid(tiles, across, gap=gap, scale=scale) for tiles in chosen]
        if shrink == 1:
            return sheets
        size = (max(1, sheets[0].width // shrink), max(1, sheets[0].height // shrink))
        return [sheet.resize(size, Image.Resampling.BOX) for sheet in sheets]

    chosen, shrink = list(frames), 1
    if ending == ".mp4":
        sheets = drawn(chosen)
        rate = len(sheets) / seconds
        held = [*sheets, *[sheets[-1]] * round(hold * rate)]
        return Film(video.mp4_bytes(held, rate), len(sheets), sheets[-1])
    while True:
        sheets, found = drawn(chosen), None
        excess = len(sheets) * sheets[0].width * sheets[0].height / PIXELS  # that many cannot fit: not even tried
        if excess <= 1:
            content = video.gif_bytes(sheets, len(sheets) / seconds, comment, hold)
            found, excess = Film(content, len(sheets), sheets[-1]), len(content) / LARGEST
        if found is not None and (excess <= 1 or min(sheets[0].size) <= 32):
            return found
        if scale > 1:
            scale = max(1, min(scale - 1, int(scale / excess**0.5)))
        elif len(chosen) > LEAST:
            fewer = max(LEAST, min(len(chosen) - 1, int(len(chosen) / excess)))
            at = torch.linspace(0, len(chosen) - 1, fewer).round().long().tolist()
            chosen = [chosen[i] for i in at]
        else:
            shrink = max(shrink + 1, math.ceil(shrink * excess**0.5))


def moving(
    frames: Sequence[Tensor],
    items: Tensor,
    shown: Field,
    place: Path,
    data: Mapping[str, Any],
    *,
    seconds: float,
    hold: float = 0.0,
    columns: int | None = None,
    notes: tuple[str, ...] = (),
) -> Picture:
    """Writes frames to `place`; items (n, ...): what the result holds as an array."""
    from genloom.modalities import image
    from genloom.modalities.codec import Clip

    gap = 2 if shown.modality == "image" else 4
    said = json.dumps(dict(data), default=str)
    found = film(frames, place.suffix.lower(), seconds=seconds, hold=hold, columns=columns, gap=gap, comment=said)
    image.write_bytes(place, found.content)
    clips = (Clip("image/gif", found.content, "moving"),) if place.suffix.lower() == ".gif" else ()
    size = f"{found.frames} frames, {found.last.width}x{found.last.height} pixels, {size_text(len(found.content))}"
    more = {**data, "frames": found.frames, "bytes": len(found.content)}
    array = modality(shown.modality).codec.array(items, shown)
    return Picture(place, array, image.png(found.last, {"genloom": said}), more, (size, *notes), clips=clips)
