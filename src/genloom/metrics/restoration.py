"""What simple methods make of degraded pictures, and how close each comes to the original.

Filling with the mean, enlarging by bicubic interpolation, filters against noise, and the training item that fits what
is given best: what a model must beat to be of use.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genloom.metrics.base import Result
from genloom.metrics.similarity import CITATION, psnr, ssim

SPAN = 2.0  # of pixels in [-1, 1]


def simple(task: str, given: Tensor, shape: tuple[int, ...], train: Tensor) -> dict[str, Tensor]:
    """Name -> items (B, *shape) in [-1, 1] made without a model. train: training items (N, *shape) in [-1, 1]."""
    channels, height, width = shape
    if task in ("inpaint", "outpaint"):
        known = given.isfinite()
        return {
            "mean fill": torch.where(known, given, train.mean(0, keepdim=True)),
            "nearest copy": torch.where(known, given, nearest(given, train)),
        }
    if task == "super-resolution":
        larger = F.interpolate(given, (height, width), mode="bicubic", align_corners=False).clamp(-1, 1)
        return {"bicubic": larger, "nearest copy": nearest(given, train, factor=width // given.shape[-1])}
    if task == "colour":
        return {"grey": given.expand(-1, channels, -1, -1), "nearest copy": nearest(given, train)}
    if task == "denoise":
        return {"Gaussian filter": gaussian(given, 1.0), "median filter": median(given)}
    return {}


def nearest(given: Tensor, train: Tensor, factor: int = 1) -> Tensor:
    """The training item whose view is nearest to each of `given`, in what is known of it."""
    views = train
    if given.shape[1] == 1 and train.shape[1] > 1:
        views = train.mean(1, keepdim=True)
    if factor > 1:
        views = F.avg_pool2d(views, factor)
    known = given.isfinite()
    picked = []
    flat = views.flatten(1)
    for item, mask in zip(given.flatten(1), known.flatten(1), strict=True):
        picked.append(int((flat[:, mask] - item[mask]).square().sum(1).argmin()))
    return train[picked]


def gaussian(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of deviation `sigma` pixels, edges reflected."""
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="reflect")).clamp(-1, 1)


def median(x: Tensor, side: int = 3) -> Tensor:
    """The median of each pixel's `side` x `side` neighbours."""
    from scipy.ndimage import median_filter

    return torch.from_numpy(median_filter(x.numpy(), (1, 1, side, side), mode="reflect")).clamp(-1, 1)


def closeness(made: Tensor, originals: Tensor, name: str) -> list[Result]:
    """PSNR and SSIM of items (B, C, H, W) in [-1, 1] to their originals: means with normal 95% intervals."""
    found = []
    for key, of, better in (("psnr", psnr, "higher"), ("ssim", ssim, "higher")):
        values = of(made, originals, SPAN).clamp(max=100).numpy()
        half = 1.96 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        mean = float(values.mean())
        ends = (mean - half, mean + half)
        found.append(Result(key, f"{key.upper()} of {name}", mean, ends, len(values), {}, CITATION, better))
    return found
