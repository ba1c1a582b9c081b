"""Simple methods on degraded pictures do what their names say, and closeness has known values."""

from __future__ import annotations

import math

import pytest
import torch

from genloom.metrics.restoration import closeness, gaussian, median, nearest, simple
from genloom.samplers.restore import degrade

TRAIN = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("task", ["inpaint", "super-resolution", "colour"])
def test_the_nearest_copy_of_a_training_item_is_itself(task: str) -> None:
    found = simple(task, degrade(TRAIN[:5], task), (3, 8, 8), TRAIN)
    assert torch.equal(found["nearest copy"], TRAIN[:5])
    assert all(items.shape == (5, 3, 8, 8) for items in found.values())


def test_the_mean_fills_only_what_is_unknown() -> None:
    given = degrade(TRAIN[:2], "inpaint")
    filled = simple("inpaint", given, (3, 8, 8), TRAIN)["mean fill"]
    known = given.isfinite()
    assert torch.equal(filled[known], given[known])
    assert torch.allclose(filled[0][~known[0]], TRAIN.mean(0)[~known[0]])


def test_filters_take_noise_away() -> None:
    flat = torch.zeros(1, 1, 16, 16)
    noisy = flat + 0.3 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0))
    for clean in (gaussian(noisy, 1.0), median(noisy)):
        assert clean.square().mean() < 0.3 * noisy.square().mean()
    assert set(simple("denoise", noisy, (1, 16, 16), flat)) == {"Gaussian filter", "median filter"}
    assert simple("sdedit", noisy, (1, 16, 16), flat) == {}


def test_nearest_looks_at_what_is_known_alone() -> None:
    given = TRAIN[3:4].clone()
    given[:, :, :, 4:] = math.nan
    other = TRAIN.clone()
    other[3, :, :, 4:] = 9.0
    assert float(nearest(given, other)[0, 0, 0, 7]) == 9.0


def test_closeness_has_known_values() -> None:
    psnr, ssim = closeness(TRAIN + 0.2, TRAIN, "x")
    assert psnr.value == pytest.approx(20.0, abs=1e-3)
    assert psnr.name == "PSNR of x"
    perfect = closeness(TRAIN, TRAIN, "x")
    assert perfect[0].value == 100
    assert perfect[1].value == pytest.approx(1.0)
    low, high = ssim.interval
    assert low < ssim.value < high
