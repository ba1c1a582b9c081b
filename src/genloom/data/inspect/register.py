"""How alike two small pictures are once one is laid over the other: shifts, small crops and brightness taken out.

Pictures are grey, (P, G, G) float32. A pose is (dx, dy, log sx, log sy): point x of the second picture is looked up in
the first at c + (x - c) * exp(log s) + d, with c the centre. The step is Gauss-Newton on normalised differences (the
image registration of Lucas and Kanade, 1981).
"""

from __future__ import annotations

import numpy as np

Floats = np.ndarray
_FAR, _ZOOM = 4.0, 0.16  # poses further than this (pixels of the thumbnail, log scale) are not copies
_DAMPING = 0.02


def warp(pictures: Floats, poses: Floats) -> tuple[Floats, Floats]:
    """(P, G, G) seen through poses (P, 4), bilinear, and a mask (P, G, G) of 1 where there was a picture."""
    p, g, _ = pictures.shape
    c = (g - 1) / 2
    at = np.arange(g, dtype=np.float32)
    x = c + (at - c) * np.exp(poses[:, 2:3]) + poses[:, 0:1]  # (P, G)
    y = c + (at - c) * np.exp(poses[:, 3:4]) + poses[:, 1:2]
    inside = ((y >= 0) & (y <= g - 1))[:, :, None] & ((x >= 0) & (x <= g - 1))[:, None, :]
    x, y = np.clip(x, 0, g - 1.001), np.clip(y, 0, g - 1.001)
    x0, y0 = x.astype(np.int64), y.astype(np.int64)
    fx, fy = (x - x0).astype(np.float32)[:, None, :], (y - y0).astype(np.float32)[:, :, None]
    rows = np.arange(p)[:, None, None]
    top = pictures[rows, y0[:, :, None], x0[:, None, :]] * (1 - fx)
    top += pictures[rows, y0[:, :, None], x0[:, None, :] + 1] * fx
    low = pictures[rows, y0[:, :, None] + 1, x0[:, None, :]] * (1 - fx)
    low += pictures[rows, y0[:, :, None] + 1, x0[:, None, :] + 1] * fx
    return top * (1 - fy) + low * fy, inside.astype(np.float32)


def _normalised(pictures: Floats, mask: Floats, count: Floats) -> Floats:
    """Mean 0 and standard deviation 1 within the mask, 0 outside."""
    centred = (pictures - (pictures * mask).sum((1, 2), keepdims=True) / count) * mask
    spread = np.sqrt((centred * centred).sum((1, 2), keepdims=True) / count)
    return centred / (spread + 1e-3)


def correlation(first: Floats, second: Floats, mask: Floats) -> Floats:
    """Pearson's correlation of the pixels within the mask, (P,)."""
    count = mask.sum((1, 2), keepdims=True) + 1e-6
    a, b = _normalised(first, mask, count), _normalised(second, mask, count)
    return (a * b).sum((1, 2)) / count[:, 0, 0]


def likeness(first: Floats, second: Floats, poses: Floats, steps: int = 6) -> Floats:
    """The highest correlation (P,) of `second` with `first` seen through a pose near `poses` (P, 4)."""
    p, g, _ = first.shape
    c = (g - 1) / 2
    across = ((np.arange(g, dtype=np.float32) - c) / c)[None, None, :]
    down = across.transpose(0, 2, 1)
    pose = poses.astype(np.float32).copy()
    best = np.full(p, -1, np.float32)
    for step in range(steps + 1):
        seen, mask = warp(first, pose)
        count = mask.sum((1, 2), keepdims=True) + 1e-6
        a, b = _normalised(seen, mask, count), _normalised(second, mask, count)
        best = np.maximum(best, (a * b).sum((1, 2)) / count[:, 0, 0])
        if step == steps:
            break
        gy, gx = np.gradient(a, axis=(1, 2))
        slopes = np.stack([gx, gy, gx * across, gy * down], -1) * mask[..., None]
        slopes = slopes.reshape(p, -1, 4)
        turned = slopes.transpose(0, 2, 1)
        normal = turned @ slopes + np.eye(4, dtype=np.float32) * (_DAMPING * count)
        move = np.linalg.solve(normal, turned @ ((b - a) * mask).reshape(p, -1, 1))[..., 0]
        move[:, 2:] /= c
        pose = pose + move.astype(np.float32)
        pose[:, :2] = np.clip(pose[:, :2], -_FAR, _FAR)
        pose[:, 2:] = np.clip(pose[:, 2:], -_ZOOM, _ZOOM)
    return best
