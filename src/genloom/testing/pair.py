"""Two processes that play one model's first steps together, over gloo. One spawned partner serves all cases."""

from __future__ import annotations

import atexit
import copy
import socket
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from genloom.engine.distributed import World

if TYPE_CHECKING:
    from genloom.testing.check import Case

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
    from genloom.testing.check import first_gradients

    return first_gradients(case, World(rank, 2))


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
