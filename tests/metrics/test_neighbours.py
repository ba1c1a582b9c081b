"""Nearest neighbours against the plain computation."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.metrics.base import spread
from genloom.metrics.neighbours import nearest, nearest_in


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


class Images:
    """Items read by index, and how many at most were asked for at once."""

    def __init__(self, images: torch.Tensor) -> None:
        self.images, self.most = images, 0

    def __len__(self) -> int:
        return len(self.images)

    def raw(self, index: torch.Tensor) -> dict[str, torch.Tensor]:
        self.most = max(self.most, len(index))
        return {"image": self.images[index]}


def test_in_a_split_the_same_neighbours_are_found_block_by_block() -> None:
    images = torch.randint(0, 256, (700, 1, 6, 6), generator=generator(), dtype=torch.uint8)
    split, queries = Images(images), images[[3, 650]] // 2
    found = nearest_in(split, "image", queries, k=4, chunk=100)
    assert torch.equal(found.indices, nearest(queries, images, k=4).indices)
    assert split.most == 100
    some = nearest_in(split, "image", queries, k=4, limit=200)
    distances = (images[some.indices[0]].float() - queries[0].float()).flatten(1).norm(dim=1)
    assert torch.allclose(some.distances[0], distances)
    assert (some.distances >= found.distances).all()
    with pytest.raises(BadValue, match="between 1 and the 2"):
        nearest_in(split, "image", queries, k=3, limit=2)


def test_a_spread_is_one_item_of_every_stretch() -> None:
    assert spread(10, 10).tolist() == list(range(10))
    rows = spread(10_000_000, 1000)
    assert torch.equal(rows // 10_000, torch.arange(1000))
    assert len((rows % 10).unique()) == 10  # no step that would fall in with ten alternating classes
    assert torch.equal(rows, spread(10_000_000, 1000))
