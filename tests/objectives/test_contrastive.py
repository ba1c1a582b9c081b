"""Contrastive objectives against what is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

from genloom.objectives.contrastive import mutual_information


def test_mutual_information_of_two_views() -> None:
    sure = torch.eye(4).repeat(3, 1)
    assert mutual_information(sure, sure).item() == pytest.approx(math.log(4), rel=1e-4)
    assert mutual_information(sure, sure.roll(1, 1)).item() == pytest.approx(math.log(2), rel=1e-4)  # each of two
    one = torch.tensor([[1.0, 0, 0, 0]]).repeat(12, 1)
    assert mutual_information(one, one).item() == pytest.approx(0, abs=1e-4)  # all in one cluster tells nothing
    unsure = torch.full((12, 4), 0.25)
    assert mutual_information(sure, unsure).item() == pytest.approx(0, abs=1e-4)


def test_mutual_information_has_its_gradient_under_autocast() -> None:
    """Groups of an untrained network are nearly alike; in bf16 what tells them apart is lost on the way back."""
    logits = 0.02 * torch.randn(64, 10, generator=torch.Generator().manual_seed(0))
    gradients = []
    for bf16 in (False, True):
        a = logits.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            mutual_information(a.softmax(1), (2 * logits).softmax(1)).backward()
        assert a.grad is not None
        gradients.append(a.grad)
    greatest = gradients[0].abs().max().item()
    assert greatest > 0
    assert torch.allclose(*gradients, rtol=0, atol=0.01 * greatest)
