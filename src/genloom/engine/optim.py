"""Optimizers of players, their schedules, and their state as named tensors."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from genloom.core import Model, Optimizer, Player
from genloom.errors import Damaged


def learning_rate(o: Optimizer, progress: float) -> float:
    """The rate as a share of its peak, at a progress in [0, 1]: warm-up, hold, decay to `final`."""
    if progress < o.warmup:
        return progress / o.warmup
    start = max(o.warmup, o.hold)
    if o.decay == "constant" or progress <= start:
        return 1.0
    fall = (progress - start) / (1.0 - start)
    curve = 1.0 - fall if o.decay == "linear" else 0.5 * (1.0 + math.cos(math.pi * fall))
    return o.final + (1.0 - o.final) * curve


def betas(o: Optimizer, progress: float) -> tuple[float, float]:
    """Adam's betas at a progress in [0, 1]: along a cosine from `betas` to `betas_end`, where that is given."""
    if o.betas_end is None:
        return o.betas
    share = 0.5 * (1.0 - math.cos(math.pi * progress))
    return (
        o.betas[0] + share * (o.betas_end[0] - o.betas[0]),
        o.betas[1] + share * (o.betas_end[1] - o.betas[1]),
    )


def orthogonalise(g: Tensor, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices to g (n, rows, columns), roughly: Newton-Schulz in bf16.

    The quintic's coefficients are those of Jordan et al., "Muon: An optimizer for hidden layers in neural networks"
    (2024): chosen for slope at zero, so singular values end between about 0.7 and 1.2.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    wide = x.shape[-2] > x.shape[-1]
    if wide:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        s = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(s, s, s, beta=b, alpha=c), x, beta=a)  # (a + b s + c s^2) x, sums fused
    return (x.mT if wide else x).to(g.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal: for the matrices inside a network (convolutions as out x rest). Same shapes go through
    Newton-Schulz together. Decoupled weight decay; the update is scaled by sqrt(max(1, rows / columns))."""

    def __init__(self, params: Sequence[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                m = state["momentum"]
                m.lerp_(p.grad, 1.0 - group["momentum"])
                nesterov = p.grad.lerp(m, group["momentum"]).reshape(p.shape[0], -1)
                shapes.setdefault((nesterov.shape[0], nesterov.shape[1]), []).append((p, nesterov))
            for (rows, columns), members in shapes.items():
                updates = orthogonalise(torch.stack([u for _, u in members]))
                scale = -group["lr"] * math.sqrt(max(1.0, rows / columns))
                for (p, _), u in zip(members, updates, strict=True):
                    p.mul_(1.0 - group["lr"] * group["weight_decay"])
                    p.add_(u.reshape(p.shape), alpha=scale)


class PlayerOptimizer:
    """The optimizers of one player (AdamW alone, or Muon for its matrices and AdamW for the rest)."""

    def __init__(self, model: Model, player: Player) -> None:
        self.config, self.name = player.optimizer, player.name
        named = [
            (n, p) for n, p in model.named_parameters() if any(fnmatch.fnmatchcase(n, g) for g in player.parameters)
        ]
        self.names, self.parameters = [n for n, _ in named], [p for _, p in named]
        o = player.optimizer
        inner = _matrices(model, named, o.muon_skips) if o.name == "muon" else []
        rest = [p for p in self.parameters if not any(p is m for m in inner)]
        self.parts: list[tuple[torch.optim.Optimizer, float]] = []
        if rest:
            cls = torch.optim.Adam if o.name == "adam" else torch.optim.AdamW
            settings: dict[str, Any] = {"betas": o.betas, "eps": o.eps, "weight_decay": o.weight_decay, "fused": True}
            self.parts.append((cls(rest, lr=o.lr, **settings), o.lr))
        if inner:
            self.parts.append((Muon(inner, lr=o.muon_lr, weight_decay=o.weight_decay), o.muon_lr))

    def rate(self, progress: float, scale: float = 1.0) -> float:
        """The learning rate now (Adam's)."""
        return self.config.lr * learning_rate(self.config, progress) * scale

    def clip(self) -> float:
        """The gradient norm over all parameters, after clipping to `clip` where that is set. May be nan or inf."""
        grads = [p.grad for p in self.parameters if p.grad is not None]
        if not grads:
            return 0.0
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))).item()
        if 0 < self.config.clip < norm < math.inf:
            torch._foreach_mul_(grads, self.config.clip / norm)
        return norm

    def step(self, progress: float, scale: float = 1.0) -> None:
        """One update at this progress; `scale` lowers the rate after a rollback."""
        share = learning_rate(self.config, progress) * scale
        adam_betas = betas(self.config, progress)
        for optimizer, peak in self.parts:
            for group in optimizer.param_groups:
                group["lr"] = peak * share
                if "betas" in group:
                    group["betas"] = adam_betas
            optimizer.step()

    def zero_grad(self) -> None:
        """Forgets the gradients."""
        for p in self.parameters:
            p.grad = None

    def state(self) -> dict[str, Tensor]:
        """All state as "player/parameter/entry" -> tensor."""
        named = dict(zip(map(id, self.parameters), self.names, strict=True))
        return {
            f"{self.name}/{named[id(p)]}/{key}": value
            for optimizer, _ in self.parts
            for p, entries in optimizer.state.items()
            for key, value in entries.items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Takes back what `state` returned. Raises Damaged where it belongs to another network."""
        parameters = dict(zip(self.names, self.parameters, strict=True))
        owner = {id(p): optimizer for optimizer, _ in self.parts for g in optimizer.param_groups for p in g["params"]}
        for optimizer, _ in self.parts:
            optimizer.state.clear()
        for key, value in state.items():
            player, name, entry = key.split("/")
            if player != self.name:
                continue
            p = parameters.get(name)
            if p is None or (value.ndim and value.shape != p.shape):
                raise Damaged(f"optimizer state of {name!r} does not fit this model: the checkpoint is another model's")
            value = value.clone() if value.ndim == 0 else torch.empty_like(p).copy_(value)
            owner[id(p)].state[p][entry] = value


def _matrices(model: nn.Module, named: Sequence[tuple[str, Tensor]], skips: Sequence[str]) -> list[Tensor]:
    """The parameters Muon is meant for: weights of two or more dimensions, no tables, none that `skips` names."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    return [
        p for n, p in named if p.ndim >= 2 and id(p) not in tables and not any(fnmatch.fnmatchcase(n, s) for s in skips)
    ]
