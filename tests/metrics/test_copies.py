"""Copies are found, honest samples are left in peace, and silence without power is called inconclusive."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor

from genloom.errors import BadData, BadValue
from genloom.metrics import copies


def blobs(n: int, seed: int, side: int = 16) -> Tensor:
    """Pictures of three soft spots at random places, bytes (n, 1, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    at = torch.rand(n, 3, 2, generator=generator) * (side - 1)
    line = torch.arange(side, dtype=torch.float32)
    distance = (line[None, None, :, None] - at[:, :, 0, None, None]) ** 2
    distance = distance + (line[None, None, None, :] - at[:, :, 1, None, None]) ** 2
    light = torch.exp(-distance / 8).sum(1, keepdim=True).clamp(0, 1)
    return (255 * light).round().to(torch.uint8)


TRAIN, HELD_OUT = blobs(1000, 0), blobs(300, 1)


@pytest.fixture(scope="module")
def beside() -> copies.Reference:
    return copies.reference(HELD_OUT, TRAIN)


@pytest.fixture(scope="module")
def held_out(beside: copies.Reference) -> Tensor:
    return beside.honest[: len(HELD_OUT)]


def test_residuals_by_hand() -> None:
    x = blobs(4, 3)
    moved = torch.roll(x, (1, -2), (2, 3))
    pair = torch.stack([x, moved, 255 - x], 1).float()
    found = copies.residuals(x.float(), pair)
    assert (found[:, 0] < 1e-5).all()
    assert (found[:, 1] < 1e-3).all()  # but for the rows that were rolled in
    assert (found[:, 2] > 0.2).all()  # a negative is not a copy
    louder = (0.5 * x.float() + 30)[:, None]
    assert (copies.residuals(x.float(), louder) < 1e-5).all()
    flat = torch.full((1, 1, 16, 16), 7.0)
    assert copies.residuals(flat, flat[:, None]).item() == 1


@pytest.mark.parametrize("kind", [None, *copies.NEAR], ids=lambda k: k.__name__ if k else "verbatim")
def test_copies_score_below_nearly_all_held_out_items(kind, held_out: Tensor) -> None:
    made = TRAIN[:60] if kind is None else kind(TRAIN[:60], np.random.default_rng(0))
    assert kind is None or not torch.equal(made, TRAIN[:60])
    found = copies.scores(made, TRAIN)
    assert (found.score < held_out.quantile(0.01)).double().mean() > 0.9
    assert (found.index == torch.arange(60)).double().mean() > 0.9


def test_false_alarms_are_rare(held_out: Tensor) -> None:
    """200 honest models, whose samples are fresh items: at most 2% alarms."""
    fresh = copies.scores(blobs(600, 5), TRAIN).score
    pool = torch.cat([held_out, fresh])
    alarms = 0
    for seed in range(200):
        order = torch.randperm(len(pool), generator=torch.Generator().manual_seed(seed))
        alarms += copies.p_value(pool[order[300:]], pool[order[:300]])[0] < copies.LEVEL
    assert alarms <= 4


def test_the_p_value_is_exact_for_one_threshold() -> None:
    """With one threshold, the lowest held-out score: by counting all orders of 3 samples and 4 held-out items."""
    from itertools import combinations

    places = range(7)
    for below in range(4):
        samples = torch.tensor([*range(below), *range(10, 13 - below)], dtype=torch.float64)
        reference = torch.tensor([5.0, 6, 7, 8])
        hits = sum(sum(i < min(set(places) - set(mine)) for i in mine) >= below for mine in combinations(places, 3))
        expected = 1.0 if below == 0 else hits / 35
        assert copies.p_value(samples, reference, ranks=(0,))[0] == pytest.approx(expected)


def test_verdicts(beside: copies.Reference) -> None:
    honest = blobs(700, 7)
    clean = copies.judge(honest, TRAIN, beside)
    assert (clean.verdict, clean.verbatim, clean.near) == ("pass", True, True)
    assert clean.share[0] == 0
    mixed = torch.cat([honest[:660], copies.planted(TRAIN, 40, True, np.random.default_rng(3))])
    caught = copies.judge(mixed, TRAIN, beside)
    assert caught.verdict == "fail"
    assert caught.p < 1e-3
    assert caught.share[0] <= 40 / 700 <= caught.share[1]
    assert sum(i >= 660 for i, _, _ in caught.pairs) >= 10  # the worst pairs are the copies
    few = copies.judge(honest[:30], TRAIN, beside)
    assert few.verdict == "inconclusive"
    assert few.needed is not None
    assert few.needed > 30


def test_a_training_item_left_out_is_like_a_fresh_one() -> None:
    left_out = copies.scores(TRAIN, TRAIN, own=torch.arange(len(TRAIN))).score
    fresh = copies.scores(blobs(1000, 11), TRAIN).score
    assert ks_2samp(left_out.numpy(), fresh.numpy()).pvalue > 0.01
    assert left_out.min() > 1e-3


def test_smooth_and_noisy_samples_are_no_copies(beside: copies.Reference) -> None:
    """A model that blurs lies nearer to everything; one that adds noise further from everything. Neither recites."""
    honest = blobs(500, 9).float()
    blurred = torch.nn.functional.avg_pool2d(honest, 3, 1, 1)
    noisy = honest + 25 * torch.randn(honest.shape, generator=torch.Generator().manual_seed(0))
    for made in (blurred[:250], noisy[:250]):
        assert copies.judge(made.clamp(0, 255).to(torch.uint8), TRAIN, beside).verdict != "fail"


def test_repeated_training_items_do_not_hide_a_copy(held_out: Tensor) -> None:
    """The item that a model recites is often one that the data hold several times."""
    repeated = torch.cat([TRAIN, TRAIN[:1].repeat(5, 1, 1, 1)])
    assert copies.scores(TRAIN[:1], repeated).score.item() < held_out.min()


def test_colour_large_and_flat_pictures() -> None:
    colour = torch.randint(0, 256, (20, 3, 70, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert copies.small(colour).shape == (20, 3, 32, 18)
    assert (copies.scores(colour[:3], colour).score < 1e-3).all()
    flat = torch.full((12, 1, 3, 3), 9, dtype=torch.uint8)
    assert (copies.scores(flat, flat).score == 1).all()


def test_bad_input() -> None:
    with pytest.raises(BadData, match="shape"):
        copies.scores(TRAIN[:3], blobs(9, 0, side=8))
    with pytest.raises(BadValue, match="four training items"):
        copies.scores(TRAIN[:3], TRAIN[:2])
    with pytest.raises(BadValue, match="10 held-out"):
        copies.reference(TRAIN[:5], TRAIN)
    assert copies.samples_needed(1) is None
