"""How close a reconstruction is to its picture: peak signal-to-noise ratio, and structural similarity (Wang et al.
2004).

PSNR counts squared errors in decibels. SSIM compares means, spreads and correlation under a Gaussian window of 11
pixels (standard deviation 1.5), so that a shift in brightness costs little and lost structure costs much; where a
picture is smaller than the window, the window shrinks to the largest odd size that fits.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.errors import BadData

CITATION = (
    "@article{wang2004image, title={Image Quality Assessment: From Error Visibility to Structural Similarity}, "
    "author={Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.}, journal={IEEE "
    "Transactions on Image Processing}, volume={13}, number={4}, pages={600--612}, year={2004}}"
)


def _check(x_BCHW: Tensor, y_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    if x_BCHW.shape != y_BCHW.shape or x_BCHW.ndim != 4:
        raise BadData(
            f"expected two batches (B, C, H, W) of one shape, got {tuple(x_BCHW.shape)} and {tuple(y_BCHW.shape)}: "
            "compare each picture with its own reconstruction"
        )
    return x_BCHW.double(), y_BCHW.double()


def psnr(x_BCHW: Tensor, y_BCHW: Tensor, span: float) -> Tensor:
    """Decibels for each pair, (B,), infinite where they are equal. span: largest minus smallest value (255, or 2)."""
    x, y = _check(x_BCHW, y_BCHW)
    return 20 * math.log10(span) - 10 * (x - y).square().flatten(1).mean(1).log10()


def ssim(x_BCHW: Tensor, y_BCHW: Tensor, span: float) -> Tensor:
    """Structural similarity of each pair, (B,), at most 1; the mean over positions and channels (eq. 13)."""
    x, y = _check(x_BCHW, y_BCHW)
    channels, side = x.shape[1], min(11, *(s - 1 + s % 2 for s in x.shape[2:]))
    line = torch.exp(-0.5 * ((torch.arange(side, dtype=x.dtype, device=x.device) - side // 2) / 1.5) ** 2)
    line = line / line.sum()
    window = line.outer(line).expand(channels, 1, side, side)

    def blurred(z: Tensor) -> Tensor:
        return F.conv2d(z, window, groups=channels)

    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    both = blurred(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).flatten(1).mean(1)
