"""The flow keeps the contract on sounds and clips too, with the U-Net that their shape chooses."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from genloom.data import Dataset
from genloom.models.diffusion.flow import Flow, FlowConfig
from genloom.testing import check_model, fake_clips, fake_sounds, make_case

SMALL: dict[str, Any] = {"widths": (16, 32), "blocks": (1, 1), "embedding": 32, "steps": 4, "stem": 0}


@pytest.mark.parametrize(
    "dataset",
    [fake_sounds(), fake_sounds(length=2048, mel=True), fake_clips()],
    ids=["waveforms", "spectrograms", "clips"],
)
def test_a_flow_keeps_the_contract(dataset: Dataset) -> None:
    check_model(Flow, config=FlowConfig(**SMALL), dataset=dataset)


@pytest.mark.parametrize(
    "dataset",
    [fake_sounds(length=333, classes=0), fake_clips(shape=(3, 5, 11, 14), classes=0)],
    ids=["333 samples", "5 frames of 11x14 in colours"],
)
def test_odd_shapes_without_labels(dataset: Dataset) -> None:
    case = make_case(Flow, FlowConfig(**SMALL), dataset)
    model = case.build()
    case.play(case.game(model), 0, 2)
    item = case.item
    with torch.no_grad():
        drawn = model.sample(2, generator=torch.Generator().manual_seed(0))[item]
    assert tuple(drawn.shape[1:]) == dataset.spec[item].shape
    assert torch.isfinite(drawn).all()
