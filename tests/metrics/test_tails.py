"""Which items have a sample nearby: by hand, and as coverage counts them."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.metrics.density_coverage import density_coverage
from genloom.metrics.tails import covered, least_covered, rare


def test_covered_items_are_those_that_coverage_counts() -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = torch.randn(300, 8, generator=draw), 0.6 * torch.randn(200, 8, generator=draw)
    found = covered(real, fake, k=5, chunk=64)
    assert float(found.double().mean()) == density_coverage(real, fake, k=5)[1]
    line = torch.tensor([[0.0], [1.0], [10.0]])
    assert covered(line, torch.tensor([[2.0]]), k=1).tolist() == [False, True, True], "an edge is inside"
    with pytest.raises(BadValue, match="more than k"):
        covered(line, line, k=3)


def test_the_rare_are_those_far_from_training_items() -> None:
    draw = torch.Generator().manual_seed(0)
    train = torch.randn(500, 4, generator=draw)
    held_out = torch.randn(100, 4, generator=draw)
    held_out[[7, 40]] *= 10
    found = rare(held_out, train, share=0.02, chunk=30).tolist()
    assert found == [7, 40]
    assert len(rare(held_out, train)) == 10
    common = 0.3 * torch.randn(2000, 4, generator=draw)
    near = covered(held_out, common)
    assert near[rare(held_out, train)].double().mean() < near.double().mean(), "a narrow model loses the tails first"


def test_the_class_that_is_covered_least() -> None:
    found = torch.tensor([True, True, False, True, False])
    assert least_covered(found, torch.tensor([0, 0, 2, 2, 4]), 6) == (4, 0.0)
    assert least_covered(found[:4], torch.tensor([0, 0, 2, 2]), 6) == (2, 0.5)
    with pytest.raises(BadValue):
        least_covered(found[:0], torch.tensor([], dtype=torch.int64), 3)
