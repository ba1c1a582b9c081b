"""Schedules, Muon, and optimizer state by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from genloom.core import Optimizer, Player
from genloom.engine.optim import Muon, PlayerOptimizer, betas, learning_rate, orthogonalise
from genloom.errors import Damaged


def test_a_schedule_warms_up_holds_and_reaches_its_end() -> None:
    o = Optimizer(warmup=0.1, hold=0.5, decay="linear", final=0.0)
    assert learning_rate(o, 0.0) == 0.0
    assert learning_rate(o, 0.05) == pytest.approx(0.5)
    assert learning_rate(o, 0.3) == 1.0
    assert learning_rate(o, 0.75) == pytest.approx(0.5)
    assert learning_rate(o, 1.0) == pytest.approx(0.0)


def test_a_cosine_to_a_quarter() -> None:
    o = Optimizer(warmup=0.0, decay="cosine", final=0.25)
    assert learning_rate(o, 0.0) == 1.0
    assert learning_rate(o, 0.5) == pytest.approx(0.625)
    assert learning_rate(o, 1.0) == pytest.approx(0.25)


def test_constant_stays_and_betas_move() -> None:
    o = Optimizer(warmup=0.0, decay="constant", betas=(0.0, 0.9), betas_end=(0.0, 0.99))
    assert {learning_rate(o, p / 10) for p in range(11)} == {1.0}
    assert betas(o, 0.0) == (0.0, 0.9)
    assert betas(o, 0.5) == pytest.approx((0.0, 0.945))
    assert betas(o, 1.0) == pytest.approx((0.0, 0.99))


@pytest.mark.parametrize("shape", [(3, 12, 12), (2, 8, 32), (2, 32, 8)])
def test_orthogonalise_makes_singular_values_near_one(shape: tuple[int, ...]) -> None:
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalise(g).float())
    assert values.min() > 0.3
    assert values.max() < 1.3
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    agreement = torch.nn.functional.cosine_similarity(orthogonalise(g).flatten(), (u @ v).flatten(), dim=0)
    assert agreement > 0.95


def test_muon_lowers_a_quadratic() -> None:
    torch.manual_seed(0)
    w, target = nn.Parameter(torch.zeros(8, 8)), torch.randn(8, 8)
    optimizer = Muon([w], lr=0.1)
    losses = []
    for _ in range(60):
        loss = (w - target).square().sum()
        w.grad = None
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.inner, self.head = nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 2)


def test_muon_takes_inner_matrices_and_leaves_tables_head_and_vectors() -> None:
    net = Net()
    player = PlayerOptimizer(net, Player("p", ("*",), Optimizer("muon", muon_skips=("head.*",))))  # type: ignore[arg-type]
    (_, _), (muon, _) = player.parts
    assert [p is net.inner.weight for g in muon.param_groups for p in g["params"]] == [True]


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_state_goes_through_names_and_back(name: str) -> None:
    def steps(net: nn.Module, player: PlayerOptimizer, count: int) -> None:
        for i in range(count):
            player.zero_grad()
            x = torch.arange(5)
            net.head(net.inner(net.table(x))).sin().sum().backward()
            player.step(0.5 + 0.01 * i)

    torch.manual_seed(0)
    net = Net()
    player = PlayerOptimizer(net, Player("p", ("*",), Optimizer(name)))  # type: ignore[arg-type]
    steps(net, player, 2)
    again = Net()
    again.load_state_dict(net.state_dict())
    other = PlayerOptimizer(again, Player("p", ("*",), Optimizer(name)))  # type: ignore[arg-type]
    other.load({k: v.clone() for k, v in player.state().items()})
    steps(net, player, 2)
    steps(again, other, 2)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_state_of_another_network_is_refused() -> None:
    player = PlayerOptimizer(Net(), Player("p", ("*",), Optimizer()))  # type: ignore[arg-type]
    with pytest.raises(Damaged, match="another model's"):
        player.load({"p/elsewhere/exp_avg": torch.zeros(3)})


def test_clipping_scales_to_the_norm_and_reports_it() -> None:
    net = Net()
    player = PlayerOptimizer(net, Player("p", ("inner.weight",), Optimizer(clip=1.0)))  # type: ignore[arg-type]
    net.inner.weight.grad = torch.full((4, 4), 3.0)
    assert player.clip() == pytest.approx(12.0)
    assert net.inner.weight.grad.norm().item() == pytest.approx(1.0)
    net.inner.weight.grad[0, 0] = float("nan")
    assert player.clip() != player.clip()
