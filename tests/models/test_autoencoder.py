"""Autoencoders: of rows and pictures, with noise and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import genloom
from genloom.core import Step
from genloom.errors import BadData, BadValue
from genloom.models.autoencoding.autoencoder import Autoencoder, AutoencoderConfig
from genloom.testing import check_model, fake_images, fake_rows, fake_text

TINY = {"config.width": 8, "config.latent": 4, "train.batch": 16, "train.precision": "fp32"}


def test_rows_keep_the_contract() -> None:
    check_model(Autoencoder, config=AutoencoderConfig(latent=2, hidden=(16,)), dataset=fake_rows())


def test_noise_has_the_strength_it_says_and_masks_their_share() -> None:
    spec, step = fake_images().spec, Step(seed=1, rows=(0, 64, 64))
    x = torch.ones(64, 1, 16, 16)
    model = Autoencoder(AutoencoderConfig(noise=(0.2, 0.2), width=8), spec)
    assert float((model.corrupted(x, step) - x).std()) == pytest.approx(0.2, abs=0.01)
    spread = (Autoencoder(AutoencoderConfig(noise=(0.0, 0.4), width=8), spec).corrupted(x, step) - x).flatten(1).std(1)
    assert float(spread.min()) < 0.05 < 0.35 < float(spread.max())  # of each item its own
    masked = Autoencoder(AutoencoderConfig(masked=0.3, width=8), spec).corrupted(x, step)
    assert float((masked == 0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(Autoencoder(AutoencoderConfig(width=8), spec).corrupted(x, step), x)


def test_what_cannot_be_is_refused() -> None:
    spec = fake_images().spec
    with pytest.raises(BadValue, match="vector or map, got 'list'"):
        Autoencoder(AutoencoderConfig(code="list"), spec)  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="least and greatest deviation"):
        Autoencoder(AutoencoderConfig(noise=(0.4, 0.1)), spec)
    with pytest.raises(BadValue, match="share from 0"):
        Autoencoder(AutoencoderConfig(masked=1.0), spec)
    with pytest.raises(BadData, match="image, table or vector"):
        Autoencoder(AutoencoderConfig(), fake_text().spec)


def test_a_denoiser_gives_one_answer_nearer_to_the_original_than_it_was(tmp_path: Path) -> None:
    images = torch.cat([fake_images(160, seed=s).train.raw(torch.arange(54))["image"] for s in range(4)])[:, 0]
    np.save(tmp_path / "bars.npy", images.numpy())
    runs = str(tmp_path / "runs")
    genloom.train("denoising-autoencoder", data=str(tmp_path / "bars.npy"), budget="150steps", name="clean", runs=runs,
                  overrides={**TINY, "config.optimizer.lr": 5e-3})  # fmt: skip
    found = genloom.translate(tmp_path / "runs" / "clean", "denoise", n=8, out=tmp_path / "out.png")
    scores = {r["name"]: r["value"] for r in found["results"] if r["key"] == "psnr"}
    assert set(scores) == {"PSNR of the model", "PSNR of Gaussian filter", "PSNR of median filter"}
    assert scores["PSNR of the model"] > max(v for k, v in scores.items() if "filter" in k)
    with pytest.raises(BadValue, match="trained for denoise, not for inpaint"):
        genloom.translate(tmp_path / "runs" / "clean", "inpaint")
    genloom.train("autoencoder", data=str(tmp_path / "bars.npy"), budget="2steps", name="plain", runs=runs,
                  overrides=TINY)  # fmt: skip
    with pytest.raises(BadValue, match="trained for no task on pictures"):
        genloom.translate(tmp_path / "runs" / "plain", "denoise")
