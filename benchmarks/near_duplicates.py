"""How many planted near copies `genloom data report` finds among real pictures, and how many pairs it names besides.

    python benchmarks/near_duplicates.py [FOLDER for pictures of the other pairs]

Of each set 2,000 pictures (Olivetti: all 400) are taken, and a copy of 100 of them is added: moved by 1 or 2 pixels,
darkened or brightened, compressed as JPEG of quality 50, resized, or cropped; 20 of each. `others` are pairs that are
found and were not planted: real sets hold near copies of their own (the same person a moment later), so not all of them
are mistakes; the most alike are drawn into FOLDER, to be judged by eye.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from _result import publish
from genloom.data import DataOptions, load
from genloom.data.inspect.duplicates import near_pairs
from genloom.data.inspect.pictures import thumbnails
from genloom.errors import GenloomError

SETS = ("fashion-mnist", "mnist", "cifar10", "olivetti")
KINDS = ("moved", "brightness", "jpeg", "resized", "cropped")
MOVES = ((1, 0), (0, 1), (-1, 1), (2, 0), (0, -2), (2, 1), (-2, 2))


def moved(picture: Image.Image, k: int) -> Image.Image:
    dx, dy = MOVES[k % len(MOVES)]
    array = np.asarray(picture)
    wide = np.pad(array, ((2, 2), (2, 2), *[(0, 0)] * (array.ndim - 2)), mode="edge")
    return Image.fromarray(wide[2 + dy : 2 + dy + array.shape[0], 2 + dx : 2 + dx + array.shape[1]])


def brightness(picture: Image.Image, k: int) -> Image.Image:
    factor = (0.7, 1.2)[k % 2]
    return picture.point(lambda v: min(255, round(v * factor)))


def jpeg(picture: Image.Image, k: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


def resized(picture: Image.Image, k: int) -> Image.Image:
    factor = (0.75, 1.5, 2.0)[k % 3]
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BICUBIC)


def cropped(picture: Image.Image, k: int) -> Image.Image:
    w, h = picture.size
    cut = max(1, round(0.05 * w))
    left, top = (0, cut, 2 * cut)[k % 3], (cut, 0, 2 * cut)[k % 3]
    return picture.crop((left, top, w - 2 * cut + left, h - 2 * cut + top))


CHANGES: tuple[Callable[[Image.Image, int], Image.Image], ...] = (moved, brightness, jpeg, resized, cropped)


def measure(name: str, folder: Path | None, count: int = 2000, planted: int = 100) -> dict[str, object]:
    dataset = load(DataOptions(source=name))
    count = min(count, len(dataset.train))
    raw = dataset.train.raw(torch.arange(count))["image"].numpy()
    pictures = [Image.fromarray(x[0] if len(x) == 1 else np.ascontiguousarray(x.transpose(1, 2, 0))) for x in raw]
    chosen = np.random.default_rng(0).choice(count, planted, replace=False)
    wanted = {(int(row), count + k): KINDS[k % len(KINDS)] for k, row in enumerate(chosen)}
    pictures += [CHANGES[k % len(CHANGES)](pictures[row], k // len(CHANGES)) for k, row in enumerate(chosen)]
    grey = np.stack([thumbnails(picture)[0] for picture in pictures])
    begun = time.perf_counter()
    found = near_pairs(grey)
    seconds = time.perf_counter() - begun
    pairs = [(int(min(a, b)), int(max(a, b))) for a, b in zip(found.first, found.second, strict=True)]
    origin = {count + k: int(row) for k, row in enumerate(chosen)}
    others = [p for p in pairs if origin.get(p[0], p[0]) != origin.get(p[1], p[1])]
    hit = [wanted[p] for p in pairs if p in wanted]
    if folder is not None and others:
        _draw(pictures, others[:16], folder / f"{name}.png")
    return {
        "pictures": len(pictures),
        "planted": planted,
        "recall": round(len(hit) / planted, 3),
        "recall_by_kind": {kind: hit.count(kind) / (planted // len(KINDS)) for kind in KINDS},
        "others": len(others),
        "precision": round(len(hit) / max(1, len(hit) + len(others)), 3),
        "compared": found.compared,
        "seconds": round(seconds, 2),
    }


def _draw(pictures: list[Image.Image], pairs: list[tuple[int, int]], path: Path) -> None:
    sheet = Image.new("RGB", (len(pairs) * 68, 132), "white")
    for i, pair in enumerate(pairs):
        for j, row in enumerate(pair):
            sheet.paste(pictures[row].convert("RGB").resize((64, 64), Image.Resampling.NEAREST), (i * 68, j * 66))
    sheet.save(path)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    figures: dict[str, object] = {}
    for name in SETS:
        try:
            figures[name] = measure(name, folder)
        except GenloomError as error:
            figures[name] = {"missing": str(error)}
    publish("near_duplicates", figures, "python benchmarks/near_duplicates.py")


if __name__ == "__main__":
    main()
