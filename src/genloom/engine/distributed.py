"""Several processes that train as one. The only file that imports torch.distributed.

Each phase's gradients are flattened and averaged once, after backward. This is right for any number of players and for
second-order penalties, where the usual wrapper that hooks into backward is silently wrong (pytorch#47562).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from genloom.errors import BadValue


class _Gather(torch.autograd.Function):
    """All processes' rows, one after another; backward sums what every process's loss says about our rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: tuple[int, ...], rank: int) -> Tensor:
        ctx.sizes, ctx.rank = sizes, rank
        parts = [x.new_empty(size, *x.shape[1:]) for size in sizes]
        dist.all_gather(parts, x.contiguous()) if len(set(sizes)) == 1 else _gather_uneven(parts, x, rank)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        total = grads[0].contiguous()
        dist.all_reduce(total)
        start = sum(ctx.sizes[: ctx.rank])
        return total[start : start + ctx.sizes[ctx.rank]], None, None


def _gather_uneven(parts: list[Tensor], x: Tensor, rank: int) -> None:
    for source, part in enumerate(parts):
        if source == rank:
            part.copy_(x.detach())
        dist.broadcast(part, source)


class World:
    """The processes of this run; alone, every operation returns at once what it was given."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @staticmethod
    def join(device: torch.device) -> World:
        """The world that torchrun started us in, or this process alone."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1:
            return World()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return World(dist.get_rank(), dist.get_world_size())

    def leave(self) -> None:
        """Ends the process group, if there is one."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def rows(self, total: int) -> tuple[int, int, int]:
        """(start, stop, total): this process's rows of a global batch. Raises BadValue where there are too few."""
        if total < self.size:
            raise BadValue(f"a batch of {total} items cannot feed {self.size} processes: raise --train.batch")
        return (total * self.rank // self.size, total * (self.rank + 1) // self.size, total)

    def gather(self, x: Tensor, total: int) -> Tensor:
        """All rows of a tensor whose rows are shared out as `rows(total)` says; differentiable."""
        if self.size == 1:
            return x
        sizes = tuple(total * (r + 1) // self.size - total * r // self.size for r in range(self.size))
        return _Gather.apply(x, sizes, self.rank)

    def average_gradients(self, parameters: Sequence[Tensor], weight: float) -> None:
        """Replaces gradients by the mean over processes, each weighted by its share of the batch (weight: rows * size
        / total). A parameter without gradient here counts as zero, so that all processes send the same amount."""
        if self.size == 1:
            return
        flat = torch.cat(
            [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1).float() for p in parameters]
        ).mul_(weight / self.size)
        dist.all_reduce(flat)
        for p, g in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = g.view_as(p).to(p.dtype)

    def agree(self, values: Sequence[float]) -> list[float]:
        """The lead process's numbers, in every process."""
        if self.size == 1:
            return list(values)
        t = torch.tensor(values, dtype=torch.float64)
        dist.broadcast(t, 0)
        return t.tolist()

    def agree_text(self, text: str) -> str:
        """The lead process's text, in every process."""
        if self.size == 1:
            return text
        length = int(self.agree([len(text.encode())])[0])
        t = torch.zeros(length, dtype=torch.uint8)
        if self.leads:
            t.copy_(torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8))
        dist.broadcast(t, 0)
        return bytes(t.tolist()).decode()

    def any(self, flag: bool) -> bool:
        """Whether the flag is up in any process."""
        if self.size == 1:
            return flag
        t = torch.tensor([float(flag)])
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
        return bool(t.item())

    def mean(self, values: Sequence[float], weight: float) -> list[float]:
        """Means over processes of some numbers, each weighted by its share of the batch (see average_gradients)."""
        if self.size == 1:
            return list(values)
        t = torch.tensor(values, dtype=torch.float64) * weight / self.size
        dist.all_reduce(t)
        return t.tolist()

    def barrier(self) -> None:
        """Waits for all."""
        if self.size > 1:
            dist.barrier()
