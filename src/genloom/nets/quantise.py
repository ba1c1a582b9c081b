"""From continuous maps to codes that can be counted, and back: a codebook that follows its latents, and finite scalars.

Maps are (B, c, h, w), codes int64 (B, h, w). Gradients pass straight through the rounding (Bengio et al. 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadValue


def through(latent: Tensor, quantised: Tensor) -> Tensor:
    """The quantised values, with the gradient of the continuous ones."""
    return latent + (quantised - latent).detach()


class Codebook(nn.Module):
    """`size` vectors of `width` numbers; each is the moving mean of the latents nearest to it (van den Oord et al.
    2017, arXiv:1711.00937, appendix A.1). No gradient and no optimizer: `follow` moves it after a step.

    A vector that hardly any latent is nearest to is dead; it is put where a latent of the batch lies (as in Dhariwal et
    al. 2020, arXiv:2005.00341, section 3.1). Before the first step all are dead.
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(self, size: int, width: int, decay: float, alive: float) -> None:
        super().__init__()
        self.size, self.decay, self.alive = size, decay, alive
        self.register_buffer("vectors", torch.randn(size, width, generator=torch.Generator().manual_seed(0)))
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("sums", torch.zeros(size, width))

    def nearest(self, latent: Tensor) -> Tensor:
        """The codes of maps, int64 (B, h, w)."""
        rows = latent.detach().float().movedim(1, -1)
        flat = rows.reshape(-1, rows.shape[-1])
        # |v|^2 - 2 x v: the distance without what is the same for all vectors
        score = torch.addmm(self.vectors.square().sum(1)[None], flat, self.vectors.T, alpha=-2.0)
        return score.argmin(1).view(rows.shape[:-1])

    def look_up(self, codes: Tensor) -> Tensor:
        """The vectors of codes, as maps (B, c, h, w)."""
        return F.embedding(codes, self.vectors).movedim(-1, 1)

    def _tally(self, latent: Tensor, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        flat = latent.float().movedim(1, -1).reshape(-1, latent.shape[1])
        counts = torch.bincount(codes.flatten(), minlength=self.size).to(flat.dtype)
        return flat, counts, torch.zeros_like(self.sums).index_add_(0, codes.flatten(), flat)

    @torch.no_grad()
    def follow(self, latent: Tensor, codes: Tensor, generator: torch.Generator) -> None:
        """One step of the moving means, then new places for the dead."""
        flat, counts, sums = self._tally(latent, codes)
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        # A vector counts as dead when it gets less than `alive` of an even share.
        even = len(flat) / self.size
        dead = self.counts < self.alive * even
        if bool(dead.any()):
            drawn = torch.randint(len(flat), (int(dead.sum()),), generator=generator, device=flat.device)
            self.sums[dead] = flat[drawn] * even
            self.counts[dead] = even
        alive = self.counts > 1e-6  # the means of a vector that nothing has chosen for long are rounding noise
        self.vectors[alive] = self.sums[alive] / self.counts[alive, None]

    @torch.no_grad()
    def settle(self, latents: Iterable[Tensor]) -> Tensor:
        """Moves every vector to the mean of all latents nearest to it; returns how many each had, (size,)."""
        total, sums = torch.zeros_like(self.counts), torch.zeros_like(self.sums)
        for latent in latents:
            _, counts, added = self._tally(latent, self.nearest(latent))
            total += counts
            sums += added
        used = total > 0
        self.vectors[used] = sums[used] / total[used][:, None]
        return total


class FiniteScalars(nn.Module):
    """Each of c numbers is bounded and rounded to one of a few levels; a code is their combination (FSQ: Mentzer et al.
    2023, arXiv:2309.15505). Nothing is learnt, and no code can die. levels: 2 or more for each of the c numbers."""

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise BadValue(
                f"--config.levels: expected two or more levels for each number, such as 8,5,5,5, got {levels}"
            )
        self.levels, self.size = levels, math.prod(levels)
        steps = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("count", torch.tensor(levels)[:, None, None], persistent=False)
        self.register_buffer("step", torch.tensor(steps)[:, None, None], persistent=False)

    count: Tensor
    step: Tensor

    def bounded(self, latent: Tensor) -> Tensor:
        """Any number to one between 0 and levels - 1, smoothly; rounding it gives the level."""
        return (torch.tanh(latent.float()) + 1) / 2 * (self.count - 1)

    def nearest(self, latent: Tensor) -> Tensor:
        """The codes of maps, int64 (B, h, w)."""
        return (self.bounded(latent.detach()).round().long() * self.step).sum(1)

    def look_up(self, codes: Tensor) -> Tensor:
        """The levels of codes as numbers in [-1, 1], maps (B, c, h, w)."""
        digits = codes[:, None] // self.step % self.count
        return digits / (self.count - 1) * 2.0 - 1.0

    def rounded(self, latent: Tensor) -> Tensor:
        """Levels as numbers in [-1, 1], with the gradient of the bounded latent."""
        level = self.bounded(latent)
        return through(level, level.round()) / (self.count - 1) * 2.0 - 1.0
