"""Rendered heads: solids made here, of which every factor is known, for models that are to find factors by themselves.

A head is a union of ellipsoids (skull, nose, ears, eyes), seen from a direction, lit from another, of a width. Each
pixel's ray is cut with each ellipsoid, in closed form; the nearest cut is shaded by Lambert's law.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator

import numpy as np
import torch

from genloom.core import derive_seed
from genloom.data.cache import cached_array
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.shape import fit_array

SIDE = 32
COUNTS = (10_000, 1_000, 1_000)
FACTORS = ("azimuth", "elevation", "light", "width")
AZIMUTH, ELEVATION, LIGHT = np.radians(60.0), np.radians(25.0), np.radians(75.0)  # each to both sides
NARROW, WIDE = 0.7, 1.15  # the head's width beside its height
PARTS = (  # centre (right, up, front), radii, albedo; of a head of width 1 that looks at the viewer
    ((0.0, 0.0, 0.0), (0.62, 0.80, 0.70), 0.85),
    ((0.0, -0.10, 0.70), (0.11, 0.20, 0.20), 0.95),
    ((-0.62, -0.02, 0.0), (0.10, 0.20, 0.14), 0.75),
    ((0.62, -0.02, 0.0), (0.10, 0.20, 0.14), 0.75),
    ((-0.25, 0.14, 0.56), (0.12, 0.09, 0.10), 0.10),
    ((0.25, 0.14, 0.56), (0.12, 0.09, 0.10), 0.10),
    ((0.0, -0.45, 0.52), (0.22, 0.06, 0.12), 0.35),
)
BACKGROUND, AMBIENT = 0.12, 0.18


def turned(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) from the head's axes to the viewer's: about the vertical axis, then about the horizontal."""
    zero, one = np.zeros_like(azimuth), np.ones_like(azimuth)
    (ca, sa), (ce, se) = ((np.cos(a), np.sin(a)) for a in (azimuth, elevation))
    about_up = np.stack([ca, zero, sa, zero, one, zero, -sa, zero, ca], -1).reshape(-1, 3, 3)
    about_right = np.stack([one, zero, zero, zero, ce, -se, zero, se, ce], -1).reshape(-1, 3, 3)
    return about_right @ about_up


def rendered(factors: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Pictures uint8 (N, side, side) of factors (N, 4) in [-1, 1], in the order of FACTORS."""
    azimuth, elevation, light, width = factors.T
    rotation = turned(AZIMUTH * azimuth, ELEVATION * elevation)
    scale = NARROW + (WIDE - NARROW) * (width + 1) / 2
    line = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(line, -line)
    origin = np.stack([x, y, np.full_like(x, 3.0)], -1).reshape(-1, 3)  # rays start in front and run along -z
    sun = np.stack([np.sin(LIGHT * light), np.full_like(light, 0.35), np.cos(LIGHT * light)], -1)
    sun /= np.linalg.norm(sun, axis=1, keepdims=True)
    nearest = np.full((len(factors), side * side), np.inf)
    shade = np.full((len(factors), side * side), BACKGROUND)
    start = np.einsum("nij,pi->npj", rotation, origin)  # into the head's axes: the inverse is the transpose
    along = -rotation[:, 2, :]
    for centre, radii, albedo in PARTS:
        stretch = np.stack([scale, np.ones_like(scale), np.ones_like(scale)], 1)
        radius, middle = np.array(radii) * stretch, np.array(centre) * stretch
        o, d = (start - middle[:, None]) / radius[:, None], along / radius
        a, b, c = (d**2).sum(1)[:, None], np.einsum("npj,nj->np", o, d), (o**2).sum(2) - 1
        inside = b**2 - a * c
        t = np.where(inside > 0, (-b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        closer = t < nearest
        normal = (o + np.where(closer, t, 0)[..., None] * d[:, None]) / radius[:, None]
        normal = np.einsum("nij,npj->npi", rotation, normal)  # back to the viewer's axes
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-9)
        lit = np.maximum(np.einsum("npi,ni->np", normal, sun), 0)
        shade = np.where(closer, albedo * (AMBIENT + (1 - AMBIENT) * lit), shade)
        nearest = np.where(closer, t, nearest)
    return np.round(255 * np.clip(shade, 0, 1)).astype(np.uint8).reshape(-1, side, side)


def _blocks(factors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(factors), 500):
        yield rendered(factors[start : start + 500])


def _load(options: DataOptions, card: Card) -> Dataset:
    draw = np.random.Generator(np.random.PCG64(derive_seed("solids")))
    factors = draw.uniform(-1, 1, (sum(COUNTS), len(FACTORS)))
    recipe = hashlib.sha256((inspect.getsource(rendered) + repr((PARTS, COUNTS, SIDE))).encode()).hexdigest()
    array = cached_array(f"solids-{recipe[:16]}", lambda: np.concatenate(list(_blocks(factors))))
    notes: list[str] = []
    images = fit_array(torch.from_numpy(array)[:, None], options, notes)
    first, second = COUNTS[0], COUNTS[0] + COUNTS[1]
    rows = (torch.arange(first), torch.arange(first, second), torch.arange(second, len(array)))
    known = {name: torch.from_numpy(factors[:, i]) for i, name in enumerate(FACTORS)}
    return image_dataset("solids", options, images, None, (), rows, card, notes, factors=known)


ENTRIES = {
    "solids": Entry(
        "solids",
        Card(
            "Rendered heads with known azimuth, elevation, light and width",
            "rendered by genloom",
            "CC0-1.0",
            citations.SOLIDS,
            "10,000 + 1,000 + 1,000 images, 32x32 grey, 4 factors",
        ),
        load=_load,
    ),
}
