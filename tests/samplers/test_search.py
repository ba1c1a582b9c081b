"""Searching a latent space: the process predicts, proposals climb, items without a number do not stop it."""

from __future__ import annotations

import math

import pytest
import torch

from genloom.samplers.search import expected_improvement, fit, propose


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def hill(codes: torch.Tensor) -> torch.Tensor:
    """Highest, 0, at (2, 2, ...)."""
    return -(codes - 2).square().sum(1)


def test_the_process_knows_what_it_was_shown_and_how_little_of_the_rest() -> None:
    codes = torch.randn(200, 3, generator=generator())
    values = codes[:, 0].sin() + 5
    process = fit(codes, values)
    mean, std = process.predict(codes)
    assert float((mean - values).abs().max()) < 0.2
    far_mean, far_std = process.predict(torch.full((1, 3), 100.0))
    assert float(far_mean) == pytest.approx(float(values.mean()), abs=0.01)
    assert float(far_std) > 3 * float(std.mean())
    new = torch.randn(50, 3, generator=generator().manual_seed(1)) * 0.7
    assert float((process.predict(new)[0] - (new[:, 0].sin() + 5)).abs().mean()) < 0.1


def test_expected_improvement_is_an_expectation() -> None:
    draws = 1.0 + 2.0 * torch.randn(400_000, generator=generator(), dtype=torch.float64)
    found = expected_improvement(torch.tensor(1.0).double(), torch.tensor(2.0).double(), 2.0)
    assert float(found) == pytest.approx(float((draws - 2.0).clamp_min(0).mean()), rel=0.02)


def test_proposals_climb() -> None:
    codes = torch.randn(100, 8, generator=generator())
    draws = generator()
    first = float(hill(codes).max())
    for _ in range(8):
        codes = torch.cat((codes, propose(codes, hill(codes), 20, draws)))
    random = torch.randn(len(codes), 8, generator=generator().manual_seed(5))
    assert float(hill(codes).max()) > 0.25 * first
    assert float(hill(codes).max()) > 0.5 * float(hill(random).max())
    again = propose(codes[:100], hill(codes[:100]), 20, generator())
    assert torch.equal(again, propose(codes[:100], hill(codes[:100]), 20, generator()))


def test_items_without_a_number_are_shunned() -> None:
    codes = torch.randn(300, 4, generator=generator())
    worth = torch.where(codes[:, 1] > 0, codes[:, 0], torch.tensor(math.nan))
    found = propose(codes, worth, 60, generator())
    assert found.shape == (60, 4)
    assert found.isfinite().all()
    assert float((found[:, 1] > 0).float().mean()) > 0.7
    assert float(found[:, 0].mean()) > 1
    even = propose(codes, torch.ones(300), 5, generator())  # all alike: nothing to climb
    assert even.isfinite().all()
