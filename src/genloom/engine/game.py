"""Plays the phases of a model: the rules of a step, and nothing about time, files or people."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from genloom.core import Batch, Model, Phase, Step, batch_size, derive_seed
from genloom.data import Split, augment
from genloom.data.options import DataOptions
from genloom.engine.distributed import World
from genloom.engine.optim import PlayerOptimizer
from genloom.engine.options import TrainOptions
from genloom.engine.order import Order
from genloom.engine.precision import Plan, arithmetic, arrange_batch
from genloom.errors import Damaged


class NotFinite(Exception):
    """A loss or gradient became NaN or infinite; the trainer rolls back."""


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The global generators start at `seed` inside (for dropout and the like) and are as before outside."""
    cpu = torch.default_generator.get_state()
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    # torch.manual_seed would note a stack trace for every device that is not in use yet, at each call
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)


@dataclass(frozen=True)
class Moment:
    """Which step is played: its index, the progress before it, and after how many rollbacks."""

    index: int
    progress: float
    attempt: int = 0
    rate_scale: float = 1.0


class Game:
    """The players' optimizers and the dealing of items. State: the optimizers' alone."""

    def __init__(
        self,
        model: Model,
        split: Split,
        data: DataOptions,
        options: TrainOptions,
        plan: Plan,
        device: torch.device,
        world: World,
    ) -> None:
        self.model, self.split, self.data, self.plan, self.device, self.world = model, split, data, plan, device, world
        self.seed = options.seed
        self.phases = model.phases()
        self.players = {p.name: PlayerOptimizer(model, p) for p in model.players()}
        batch = min(options.batch, split.items)
        keep = options.last_batch == "keep"
        self.orders = {p.name: Order(len(split), split.items, batch, self.seed, p.name, keep) for p in self.phases}
        self._weights = list(model.parameters())
        self._active: PlayerOptimizer | None = None
        self._changed = 0  # the step from which the present phases count
        self._drawn: dict[str, int] = {}  # batches that phases of the same names had drawn before it

    def change(self, index: int) -> None:
        """Takes up phases and players as the model's configuration, which has changed, now declares them, from step
        `index` on; 0 forgets earlier changes. Optimizers keep their state, and no item is dealt twice or left out."""
        state = self.optimizer_state()
        self._drawn = {p.name: self._draws(p, index) for p in self.phases} if index else {}
        self._changed = index
        self.phases = self.model.phases()
        self.players = {p.name: PlayerOptimizer(self.model, p) for p in self.model.players()}
        self.load_optimizer_state(state)
        self._active = None

    def _draws(self, phase: Phase, index: int) -> int:
        """The number of a phase's next batch at a step."""
        plays = -(-index // phase.every) - -(-self._changed // phase.every)
        return self._drawn.get(phase.name, 0) + plays * phase.repeat

    def items_before(self, index: int) -> int:
        """Real items that the first phase draws before this step."""
        if not self.phases:
            return 0
        first = self.phases[0]
        plays = self._draws(first, index) // (1 if first.batch == "fresh" else first.repeat)
        return self.orders[first.name].items_before(plays)

    def due(self, moment: Moment) -> list[Phase]:
        """The phases that play at this moment."""
        return [
            p
            for p in self.phases
            if moment.index % p.every == 0 and p.window[0] <= moment.progress and moment.progress < p.window[1]
        ]

    def step(self, moment: Moment) -> dict[str, float]:
        """Plays every due phase. Returns "loss/PHASE", "PHASE/PART" and "gradient/PLAYER". Raises NotFinite."""
        values: dict[str, float] = {}
        shared: tuple[Batch, tuple[int, int, int]] | None = None
        items = self.items_before(moment.index)
        for phase in self.due(moment):
            for repeat in range(phase.repeat):
                if phase.batch == "fresh" or shared is None:
                    dealt = self.deal(phase, self._draws(phase, moment.index) + repeat)
                    shared = shared or dealt
                else:
                    dealt = shared
                batch, rows = dealt
                seed = derive_seed(self.seed, moment.attempt, moment.index, phase.name, repeat)
                step = Step(
                    seed=seed,
                    index=moment.index,
                    items=items,
                    progress=moment.progress,
                    repeat=repeat,
                    rows=rows,
                    device=self.device,
                    gather=partial(self.world.gather, total=rows[2]) if self.world.size > 1 else None,
                )
                if self.data.flip or self.data.drop_parts:
                    batch = augment(batch, self.split.spec, self.data, step)
                values |= self.turn(phase, batch, step, moment)
        return values

    def deal(self, phase: Phase, draw: int) -> tuple[Batch, tuple[int, int, int]]:
        """This process's rows of a phase's draw, and which rows of the global batch they are."""
        index = self.orders[phase.name].indices(draw)
        rows = self.world.rows(len(index))
        batch = self.split.batch(index[rows[0] : rows[1]])
        return arrange_batch(batch, self.plan, self.device), rows

    def turn(self, phase: Phase, batch: Batch, step: Step, moment: Moment) -> dict[str, float]:
        """One turn of one player: loss, gradients, update, what comes after."""
        player = self.players[phase.player]
        self._activate(player)
        with torch.no_grad():
            batch = self.model.prepare(batch, step)
        player.zero_grad()
        with seeded(step.seed, self.device):
            with arithmetic(self.plan, self.device):
                loss = self.model.loss(phase, batch, step)
            loss.total.backward()  # outside of autocast: what was fp32 on the way there is so on the way back
        weight = batch_size(batch) * self.world.size / max(step.rows[2], 1)
        self.world.average_gradients(player.parameters, weight)
        norm = player.clip()
        value = self.world.mean([loss.total.item()], weight)[0]
        if not (math.isfinite(value) and math.isfinite(norm)):
            raise NotFinite(f"the {'loss' if not math.isfinite(value) else 'gradient'} of phase {phase.name!r}")
        player.step(moment.progress, moment.rate_scale)
        memo = {k: self.world.gather(t.detach(), step.rows[2]) for k, t in loss.memo.items()}
        with torch.no_grad():
            self.model.after_phase(phase, memo, step)
        values = {f"loss/{phase.name}": value, f"gradient/{phase.player}": norm}
        if loss.parts:
            parts = self.world.mean([float(t) for t in loss.parts.values()], weight)
            values |= {f"{phase.name}/{k}": v for k, v in zip(loss.parts, parts, strict=True)}
        return values

    def _activate(self, player: PlayerOptimizer) -> None:
        """Gradients reach this player's parameters and no others."""
        if self._active is player:
            return
        for p in self._weights:
            p.requires_grad_(False)
        for p in player.parameters:
            p.requires_grad_(True)
        self._active = player

    def optimizer_state(self) -> dict[str, Tensor]:
        """State of all players' optimizers, by name."""
        return {k: v for player in self.players.values() for k, v in player.state().items()}

    def load_optimizer_state(self, state: dict[str, Tensor]) -> None:
        """Takes back what `optimizer_state` returned. Raises Damaged for a player that this game lacks."""
        if others := sorted({key.split("/")[0] for key in state} - set(self.players)):
            raise Damaged(
                f"the checkpoint holds an optimizer of {others[0]!r}, the players are {', '.join(self.players)}: it "
                "was written by another version of genloom; begin a new run from its weights with --from"
            )
        for player in self.players.values():
            player.load(state)
