"""Metrics on sets whose answer is known: by hand, in closed form, or by a slow and plain computation."""

from __future__ import annotations

import math

import pytest
import torch

from genloom.errors import BadData, BadValue
from genloom.metrics.density_coverage import density_coverage, density_coverage_results
from genloom.metrics.earth_mover import earth_mover
from genloom.metrics.inception_score import inception_score
from genloom.metrics.kernel_distance import kernel_distance, kernel_distance_result
from genloom.metrics.modes import count_modes, expected_modes, grid, mixture_modes, ring
from genloom.metrics.precision_recall import precision_recall
from genloom.metrics.similarity import psnr, ssim
from genloom.metrics.vendi import vendi_result, vendi_score


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain_mmd(x: torch.Tensor, y: torch.Tensor) -> float:
    """The U-statistic by its definition."""

    def kernel(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    def inside(z: torch.Tensor) -> float:
        pairs = [kernel(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j]
        return sum(pairs) / len(pairs)

    across = [kernel(a, b) for a in x for b in y]
    return inside(x) + inside(y) - 2 * sum(across) / len(across)


def test_kernel_distance_is_its_definition_in_any_blocks() -> None:
    x, y = normal(7, 3), normal(9, 3, seed=1) + 0.5
    found = kernel_distance(x, y, chunk=4)
    assert found.value == pytest.approx(plain_mmd(x, y), rel=1e-10)
    without = [plain_mmd(torch.cat([x[:i], x[i + 1 :]]), y) for i in range(7)]
    without_y = [plain_mmd(x, torch.cat([y[:i], y[i + 1 :]])) for i in range(9)]
    jack = sum((n - 1) / n * sum((v - sum(w) / n) ** 2 for v in w) for n, w in ((7, without), (9, without_y)))
    assert found.error == pytest.approx(math.sqrt(jack), rel=1e-8)


def test_kernel_distance_has_no_bias_and_its_interval_covers() -> None:
    """200 pairs of sets from two distributions; the truth from the kernel's moments, by a very large sample."""
    shift, n = 0.3, 120
    truth = kernel_distance(normal(6000, 4, seed=900), normal(6000, 4, seed=901) + shift).value
    found = [kernel_distance(normal(n, 4, seed=2 * i), normal(n, 4, seed=2 * i + 1) + shift) for i in range(200)]
    values = torch.tensor([f.value for f in found])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(200)
    assert torch.tensor([f.error for f in found]).mean() == pytest.approx(float(values.std()), rel=0.25)
    covered = sum(abs(f.value - truth) < 1.96 * f.error for f in found) / 200
    assert 0.85 <= covered <= 0.99
    result = kernel_distance_result(normal(30, 4), normal(40, 4, seed=1), features="f@1")
    assert (result.n, result.protocol["n_held_out"], result.better) == (40, 30, "lower")
    with pytest.raises(BadValue, match="three items"):
        kernel_distance(normal(2, 3), normal(9, 3))


def test_density_and_coverage_by_hand() -> None:
    """Real 0, 1, 3, 7 have radii 1, 1, 2, 4. The sample 2 lies on the edges of 1's ball and inside 3's; 20 in none."""
    real, fake = torch.tensor([[0.0], [1], [3], [7]]), torch.tensor([[2.0], [20]])
    assert density_coverage(real, fake, k=1) == (1.0, 0.5)
    assert density_coverage(real, real, k=1)[1] == 1.0
    same = torch.full((20, 3), 0.3)
    assert density_coverage(same, same, k=5) == (4.0, 1.0)  # each sample lies in all 20 balls: 20 / 5
    with pytest.raises(BadValue, match="more than k"):
        density_coverage(real, fake, k=4)


def test_outliers_fool_recall_but_not_coverage() -> None:
    """A model that makes one point only, and six samples from afar (Naeem et al. 2020, fig. 2)."""
    real = normal(400, 8)
    fake = torch.cat([0.01 * normal(394, 8, seed=1), 12 * normal(6, 8, seed=2)])
    assert precision_recall(real, fake)[1] > 0.5
    assert density_coverage(real, fake)[1] < 0.3
    density, coverage = density_coverage_results(real, fake, features="f@1")
    assert coverage.interval is not None
    assert coverage.interval[0] < coverage.value < coverage.interval[1]
    assert density.n == 400


def test_vendi_counts_what_differs() -> None:
    assert vendi_score(torch.eye(9)) == pytest.approx(9)
    assert vendi_score(torch.ones(30, 4)) == pytest.approx(1)
    clusters = torch.eye(5).repeat_interleave(20, 0)
    assert vendi_score(clusters) == pytest.approx(5)
    x = normal(40, 12)
    unit = x / x.norm(dim=1, keepdim=True)
    values = torch.linalg.eigvalsh(unit @ unit.T / 40).clamp_min(1e-300)
    assert vendi_score(x) == pytest.approx(float(torch.exp(-(values * values.log()).sum())), rel=1e-9)
    assert vendi_result(x, features="f", real=x).protocol["real"] == pytest.approx(vendi_score(x))
    with pytest.raises(BadData, match="all zero"):
        vendi_score(torch.zeros(3, 2))
    with pytest.raises(BadValue, match="equal n"):
        vendi_result(x, features="f", real=x[:5])


@pytest.mark.parametrize("scale", [1.0, 50.0, 150.0, 1e4])
def test_inception_score_is_finite_at_any_scale(scale: float) -> None:
    certain = scale * torch.eye(10).repeat(7, 1)
    expected = inception_score(certain)
    assert math.isfinite(expected)
    if scale >= 50:
        assert expected == pytest.approx(10, rel=1e-6)
    assert inception_score(torch.zeros(5, 10)) == pytest.approx(1)
    assert inception_score(certain[:1].repeat(30, 1)) == pytest.approx(1)


def test_earth_mover_by_hand() -> None:
    line = torch.tensor([[0.0, 0], [1, 0], [2, 0]])
    assert earth_mover(line, line[[2, 0, 1]]) == 0
    assert earth_mover(line, line + torch.tensor([3.0, 4])) == pytest.approx(5)
    assert earth_mover(line, line + torch.tensor([3.0, 4]), p=2) == pytest.approx(5)
    # one point against two: half of it travels 1, half 3
    assert earth_mover(torch.tensor([[0.0]]), torch.tensor([[1.0], [3.0]])) == pytest.approx(2)
    with pytest.raises(BadValue, match="equally many"):
        earth_mover(normal(300, 2), normal(200, 2))


def test_modes_of_ring_and_grid() -> None:
    centres = ring(8)
    assert centres.norm(dim=1) == pytest.approx(torch.ones(8, dtype=torch.float64))
    assert len(grid(5)) == 25
    half = centres[:4].repeat(10, 1) + 0.01 * normal(40, 2)
    found = mixture_modes(torch.cat([half, torch.full((40, 2), 9.0)]), centres, 0.02)
    assert (found.found, found.of) == (4, 8)
    assert found.quality == pytest.approx(0.5, abs=0.05)
    assert found.kl == pytest.approx(math.log(2), abs=0.02)
    assert count_modes(torch.arange(25), 25).kl == pytest.approx(0)
    assert math.isinf(mixture_modes(torch.full((4, 2), 9.0), centres, 0.02).kl)


def test_what_a_perfect_sampler_shows() -> None:
    """1,000 modes: 632 at n = 1,000, all at 25,600; and the divergence that simulation gives."""
    assert expected_modes(1000, 1000)[0] == pytest.approx(632.3, abs=0.1)
    assert expected_modes(25_600, 1000)[0] == pytest.approx(1000, abs=0.01)
    assert expected_modes(25_600, 1000)[1] == pytest.approx(999 / 51_200, rel=0.02)
    generator = torch.Generator().manual_seed(0)
    seen = [count_modes(torch.randint(50, (80,), generator=generator), 50) for _ in range(400)]
    modes, kl = expected_modes(80, 50)
    assert sum(s.found for s in seen) / 400 == pytest.approx(modes, rel=0.01)
    assert sum(s.kl for s in seen) / 400 == pytest.approx(kl, rel=0.02)


def test_psnr_and_ssim() -> None:
    x = torch.rand(2, 3, 24, 17, generator=torch.Generator().manual_seed(0))
    assert psnr(x, x, 1.0).isinf().all()
    assert psnr(x, x + 0.1, 1.0).tolist() == pytest.approx([20, 20])
    assert ssim(x, x, 1.0).tolist() == pytest.approx([1, 1])
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2)
    assert (ssim(x, blurred, 1.0) < ssim(x, x + 0.1, 1.0)).all()  # lost structure costs more than brightness
    # two constant pictures: only the luminance term is left
    a, b = torch.full((1, 1, 12, 12), 0.5), torch.full((1, 1, 12, 12), 0.25)
    assert float(ssim(a, b, 1.0)) == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4))
    assert ssim(x[..., :5, :4], x[..., :5, :4], 1.0).tolist() == pytest.approx([1, 1])
    with pytest.raises(BadData, match="one shape"):
        psnr(x, x[:1], 1.0)
