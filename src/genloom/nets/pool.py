"""The newest pictures of a run, kept in the model: what a judge is shown again, what samples are made of."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Pool(nn.Module):
    """A ring of up to `size` pictures (C, H, W): the newest take the places of the oldest. State, not parameters."""

    pictures: Tensor
    seen: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("pictures", torch.zeros(size, *shape))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.seen), len(self.pictures))

    @torch.no_grad()
    def put(self, x_BCHW: Tensor) -> None:
        """Takes in pictures; of more than there is room for, the last."""
        newest = x_BCHW[-len(self.pictures) :]
        at = (self.seen + torch.arange(len(newest), device=self.seen.device)) % len(self.pictures)
        self.pictures[at] = newest.to(self.pictures.dtype)
        self.seen.add_(len(newest))

    def at(self, u_B: Tensor) -> Tensor:
        """A picture for each uniform number in [0, 1); zeros before any was put in."""
        return self.pictures[(u_B * len(self)).long().clamp(max=len(self.pictures) - 1)]

    def newest(self, rows: Tensor, total: int) -> Tensor:
        """Of the last `total` pictures put in, those of these rows."""
        total = min(total, len(self.pictures))
        return self.pictures[(self.seen - total + rows.to(self.seen.device) % total) % len(self.pictures)]
