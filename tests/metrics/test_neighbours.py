"""Nearest neighbours against the plain computation."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.metrics.neighbours import nearest


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_against_the_plain_computation_in_any_chunks() -> None:
    q, r = torch.randn(7, 5, generator=generator()), torch.randn(50, 5, generator=generator(1))
    expected = torch.cdist(q, r).topk(3, largest=False)
    for chunk in (6, 1000):
        found = nearest(q, r, k=3, chunk=chunk)
        assert torch.equal(found.indices, expected.indices)
        assert torch.allclose(found.distances, expected.values, atol=1e-5)


def test_a_copy_is_found_at_distance_zero_among_bytes() -> None:
    images = torch.randint(0, 256, (300, 1, 28, 28), generator=generator(), dtype=torch.uint8)
    found = nearest(images[[17, 255]], images, chunk=64)
    assert found.indices.flatten().tolist() == [17, 255]
    assert found.distances.flatten().tolist() == [0.0, 0.0]
    assert found.indices.shape == (2, 1)


def test_no_queries() -> None:
    assert nearest(torch.empty(0, 3), torch.randn(5, 3, generator=generator())).indices.shape == (0, 1)


def test_refusals() -> None:
    with pytest.raises(BadValue, match="between 1 and the 5"):
        nearest(torch.zeros(2, 3), torch.zeros(5, 3), k=6)
    with pytest.raises(BadData, match="like with like"):
        nearest(torch.zeros(2, 3), torch.zeros(5, 4))
