"""The network that draws: an exact density, ends, temperatures, what it refuses."""

from __future__ import annotations

import math

import pytest
import torch

from genloom.core import Field, Sampling, Step
from genloom.errors import BadData, BadValue
from genloom.modalities.strokes import counts
from genloom.models.autoregressive.stroke_rnn import StrokeRNN, StrokeRNNConfig
from genloom.testing import fake_strokes

SMALL = StrokeRNNConfig(width=16, components=3)
DATA = fake_strokes()


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(grain: float = 0.0) -> StrokeRNN:
    torch.manual_seed(0)
    field = DATA.spec["strokes"]
    return StrokeRNN(SMALL, {"strokes": Field("strokes", field.shape, field.range, grain=grain)}).eval()


def test_what_follows_the_end_does_not_count() -> None:
    model, items = made(), DATA.train.batch(torch.arange(8))["strokes"]
    long = torch.cat((items, items.new_tensor([0.0, 0.0, 2.0]).expand(8, 5, 3)), 1)
    torch.testing.assert_close(
        model.nll({"strokes": items}, generator=generator()), model.nll({"strokes": long}, generator=generator())
    )
    place, pen, length = model.surprise(items)
    assert torch.equal(length, counts(items))
    assert ((place != 0).sum(1) == length).all()
    assert ((pen != 0).sum(1) == length + 1).all()


def test_probabilities_of_the_next_place_add_up_to_one() -> None:
    """The density of the second movement, on a fine grid, for a given first one and pen."""
    model = made()
    side = torch.linspace(-8, 8, 161)
    grid = torch.cartesian_prod(side, side)
    items = torch.zeros(len(grid), 3, 3)
    items[:, 0] = torch.tensor([0.7, -0.3, 0.0])
    items[:, 1, :2] = grid
    items[:, 2, 2] = 2.0
    with torch.no_grad():
        place, _, _ = model.surprise(items)
    assert float((-place[:, 1]).exp().sum() * 0.1**2) == pytest.approx(1.0, abs=0.02)


def test_whole_numbers_are_spread_over_their_unit() -> None:
    """A finer grain costs log of its size for each of two coordinates and movement."""
    batch = {"strokes": DATA.train.batch(torch.arange(8))["strokes"]}
    fine, finer = (made(g).nll(batch, generator=generator()) for g in (1e-4, 1e-5))
    expected = 2 * counts(batch["strokes"]) * math.log(10)
    torch.testing.assert_close(finer - fine, expected, atol=1e-2, rtol=1e-3)


def test_the_loss_is_the_likelihood() -> None:
    model, items = made(), DATA.train.batch(torch.arange(4))["strokes"]
    loss = model.loss(model.phases()[0], {"strokes": items}, Step(seed=0, rows=(0, 4, 4)))
    nll = model.nll({"strokes": items}, generator=generator())
    torch.testing.assert_close(loss.total, nll.mean() / items.shape[1])
    per = (loss.parts["place"] + loss.parts["pen"]) * counts(items).sum()
    torch.testing.assert_close(per, nll.sum())


def test_drawings_end_and_stay_ended() -> None:
    items = made().sample(20, generator=generator(1))["strokes"]
    assert items.shape == (20, *DATA.spec["strokes"].shape)
    for item, count in zip(items, counts(items), strict=True):
        assert torch.equal(item[count:], item.new_tensor([0.0, 0.0, 2.0]).expand(len(item) - count, 3))
        assert torch.isin(item[:count, 2], torch.tensor([0.0, 1.0])).all()
    assert counts(made().sample(4, options=Sampling(length=3), generator=generator())["strokes"]).max() <= 3


def test_a_lower_temperature_draws_nearer_to_the_middle() -> None:
    def spread(temperature: float) -> float:
        drawn = made().sample(64, options=Sampling(temperature=temperature), generator=generator())["strokes"]
        return float(drawn[:, 0, :2].std(0).mean())

    assert spread(0.0) < 1e-6 < spread(0.1) < spread(1.0)


def test_errors() -> None:
    with pytest.raises(BadValue, match="temperature"):
        made().sample(1, options=Sampling(temperature=-1.0), generator=generator())
    with pytest.raises(BadValue, match="components"):
        StrokeRNN(StrokeRNNConfig(components=0), DATA.spec)
    with pytest.raises(BadData, match="strokes"):
        StrokeRNN(SMALL, {"image": Field("image", (1, 8, 8))})
