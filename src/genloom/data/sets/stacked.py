"""StackedMNIST: three digits, one in each colour, which make 1,000 modes (Metz et al. 2017; Srivastava et al. 2017)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from genloom.core import derive_seed
from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets import images as pictures
from genloom.data.splits import Rows

COUNTS = {"train": 60_000, "validation": 2_000, "test": 10_000}


def _load(options: DataOptions, card: Card) -> Dataset:
    """Digits of a split are of the same split of mnist-full alone."""
    base = pictures.ENTRIES["mnist-full"]
    assert base.load is not None
    source = base.load(DataOptions(source="mnist-full", labels=False), base.card)
    stacks, rows, begin = [], [], 0
    for part, count in COUNTS.items():
        split = getattr(source, part)
        draw = np.random.Generator(np.random.PCG64(derive_seed("stacked mnist", part)))
        chosen = torch.from_numpy(draw.integers(len(split), size=(count, 3)))
        single = split.raw(torch.arange(len(split)))["image"][:, 0].numpy()
        stacks.append(single[chosen.numpy()].transpose(0, 2, 3, 1))  # red, green, blue last
        rows.append(torch.arange(begin, begin + count))
        begin += count
    array = np.concatenate(stacks)
    parts: Rows = (rows[0], rows[1], rows[2])
    plain = np.zeros(len(array), np.int64)
    without = replace(options, labels=False)  # a thousand classes would drown every table
    return pictures.image_set("stacked-mnist", without, card, array, plain, parts, ("stack",))


ENTRIES = {
    "stacked-mnist": Entry(
        "stacked-mnist",
        Card(
            "StackedMNIST: three MNIST digits in red, green and blue, 1,000 modes",
            "made from mnist-full, which it fetches",
            "as MNIST: CC BY-SA 3.0",
            citations.VEEGAN,
            "60,000 + 2,000 + 10,000 images, 28x28 colour",
        ),
        load=_load,
    ),
}
