"""Tasks on given pictures: views and agreement, a Gaussian whose answers are known, and what does not fit."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadData, BadValue, NotFound
from genloom.samplers.restore import (
    TASKS,
    agreement,
    check_task,
    consistent,
    degrade,
    denoised,
    hole,
    noised_time,
    random_holes,
    started,
)
from genloom.samplers.solvers import solve

SHAPE = (3, 8, 8)
X = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("task", ["inpaint", "outpaint", "super-resolution", "colour"])
def test_agreement_gives_the_nearest_item_with_that_view(task: str) -> None:
    given = degrade(X, task)
    agree = agreement(task, given, SHAPE)
    other = torch.randn(X.shape, generator=torch.Generator().manual_seed(1))
    made = agree(other)
    view = degrade(made, task)
    known = given.isfinite()
    assert torch.allclose(view[known], given[known], atol=1e-5)
    assert torch.allclose(agree(made), made, atol=1e-5)  # a projection
    assert torch.allclose(agree(X), X, atol=1e-5)
    # what was added is orthogonal to every difference that the view does not see
    unseen = agree(other + 1.0 * (X - other)) - agree(other)
    assert abs(float(((made - other) * unseen).sum())) < 1e-3 * float((made - other).norm() * unseen.norm() + 1)


def gaussian_velocity(std: float):
    """The exact velocity of data N(0, std^2) on the straight path."""

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        s2 = std**2
        return x * ((t - (1 - t) * s2) / ((1 - t) ** 2 * s2 + t**2))

    return velocity


def test_what_is_given_stays_and_the_rest_has_the_datas_spread() -> None:
    std, n = 0.5, 3000
    x = std * torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    given = degrade(x, "inpaint")
    field = consistent(gaussian_velocity(std), agreement("inpaint", given, (1, 4, 4)))
    noise = torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    made = solve("adams", field, noise, evaluations=40)
    known = given.isfinite()
    assert torch.allclose(made[known], x[known], atol=0.02)
    assert float(made[~known].std()) == pytest.approx(std, rel=0.05)


def test_denoising_is_the_posterior_mean() -> None:
    std, sigma = 0.5, 0.4
    x = std * torch.randn(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    noisy = degrade(x, "denoise", sigma=sigma, noise=torch.randn(x.shape, generator=torch.Generator().manual_seed(1)))
    assert noised_time(1.0) == 0.5
    assert torch.allclose(
        denoised(gaussian_velocity(std), noisy, sigma), noisy * std**2 / (std**2 + sigma**2), atol=1e-5
    )


def test_holes_are_of_the_share_asked() -> None:
    assert float(hole((1, 40, 40), "inpaint", 0.25).float().mean()) == pytest.approx(0.25)
    outside = hole((1, 40, 40), "outpaint", 0.5)
    assert float(outside.float().mean()) == pytest.approx(0.5, abs=0.02)
    assert outside[0, 0]
    assert not outside[20, 20]


def test_random_holes_leave_something_and_hide_something() -> None:
    masks = random_holes(64, (3, 16, 12), torch.rand(64, 4, generator=torch.Generator().manual_seed(0)))
    assert masks.shape == (64, 1, 16, 12)
    shares = masks.float().mean((1, 2, 3))
    assert float(shares.min()) > 0
    assert float(shares.max()) < 1
    assert len({tuple(m.flatten().tolist()) for m in masks}) > 60


def test_sdedit_begins_between_picture_and_noise() -> None:
    noise = torch.randn(X.shape)
    assert torch.equal(started(X, 1.0, noise), noise)
    assert torch.allclose(started(X, 0.25, noise), 0.75 * X + 0.25 * noise)
    with pytest.raises(BadValue, match="above 0 and up to 1, got 0"):
        started(X, 0, noise)


def test_what_does_not_fit_is_said() -> None:
    assert [check_task(t) for t in TASKS] == list(TASKS)
    with pytest.raises(NotFound, match="inpaint"):
        check_task("inpant")
    with pytest.raises(BadValue, match="mask measures 4x4, and the picture 8x8"):
        degrade(X, "inpaint", mask=torch.zeros(4, 4, dtype=torch.bool))
    with pytest.raises(BadValue, match="factor 3"):
        degrade(X, "super-resolution", factor=3)
    with pytest.raises(BadData, match="colour needs"):
        agreement("colour", X[:, :1], (1, 8, 8))
    with pytest.raises(BadData, match="whole fractions"):
        agreement("super-resolution", torch.zeros(1, 3, 3, 3), SHAPE)
