"""Pictures of any size and mode into uint8 tensors of one shape, by rules that are written down.

crop: scale until the picture covers the target, cut the middle. pad: scale until it fits, fill with black.
stretch: scale both sides to the target, changing the aspect. Scaling averages (bicubic with antialiasing).
Transparent pixels are laid on white.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genloom.data.options import DataOptions
from genloom.errors import BadValue

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def parse_size(size: str | int | None) -> tuple[int, int] | None:
    """ "64" or "48x64" (height x width) -> (height, width). Raises BadValue for anything else."""
    if size is None:
        return None
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", str(size).strip().lower())
    if not match or int(match[1]) < 1 or int(match[2] or match[1]) < 1:
        raise BadValue(f'expected a size like "64" or "48x64" (height x width, up to 9999), got {size!r}')
    return int(match[1]), int(match[2] or match[1])


def in_threads(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """work(item) for each item, in order; several at a time, since decoding and scaling release the interpreter."""
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) + 1)) as pool:
        yield from pool.map(work, items, chunksize=1)


def fit(picture: Image.Image, height: int, width: int, policy: str) -> Image.Image:
    """A picture of mode "L" or "RGB" at height x width by the `policy` crop, pad or stretch."""
    if picture.size == (width, height):
        return picture
    if policy == "stretch":
        return picture.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    choose = max if policy == "crop" else min
    scale = choose(width / picture.width, height / picture.height)
    if policy == "crop":
        # The middle part of the original that has the target's aspect, scaled in one go.
        w, h = width / scale, height / scale
        left, top = (picture.width - w) / 2, (picture.height - h) / 2
        box = (max(0.0, left), max(0.0, top), min(picture.width, left + w), min(picture.height, top + h))
        return picture.resize((width, height), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    inner = (max(1, min(width, round(picture.width * scale))), max(1, min(height, round(picture.height * scale))))
    small = picture.resize(inner, Image.Resampling.BICUBIC, reducing_gap=3.0)
    out = Image.new(picture.mode, (width, height))
    out.paste(small, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return out


def describe_policy(options: DataOptions, height: int, width: int) -> str:
    """What `fit` does, for a person."""
    how = {
        "crop": "scaled to cover and cut to the middle",
        "pad": "scaled to fit and padded with black",
        "stretch": "stretched",
    }
    return f"images {how[options.resize]} at {height}x{width} (height x width)"


def fit_array(images: Tensor, options: DataOptions, notes: list[str]) -> Tensor:
    """uint8 (N, C, H, W), C 1 or 3, at the options' size and channels; returned as it is where nothing changes."""
    _, channels, height, width = images.shape
    size = parse_size(options.size) or (height, width)
    wanted = {"auto": channels, "grey": 1, "rgb": 3}[options.channels]
    if size != (height, width):
        notes.append(describe_policy(options, *size) + f", from {height}x{width}")

        def one(item: np.ndarray) -> np.ndarray:
            picture = Image.fromarray(item[0] if channels == 1 else np.ascontiguousarray(item.transpose(1, 2, 0)))
            return np.asarray(fit(picture, *size, options.resize))

        out = np.empty((len(images), *size, *((3,) if channels == 3 else ())), np.uint8)
        for i, item in enumerate(in_threads(one, images.numpy())):
            out[i] = item
        fitted = torch.from_numpy(out)
        images = fitted[:, None] if channels == 1 else fitted.permute(0, 3, 1, 2)
    if wanted != channels:
        notes.append("colours turned to grey (ITU-R 601)" if wanted == 1 else "grey repeated as red, green and blue")
        images = to_grey(images) if wanted == 1 else images.repeat(1, 3, 1, 1)
    return images


def to_grey(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> (N, 1, H, W) by the weights of ITU-R 601, as pictures' mode "L" does."""
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    return torch.cat([(part * weights).sum(1, keepdim=True).round_().to(torch.uint8) for part in images.split(1024)])
