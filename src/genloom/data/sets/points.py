"""Mixtures of Gaussians in the plane, drawn here: the ring and the grid by which modes are counted.

As in the PacGAN paper (Lin et al. 2018, section 4.1): eight on a circle of radius 1 with deviation 0.01, and 25 on a
lattice of step 2 with deviation 0.05. The mode of each point is its class, for measuring; tell models not.
"""

from __future__ import annotations

import numpy as np

from genloom.core import derive_seed
from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.splits import stratified
from genloom.data.vectors import vector_dataset

COUNTS = (100_000, 5_000, 5_000)


def centres(name: str) -> np.ndarray:
    """(modes, 2), float64."""
    if name == "ring":
        angle = 2 * np.pi * np.arange(8) / 8
        return np.stack([np.cos(angle), np.sin(angle)], 1)
    line = np.arange(-4.0, 5.0, 2.0)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)


def _load(name: str, deviation: float, bound: float, options: DataOptions, card: Card) -> Dataset:
    draw = np.random.Generator(np.random.PCG64(derive_seed("points", name)))
    means = centres(name)
    mode = draw.integers(len(means), size=sum(COUNTS))
    points = means[mode] + deviation * draw.standard_normal((len(mode), 2))
    names = tuple(f"({x:.3g}, {y:.3g})" for x, y in means.round(3) + 0.0)
    return vector_dataset(
        name, options, points, (-bound, bound), mode, names, stratified(mode, COUNTS, f"points {name}"), card
    )


def _ring(options: DataOptions, card: Card) -> Dataset:
    return _load("ring", 0.01, 1.5, options, card)


def _grid(options: DataOptions, card: Card) -> Dataset:
    return _load("grid", 0.05, 6.0, options, card)


_ITEMS = "100,000 + 5,000 + 5,000 points of {} modes"
ENTRIES = {
    "ring": Entry(
        "ring",
        Card(
            "Eight Gaussians on a circle in the plane", "drawn by genloom", "CC0-1.0", citations.PACGAN,
            _ITEMS.format(8), "vector",
        ),
        load=_ring,
    ),
    "grid": Entry(
        "grid",
        Card(
            "Twenty-five Gaussians on a lattice in the plane", "drawn by genloom", "CC0-1.0", citations.PACGAN,
            _ITEMS.format(25), "vector",
        ),
        load=_grid,
    ),
}  # fmt: skip
