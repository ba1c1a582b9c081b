"""Known answers of the sliced Wasserstein distance."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.metrics.sliced_wasserstein import sliced_wasserstein


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(seed))


def test_equal_sets_in_any_order() -> None:
    x = normal(50, 3, 4, 4)
    assert sliced_wasserstein(x, x.flip(0), generator=generator()) == pytest.approx(0, abs=1e-6)


def test_one_dimension_is_the_sorted_difference() -> None:
    x, y = torch.tensor([[0.0], [4.0], [2.0]]), torch.tensor([[1.0], [3.0], [8.0]])
    expected = ((1 + 1 + 16) / 3) ** 0.5
    assert sliced_wasserstein(x, y, generator=generator()) == pytest.approx(expected, rel=1e-6)


def test_unequal_sizes_compare_quantiles() -> None:
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    assert sliced_wasserstein(x, y, generator=generator()) == pytest.approx(0, abs=1e-6)


def test_a_shift_in_many_dimensions() -> None:
    x = normal(100, 20)
    shift = normal(20, seed=1)
    got = sliced_wasserstein(x, x + shift, generator=generator(), projections=20_000)
    assert got == pytest.approx(float(shift.norm()) / 20**0.5, rel=0.02)


def test_the_generator_alone_decides() -> None:
    x, y = normal(40, 9), normal(40, 9, seed=1)
    state = torch.get_rng_state()
    first = sliced_wasserstein(x, y, generator=generator(3))
    assert first == sliced_wasserstein(x, y, generator=generator(3))
    assert first != sliced_wasserstein(x, y, generator=generator(4))
    assert torch.equal(state, torch.get_rng_state())


def test_it_sees_a_collapsed_generator() -> None:
    x, fresh = normal(300, 16), normal(300, 16, seed=1)
    collapsed = fresh[:1].expand(300, -1)
    assert sliced_wasserstein(x, collapsed, generator=generator()) > 4 * sliced_wasserstein(
        x, fresh, generator=generator()
    )


def test_empty_sets_are_refused() -> None:
    with pytest.raises(BadValue, match="on both sides"):
        sliced_wasserstein(normal(4, 2), normal(0, 2), generator=generator())
