"""Two processes that play one model's first steps together, over gloo. One spawned partner serves all cases."""

from __future__ import annotations

import atexit
import copy
import socket
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from genloom.core import Batch
from genloom.engine.distributed import World
from genloom.engine.game import Moment
from genloom.testing.case import Case

_partners: dict[str, Any] = {}


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _join(rank: int, port: int) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)


def _work(port: int, inbox: Any, outbox: Any) -> None:
    torch.set_num_threads(1)
    _join(1, port)
    while (case := inbox.get()) is not None:
        try:
            _play(case, 1)
            outbox.put("")
        except Exception as e:
            outbox.put(repr(e))


def _play(case: Case, rank: int) -> dict[str, Tensor]:
    return first_gradients(case, World(rank, 2))


def first_gradients(case: Case, world: World) -> dict[str, Tensor]:
    """The gradient of every turn of the first step by "phase/parameter", averaged over processes; no weight moves."""
    model = case.build()
    game = case.game(model, world)
    turn, found = game.turn, {}

    def watch(phase: Any, batch: Batch, step: Any, moment: Moment) -> dict[str, float]:
        values = turn(phase, batch, step, moment)
        player = game.players[phase.player]
        grads = zip(player.names, player.parameters, strict=True)
        found.update({f"{phase.name}/{n}": p.grad.clone() for n, p in grads if p.grad is not None})
        return values

    game.turn = watch  # type: ignore[method-assign]
    model.train()
    game.step(Moment(0, 0.5, rate_scale=0.0))
    return found


def gradients_in_two(case: Case) -> dict[str, Tensor]:
    """The gradients of the first step, played by this process and its partner together."""
    if not _partners:
        context = mp.get_context("spawn")
        inbox, outbox, port = context.Queue(), context.Queue(), _free_port()
        process = context.Process(target=_work, args=(port, inbox, outbox), daemon=True)
        process.start()
        _join(0, port)
        _partners.update(inbox=inbox, outbox=outbox, process=process)
        atexit.register(_dismiss)
    # A copy: sending a tensor moves its memory, and numpy views of the original would look into nothing.
    _partners["inbox"].put(copy.deepcopy(case))
    gradients = _play(case, 0)
    if failure := _partners["outbox"].get(timeout=120):
        raise AssertionError(f"the second process failed: {failure}")
    return gradients


def _dismiss() -> None:
    _partners["inbox"].put(None)
    if dist.is_initialized():
        dist.destroy_process_group()
    _partners["process"].join(timeout=5)
