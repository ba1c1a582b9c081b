"""What a finished autoencoder remembers of its codes: their mean and spread."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from genloom.errors import BadData


class LatentStatistics(nn.Module):
    """Mean and standard deviation of every number of codes (c, h, w); 0 and 1 until they are measured."""

    mean: Tensor
    deviation: Tensor
    measured: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))
        self.register_buffer("measured", torch.zeros((), dtype=torch.bool))

    @torch.no_grad()
    def measure(self, codes: Iterable[Tensor]) -> None:
        """Takes both from codes (B, c, h, w), in one pass in double precision."""
        count, total, squares = 0, torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
        for code in codes:
            code = code.double()
            count, total, squares = count + len(code), total + code.sum(0), squares + code.square().sum(0)
        if count:
            mean = total / count
            self.mean.copy_(mean)
            self.deviation.copy_((squares / count - mean.square()).clamp_min(1e-12).sqrt())
            self.measured.fill_(True)

    def scale(self, who: str) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel, over items and places, (c,) each. Raises BadData before `measure`."""
        if not bool(self.measured):
            raise BadData(
                f"this {who} was stopped before its end, and has not measured its codes: go on with "
                "`genloom train --resume RUN` until it is finished"
            )
        mean = self.mean.mean((1, 2))
        variance = (self.deviation.square() + (self.mean - mean[:, None, None]).square()).mean((1, 2))
        return mean, variance.sqrt().clamp_min(1e-6)
