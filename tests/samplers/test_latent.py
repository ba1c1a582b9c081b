"""Paths through latent spaces."""

from __future__ import annotations

import torch

from genloom.samplers.latent import lerp, plane, slerp, walk


def _points(n: int) -> torch.Tensor:
    return torch.randn(n, 2, 8, generator=torch.Generator().manual_seed(0))


def test_arcs_begin_and_end_where_they_should() -> None:
    a, b = _points(3), _points(6)[3:]
    for path in (slerp(a, b, torch.tensor([0.0, 1.0])), lerp(a, b, torch.tensor([0.0, 1.0]))):
        assert path.shape == (2, 3, 2, 8)
        assert torch.allclose(path[0], a, atol=1e-5)
        assert torch.allclose(path[1], b, atol=1e-5)


def test_an_arc_stays_at_its_distance_from_the_origin() -> None:
    a, b = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    path = slerp(a, b, torch.linspace(0, 1, 5))
    assert torch.allclose(path.norm(dim=2), torch.full((5, 1), 2.0), atol=1e-5)
    assert torch.allclose(path[2, 0], torch.tensor([2**0.5, 2**0.5]), atol=1e-5)
    assert lerp(a, b, torch.tensor([0.5])).norm() < 1.5


def test_lengths_change_evenly() -> None:
    path = slerp(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]]), torch.linspace(0, 1, 3))
    assert torch.allclose(path.norm(dim=2)[:, 0], torch.tensor([1.0, 2.0, 3.0]), atol=1e-5)


def test_arcs_that_are_not_defined_are_straight() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[2.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    t = torch.tensor([0.25, 0.5])
    assert torch.allclose(slerp(a, b, t), lerp(a, b, t), atol=1e-4)


def test_walks() -> None:
    points = _points(4)
    path, loop = walk(points, 5), walk(points, 5, closed=True)
    assert path.shape == (16, 2, 8)
    assert loop.shape == (20, 2, 8)
    for i in range(4):
        assert torch.allclose(path[5 * i], points[i], atol=1e-5)
        assert torch.allclose(loop[5 * i], points[i], atol=1e-5)
    # The loop closes with a step no greater than its others on that leg.
    assert (loop[-1] - loop[0]).norm() < 1.5 * (loop[-2] - loop[-1]).norm()


def test_a_plane_is_even_by_probability() -> None:
    map_ = plane(10)
    assert map_.shape == (100, 2)
    assert torch.isfinite(map_).all()
    assert torch.allclose(map_.mean(0), torch.zeros(2), atol=1e-5)
    assert map_[0, 0] == map_[:, 0].min()
    assert map_[0, 1] == map_[:, 1].max()
    inside = (map_[:, 0].abs() < torch.distributions.Normal(0, 1).icdf(torch.tensor(0.75))).float().mean()
    assert inside == 0.4 or inside == 0.6 or inside == 0.5
