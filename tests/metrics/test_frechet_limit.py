"""FD without bias: what it extrapolates to is known for Gaussians, and how often its interval holds the truth."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from genloom.errors import BadValue
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.frechet_limit import enough, frechet_limit, frechet_limit_result


def draws(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0, heavy: bool = False) -> Tensor:
    """Independent rows of mean `shift` and standard deviation `scale`; heavy: a Laplace law instead of a Gaussian."""
    generator = torch.Generator().manual_seed(seed)
    if not heavy:
        return torch.randn(n, d, generator=generator) * scale + shift
    u = torch.rand(n, d, generator=generator) - 0.5
    return -u.sign() * torch.log1p(-2 * u.abs().clamp_max(0.4999999)) / math.sqrt(2) * scale + shift


@pytest.mark.parametrize(
    ("shift", "scale", "heavy"),
    [(0.0, 1.0, False), (0.1, 1.0, False), (0.2, 1.2, False), (0.3, 0.7, True), (0.0, 1.0, True)],
    ids=["equal", "near", "apart", "heavy tails", "heavy and equal"],
)
def test_it_is_unbiased_and_its_interval_covers(shift: float, scale: float, heavy: bool) -> None:
    d, n, m, trials = 12, 600, 400, 300
    truth = d * shift**2 + d * (1 - scale) ** 2
    found = [
        frechet_limit(draws(n, d, 2 * i, shift, scale, heavy), draws(m, d, 2 * i + 1, heavy=heavy))
        for i in range(trials)
    ]
    values = torch.tensor([f.value for f in found])
    spread = float(values.std())
    assert abs(float(values.mean()) - truth) < 0.1 * spread + 4 * spread / math.sqrt(trials)
    covered = sum(abs(f.value - truth) <= 1.96 * f.error for f in found) / trials
    assert 0.90 <= covered <= 0.995, covered  # 85 to 99 % is asked for; 300 trials err by 2.5 %
    plain = sum(frechet_distance(draws(n, d, 2 * i), draws(m, d, 2 * i + 1)) for i in range(20)) / 20
    assert plain > 0.1, "the plain distance of equal laws is biased, or this test shows nothing"


def test_it_does_not_depend_on_n_where_the_plain_distance_does() -> None:
    y = draws(4_000, 8, 1)
    small, large = draws(200, 8, 2, 0.2), draws(4_000, 8, 3, 0.2)
    assert frechet_distance(small, y) > 1.3 * frechet_distance(large, y)
    found = frechet_limit(small, y)
    assert abs(found.value - 8 * 0.04) < 3 * found.error


def test_the_influences_are_the_derivative() -> None:
    x, y = draws(300, 4, 0, 0.3, 1.3).double(), draws(200, 4, 1).double()
    found = frechet_limit(x, y)
    assert float(found.influence_x.mean()) == pytest.approx(0, abs=1e-9)
    for row in (0, 7, 100):  # without one item the distance moves by its influence over n
        rest = torch.cat([x[:row], x[row + 1 :]])
        moved = frechet_distance(x, y) - frechet_distance(rest, y)
        assert moved * len(x) == pytest.approx(float(found.influence_x[row]), abs=0.15)


def test_features_that_never_vary_do_no_harm() -> None:
    x, y = draws(300, 6, 0), draws(300, 6, 1)
    x[:, 5], y[:, 5] = 0.0, 0.0
    found = frechet_limit(x, y)
    assert math.isfinite(found.value)
    assert 0 < found.error < 1
    x[:, 4] = 0.0  # samples lack what real items have
    assert frechet_limit(x, y).value == pytest.approx(1, abs=0.5)


def test_too_few_items_are_refused() -> None:
    assert not enough(50, 1_000, 8)
    with pytest.raises(BadValue, match="needs 64 items on each side, got 50 and 1000"):
        frechet_limit(draws(50, 8, 0), draws(1_000, 8, 1))


def test_the_result_says_how() -> None:
    result = frechet_limit_result(draws(300, 4, 0), draws(200, 4, 1), features="toy@1", floor=0.01)
    assert result.key == "fd_inf"
    assert result.name == "FD_inf(toy@1)"
    assert result.n == 200
    assert result.floor == 0.01
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]
    assert "delta method" in result.protocol["interval"]
