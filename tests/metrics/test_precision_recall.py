"""Hand-made sets with known precision and recall, ties included."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.metrics.precision_recall import precision_recall, precision_recall_results, radii, squared_distances


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_radii_by_hand() -> None:
    x = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert radii(x, 1).tolist() == [1, 1, 4, 16]
    assert radii(x, 2, chunk=3).tolist() == [9, 4, 9, 36]


def test_distances_agree_with_cdist() -> None:
    x, y = normal(30, 5), normal(40, 5, seed=1)
    assert torch.allclose(squared_distances(x, y), torch.cdist(x, y).square(), atol=1e-5)


def test_precision_and_recall_by_hand() -> None:
    """Real 0, 1, 2, 3 have radius 1; of the fakes .5 and 3.5 lie inside, 9 and 9.5 do not. The fakes' radii are
    3, 5.5, .5, .5: .5 covers 0 to 3.5 and so all real items."""
    real, fake = torch.tensor([[0.0], [1], [2], [3]]), torch.tensor([[0.5], [3.5], [9], [9.5]])
    assert precision_recall(real, fake, k=1) == (0.5, 1.0)


def test_equal_sets_score_one_even_where_all_items_are_equal() -> None:
    """A strict comparison gives 0 here: every distance and every radius is 0."""
    same = torch.full((20, 3), 0.3)
    assert precision_recall(same, same) == (1.0, 1.0)
    x = normal(200, 16) + 100
    assert precision_recall(x, x.clone()) == (1.0, 1.0)


def test_grid_points_at_exactly_the_radius_are_inside() -> None:
    real = torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0))
    assert precision_recall(real + 50, real + torch.tensor([51.0, 50.0]), k=2)[0] == 1.0


def test_far_away_scores_zero_and_collapse_loses_recall_only() -> None:
    x = normal(300, 8)
    assert precision_recall(x, x + 1000) == (0.0, 0.0)
    precision, recall = precision_recall(x, 0.01 * normal(300, 8, seed=1))
    assert precision > 0.9
    assert recall < 0.05


def test_chunks_do_not_matter() -> None:
    x, y = normal(100, 6), normal(90, 6, seed=1) * 1.3
    assert precision_recall(x, y, chunk=7) == precision_recall(x, y, chunk=1000)


def test_roles() -> None:
    """Precision of one direction is recall of the other."""
    x, y = normal(100, 6), normal(90, 6, seed=1) * 1.5
    assert precision_recall(x, y) == precision_recall(y, x)[::-1]


def test_results_state_their_protocol() -> None:
    precision, recall = precision_recall_results(normal(60, 4), normal(50, 4, seed=1), features="toy@0123")
    assert (precision.n, recall.n) == (50, 60)
    assert precision.name == "precision(toy@0123)"
    assert precision.protocol["k"] == 5
    assert precision.interval is not None
    assert precision.interval[0] <= precision.value <= precision.interval[1]


def test_too_few_items() -> None:
    with pytest.raises(BadValue, match="more than k items"):
        precision_recall(normal(5, 2), normal(50, 2))
