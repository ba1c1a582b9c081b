"""Exact binomial intervals and class shares."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.metrics.shares import class_shares, clopper_pearson


def test_textbook_values() -> None:
    """No event in 1,000 trials bounds the share by .37% at 95% on both sides; 5 of 10 is (.187, .813)."""
    assert clopper_pearson(0, 1000) == (0.0, pytest.approx(1 - 0.025 ** (1 / 1000), rel=1e-9))
    assert clopper_pearson(1000, 1000)[1] == 1.0
    assert clopper_pearson(5, 10) == (pytest.approx(0.18709, abs=1e-5), pytest.approx(0.81291, abs=1e-5))
    assert clopper_pearson(0, 0) == (0.0, 1.0)
    with pytest.raises(BadValue, match="between 0 and n"):
        clopper_pearson(3, 2)


def test_coverage_is_at_least_what_it_says() -> None:
    draws = torch.binomial(
        torch.full((2000,), 40.0), torch.full((2000,), 0.1), generator=torch.Generator().manual_seed(0)
    )
    intervals = [clopper_pearson(int(c), 40) for c in draws]
    assert sum(low <= 0.1 <= high for low, high in intervals) / 2000 >= 0.95


def test_shares_stand_beside_the_held_out_ones() -> None:
    results = class_shares(
        torch.tensor([0, 0, 0, 2]),
        ("cat", "dog", "owl"),
        judge="toy@01",
        reference=torch.tensor([0, 1, 1, 2]),
        accuracy=0.9,
    )
    assert [r.value for r in results] == [0.75, 0.0, 0.25]
    assert [r.protocol["held_out_share"] for r in results] == [0.25, 0.5, 0.25]
    assert results[1].interval is not None
    assert results[1].interval[1] > 0.5
    assert results[0].key == "share:cat"
