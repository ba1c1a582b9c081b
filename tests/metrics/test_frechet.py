"""Known answers of the Frechet distance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.metrics.frechet import frechet_distance, frechet_from_moments, moments, trace_sqrt_product


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(200, 8), (6, 30)], ids=["n>d", "n<d"])
def test_a_set_has_distance_zero_to_itself(shape: tuple[int, int]) -> None:
    x = normal(*shape)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]) < 1e-9


@pytest.mark.parametrize("shape", [(200, 8), (6, 30)], ids=["n>d", "n<d"])
def test_a_shift_costs_its_squared_length(shape: tuple[int, int]) -> None:
    x, shift = normal(*shape), normal(shape[1], seed=1)
    assert frechet_distance(x, x + shift) == pytest.approx(float(shift.square().sum()), rel=1e-9)


def test_commuting_covariances() -> None:
    """S1 and S2 with the same eigenvectors: the sum of (sqrt a - sqrt b)^2 over their eigenvalues."""
    q = torch.linalg.qr(normal(7, 7)).Q
    a, b = normal(7, seed=1).square() + 0.1, normal(7, seed=2).square() + 0.1
    zero = torch.zeros(7)
    got = frechet_from_moments(zero, (q * a) @ q.T, zero, (q * b) @ q.T)
    assert got == pytest.approx(float((a.sqrt() - b.sqrt()).square().sum()), rel=1e-10)


def test_general_covariances_agree_with_the_matrix_square_root() -> None:
    """Against a route that shares no code: eigenvalues of the product itself, which is not symmetric."""
    s1, s2 = moments(normal(50, 6))[1], moments(normal(50, 6, seed=1) @ normal(6, 6, seed=2))[1]
    expected = np.sqrt(np.linalg.eigvals(s1.numpy() @ s2.numpy()).real).sum()
    assert float(trace_sqrt_product(s1, s2)) == pytest.approx(float(expected), rel=1e-10)


def test_singular_covariances_stay_real() -> None:
    """Features that never fire make Cholesky fail; the answer is that of the other dimensions."""
    x, y = normal(100, 5), normal(100, 5, seed=1) * 1.5
    dead = torch.zeros(100, 3)
    assert frechet_distance(torch.cat([x, dead], 1), torch.cat([y, dead], 1)) == pytest.approx(
        frechet_distance(x, y), abs=1e-6
    )


def test_the_dual_for_few_items_equals_the_primal() -> None:
    x, y = normal(20, 40), normal(25, 40, seed=1) * 2 + 1
    assert frechet_distance(x, y) == pytest.approx(frechet_from_moments(*moments(x), *moments(y)), rel=1e-6)


def test_a_large_offset_does_not_cost_precision() -> None:
    x, y = normal(300, 4), normal(300, 4, seed=1) * 1.2
    assert frechet_distance(x + 1e6, y + 1e6) == pytest.approx(frechet_distance(x, y), abs=1e-6)


def test_arrays_and_symmetry() -> None:
    x, y = normal(60, 4), normal(80, 4, seed=1) + 1
    assert frechet_distance(x.numpy(), y.numpy()) == pytest.approx(frechet_distance(y, x), rel=1e-10)


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    x = normal(10, 3)
    with pytest.raises(BadValue, match="two items"):
        frechet_distance(x[:1], x)
    with pytest.raises(BadData, match="3 and 2 dimensions"):
        frechet_distance(x, x[:, :2])
    with pytest.raises(BadData, match="1 of 10 rows"):
        frechet_distance(torch.where(torch.arange(10)[:, None] == 4, torch.nan, x), x)
    with pytest.raises(BadData, match="matrix"):
        frechet_distance(x[0], x)
