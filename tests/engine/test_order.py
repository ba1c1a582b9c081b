"""Which items a step draws."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genloom.engine.order import Order, permuted


def deal(order: Order, plays: int) -> list[list[int]]:
    return [order.indices(i).tolist() for i in range(plays)]


def test_every_epoch_deals_every_item_once() -> None:
    order = Order(10, 10, 4, seed=0, phase="p", keep_last=False)
    flat = [i for batch in deal(order, 5) for i in batch]
    assert sorted(flat[:10]) == list(range(10))
    assert sorted(flat[10:20]) == list(range(10))
    assert flat[:10] != flat[10:20]


def test_keep_last_deals_smaller_last_batches_as_a_data_loader_does() -> None:
    order = Order(10, 10, 4, seed=0, phase="p", keep_last=True)
    dealt = deal(order, 6)
    assert [len(b) for b in dealt] == [4, 4, 2, 4, 4, 2]
    assert sorted(i for batch in dealt[:3] for i in batch) == list(range(10))
    assert [order.items_before(i) for i in range(5)] == [0, 4, 8, 10, 14]


def test_any_draw_can_be_dealt_without_those_before() -> None:
    whole = deal(Order(37, 37, 8, 3, "p", False), 30)
    fresh = Order(37, 37, 8, 3, "p", False)
    assert fresh.indices(29).tolist() == whole[29]
    assert fresh.indices(7).tolist() == whole[7]


def test_phases_and_seeds_draw_differently() -> None:
    first = Order(100, 100, 50, 0, "critic", False).indices(0)
    assert not torch.equal(first, Order(100, 100, 50, 0, "generator", False).indices(0))
    assert not torch.equal(first, Order(100, 100, 50, 1, "critic", False).indices(0))


def test_windows_are_drawn_anew_each_time() -> None:
    order = Order(1000, 10, 16, 0, "p", False)
    assert order.windows
    assert len(order.indices(0)) == 16
    assert not torch.equal(order.indices(0), order.indices(1))
    assert torch.equal(order.indices(1), Order(1000, 10, 16, 0, "p", False).indices(1))


def test_a_batch_larger_than_the_data_wraps_around() -> None:
    flat = Order(3, 3, 8, 0, "p", False).indices(0)
    assert len(flat) == 8
    assert set(flat.tolist()) == {0, 1, 2}


def test_a_permutation_that_is_computed_holds_every_item_once_and_looks_like_chance() -> None:
    for n in (1, 2, 3, 1000, 4097):
        assert sorted(permuted(np.arange(n), n, 5).tolist()) == list(range(n)), n
    n = 100_000
    one, other = permuted(np.arange(n), n, 1), permuted(np.arange(n), n, 2)
    assert (one == other).sum() < 10
    assert (one == np.arange(n)).sum() < 10
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.02
    assert abs(np.corrcoef(one, np.arange(n))[0, 1]) < 0.02
    # in batches of 100 the number from the first tenth is binomial: mean 10, variance 9
    hits = (one < n // 10).reshape(-1, 100).sum(1)
    assert 8 < hits.var() < 10
    steps = np.bincount(np.diff(one) % 7, minlength=7)
    assert np.abs(steps - n / 7).max() < 5 * (n / 7) ** 0.5


@pytest.mark.parametrize("keep_last", [True, False])
def test_a_large_set_is_dealt_like_a_small_one(monkeypatch: pytest.MonkeyPatch, keep_last: bool) -> None:
    monkeypatch.setattr("genloom.engine.order.LARGE", 10)
    monkeypatch.setattr("genloom.engine.order._AHEAD", 25)
    order = Order(103, 103, 10, 7, "only", keep_last)
    drawn = [order.indices(play) for play in range(22)]
    first = torch.cat(drawn)[:103]
    assert sorted(first.tolist()) == list(range(103))
    assert not torch.equal(first, torch.cat(drawn)[103:206])
    assert len(order._permutation) <= 25
    again = Order(103, 103, 10, 7, "only", keep_last)
    assert all(torch.equal(again.indices(play), drawn[play]) for play in (21, 3, 10))
