"""Which items a step draws."""

from __future__ import annotations

import torch

from genloom.engine.order import Order


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
