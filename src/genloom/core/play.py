"""The vocabulary of training: players who take turns in phases, the step they play, the loss they return."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Optimizer:
    """How one player learns. Rates are functions of progress in [0, 1], so they fit any budget.

    name: "adam", "adamw", or "muon" (Muon for matrices inside the network, AdamW for the rest).
    lr: learning rate of Adam(W); muon_lr: of Muon's orthogonalised updates; muon_skips: glob patterns of matrices that
    AdamW should keep (the output layer; embeddings always are).
    betas, eps, weight_decay: as in Adam; betas_end: betas at the end of the run, reached along a cosine.
    clip: greatest gradient norm; 0 does not clip.
    warmup: share of the run in which the rate rises from 0.
    hold: share of the run, counted from its start, before the rate begins to fall.
    decay: "linear" or "cosine" to lr * final, or "constant".
    final: the rate at the end as a share of lr.
    """

    name: Literal["adam", "adamw", "muon"] = "adamw"
    lr: float = 1e-3
    muon_lr: float = 0.025
    muon_skips: tuple[str, ...] = ()
    betas: tuple[float, float] = (0.9, 0.99)
    betas_end: tuple[float, float] | None = None
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float = 1.0
    warmup: float = 0.04
    hold: float = 0.0
    decay: Literal["linear", "cosine", "constant"] = "linear"
    final: float = 0.0


@dataclass(frozen=True)
class Player:
    """Parameters that learn together. `parameters`: glob patterns over the model's `named_parameters()`."""

    name: str
    parameters: tuple[str, ...]
    optimizer: Optimizer

    def inside(self, part: str) -> Player:
        """This player as a model sees it that holds this one's model as its attribute `part`."""
        parameters, skips = (
            tuple(f"{part}.{pattern}" for pattern in patterns)
            for patterns in (self.parameters, self.optimizer.muon_skips)
        )
        return Player(self.name, parameters, replace(self.optimizer, muon_skips=skips))


@dataclass(frozen=True)
class Phase:
    """One kind of turn.

    player: whose parameters the loss of this phase moves; all others are frozen meanwhile.
    every: plays at steps 0, every, 2 * every, ...; repeat: how often in such a step.
    batch: "fresh" draws its own items, "same" reuses those of the step's first phase.
    window: plays only while progress lies in [start, end).
    second_order: the loss differentiates through gradients (R1, gradient penalties).
    """

    name: str
    player: str
    every: int = 1
    repeat: int = 1
    batch: Literal["fresh", "same"] = "fresh"
    window: tuple[float, float] = (0.0, 1.0)
    second_order: bool = False


@dataclass(frozen=True)
class Loss:
    """What a phase returns. total: a scalar to minimise; parts: scalars worth plotting; memo: tensors, without
    gradient and with the batch as first dimension, that `after_phase` will be handed from all processes."""

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    memo: Mapping[str, Tensor] = field(default_factory=dict)


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all parts and on nothing else (not on PYTHONHASHSEED, platform or process)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


class Step:
    """Where the run stands, and the only source of randomness inside `prepare`, `loss` and `after_phase`.

    Draws are made for the global batch and cut to this process's rows, so that n processes see what one would.
    index: steps played before this one; items: real items drawn before it; progress: share of the budget spent;
    repeat: the turn's number inside the phase; rows: (start, stop, total) of this process in the global batch.
    """

    def __init__(
        self,
        *,
        seed: int,
        index: int = 0,
        items: int = 0,
        progress: float = 0.0,
        repeat: int = 0,
        rows: tuple[int, int, int] = (0, 1, 1),
        device: torch.device | str = "cpu",
        gather: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.index, self.items, self.progress, self.repeat = index, items, progress, repeat
        self.seed, self.rows, self.device = seed, rows, torch.device(device)
        self._gather = gather
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator:
        """The stream behind the draws; the same in every process."""
        if self._generator is None:
            self._generator = torch.Generator(self.device).manual_seed(self.seed)
        return self._generator

    def _draw(self, function: Callable[..., Tensor], shape: tuple[int, ...], **extra: Any) -> Tensor:
        start, stop, total = self.rows
        if not shape or shape[0] != stop - start:
            raise ValueError(f"the first dimension of a draw is this process's {stop - start} rows, got shape {shape}")
        drawn = function(size=(total, *shape[1:]), generator=self.generator, device=self.device, **extra)
        return drawn if stop - start == total else drawn[start:stop]

    def randn(self, *shape: int) -> Tensor:
        """Standard normal numbers (B, ...): this process's rows of the global draw."""
        return self._draw(torch.randn, shape)

    def rand(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), shape (B, ...)."""
        return self._draw(torch.rand, shape)

    def randint(self, high: int, *shape: int) -> Tensor:
        """Uniform integers in [0, high), shape (B, ...)."""
        return self._draw(torch.randint, shape, low=0, high=high)

    def gather(self, x: Tensor) -> Tensor:
        """All processes' rows of x, differentiable; x itself where there is one process."""
        return x if self._gather is None else self._gather(x)
