"""The watch: looks at a run while it trains and says what ails it.

It reads what is measured anyway (losses, gradients, the monitor) and adds cheap checks of its own, which together take
at most a fortieth of the time: of the training thread's processor time, so that a busy machine neither makes checks
look dear nor readings few (where a GPU computes, that thread waits, and the clock on the wall counts). It draws from
generators of its own and changes nothing: with it or without, a run's weights are the same bit for bit. Its readings
stand in metrics.jsonl ("watch/..."), its findings in health.jsonl.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import torch

from genloom.core import CanEncode, CanSample, Model, Phase, derive_seed
from genloom.data import Dataset
from genloom.engine import probes
from genloom.engine.advice import Finding, Setting, flags_of, optimizers_of
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game, seeded
from genloom.engine.history import History
from genloom.engine.journal import Journal
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.engine.preview import item_field
from genloom.engine.symptoms import diagnose
from genloom.runs import Run

SHARE = 0.025
"""The part of the training time that the watch may take."""
LOOKS, PAUSE = 40, 10.0
"""It looks so often in a run, and in long runs at least every so many seconds; never more often than rows come."""
ITEMS = 256
"""Items that a check looks at; a check begins with fewer to learn what it costs."""
TRIALS = (16, 64)
LASTING = ("watch/constant_items", "watch/fresh", "watch/diversity", "watch/twins", "watch/lost", "watch/moved")
"""Readings of samples and weights, which mean the same whatever a repair changes."""
CALM = 4
"""Looks without a finding after which it counts as gone."""


@dataclass
class Probe:
    """A check and what it costs. measure: from a number of items to readings; wanted: items of a real reading; prepare:
    what has to be done once before the first."""

    name: str
    measure: Callable[[int], dict[str, float]]
    wanted: int = ITEMS
    prepare: Callable[[], None] | None = None
    tried: int = 0
    cost: float = 0.0
    readings: int = 0
    over: bool = False

    @property
    def size(self) -> int:
        """Items of the next call: a real reading once a trial has shown the cost."""
        return next((t for t in TRIALS if self.tried < t < self.wanted), self.wanted)

    def expected(self, step_seconds: float) -> float:
        """Seconds the next call will take; before the first one, those of a training step."""
        return self.cost * max(1.0, self.size / self.tried) if self.tried else step_seconds


@dataclass
class Purse:
    """Time that may be spent: a share of what has passed on a clock."""

    clock: Callable[[], float] = time.thread_time
    begun: float = 0.0
    spent: float = 0.0

    def affords(self, seconds: float) -> bool:
        """Whether so much more stays within the share."""
        return self.spent + seconds <= SHARE * (self.clock() - self.begun)


def line(finding: Finding) -> str:
    """A finding as the terminal shows it."""
    return f"{finding.name}: {finding.seen}; {finding.likely}. What to do: {finding.advice}"


@dataclass
class Open:
    """A finding that is there now, and for how many looks it has not been seen."""

    finding: Finding
    unseen: int = 0


@dataclass
class Watch:
    """One run's watch. `begin` before the first step, `look` about once a second, `close` at the end."""

    model: Model
    dataset: Dataset
    options: TrainOptions
    run: Run
    plan: Plan
    device: torch.device
    game: Game
    averages: Mapping[str, PowerEMA]
    journal: Journal
    history: History = field(default_factory=History)
    purse: Purse = field(default_factory=Purse)
    probes: list[Probe] = field(default_factory=list)
    open: dict[str, Open] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configured()
        self.movement = probes.Movement(self.game.players, self.averages)
        self.purse.clock = time.monotonic if self.device.type == "cuda" else time.thread_time
        self._variety: probes.Variety | None = None
        self._next = (0.0, 0.0)  # progress and seconds, of which one has to pass before the next look
        self._first = 0
        self.fresh = True  # False where the first weights are another run's

    def configured(self) -> None:
        """Takes up the model's configuration, which a repair may have changed."""
        _, modality = item_field(self.dataset.spec)
        players = {p.name: p.optimizer for p in self.model.players()}
        phases = tuple((p.name, p.player) for p in self.model.phases())
        config = getattr(self.model, "config", None)
        self.setting = Setting(
            phases=phases,
            monitor=self.model.monitor,
            items=self.dataset.train.items,
            samples=min(ITEMS, self.dataset.train.items // 2),
            flags=flags_of({"config": config, "data": self.dataset.options, "train": self.options}),
            optimizers=optimizers_of(config, players),
            images=modality == "image",
        )

        if self.probes:  # they hold phases; what they cost is known
            known = {p.name: p for p in self.probes}
            self.probes = [self._as_before(p, known.get(p.name)) for p in self._plan()]

    @staticmethod
    def _as_before(probe: Probe, known: Probe | None) -> Probe:
        if known is None:
            return probe
        prepare = probe.prepare if known.prepare is not None else None
        return replace(probe, prepare=prepare, tried=known.tried, cost=known.cost, readings=known.readings)

    def _hear(self, row: Mapping[str, Any]) -> None:
        """One more row. A repair changes what losses, gradients and verdicts mean: earlier ones are forgotten."""
        self.history.add(row)
        if "repair" in row:
            kept = self.history.series.items()
            self.history.series = {k: s for k, s in kept if k == "monitor" or k.startswith(("rate/", *LASTING))}

    # -- life -------------------------------------------------------------------------------------------------------

    def begin(self, step: int, now: float) -> None:
        """Takes up history and findings as the run's files hold them: at the start, on resuming, after a rollback."""
        self.history = History()
        for row in self.run.metrics():
            self._hear(row)
        self.open = {}
        for entry in self.run.health():
            if entry.get("until") is None:
                known = {k: entry.get(k) for k in ("name", "seen", "likely", "advice", "level", "step")}
                self.open[str(entry["name"])] = Open(Finding(**known))  # type: ignore[arg-type]
        self.journal.heard = self._hear
        self.movement.before = None
        self._next = (0.0, 0.0)  # after a rollback, progress is less than it was
        if not self.probes:
            self.purse.begun, self._first = self.purse.clock(), step
            self.probes = self._plan()
        if step == 0 and "watch/constant_items" not in self.history:
            self._before_the_first(now)

    def _before_the_first(self, now: float) -> None:
        """What is measured once: the loss of the first weights, and whether the items hold anything."""
        began = self.purse.clock()
        row = {"watch/fresh": 1.0} if self.fresh else {}
        row["watch/constant_items"] = probes.constant_share(self.dataset)
        if self.setting.solo:
            with seeded(derive_seed(self.options.seed, "watch"), self.device):
                found = next(p for p in self.probes if p.name.startswith("loss")).measure(32)
            if math.isfinite(start := found.get(f"train/{self.setting.phase}", math.nan)):
                row[f"watch/start/{self.setting.phase}"] = start
        self.purse.spent += (
            self.purse.clock() - began
        )  # without the row: the first one loads TensorBoard's writer anyway
        self.journal.row(0, {"seconds": round(now, 3), **row})

    def _plan(self) -> list[Probe]:
        """The checks that fit this model and data."""
        seed, game = self.options.seed, not self.setting.solo
        found = [Probe("movement", lambda n: {}, wanted=1)]
        look = partial(probes.losses, self.model, dataset=self.dataset, seed=seed, plan=self.plan, device=self.device)
        phases = self.model.phases()
        for phase in phases if game else phases[:1]:
            found.append(Probe(f"loss {phase.name}", partial(self._losses, look, phase, game)))
        first_order = [p for p in phases if not p.second_order]
        if first_order:
            found.append(Probe("units", lambda n: probes.units(
                self.model, first_order, self.dataset, n, seed, self.plan, self.device), wanted=64))  # fmt: skip
        if isinstance(self.model, CanEncode) and self.model.quick:
            found.append(Probe("codes", lambda n: probes.codes(
                self.model, self.dataset, n, self.plan, self.device)))  # fmt: skip
        if isinstance(self.model, CanSample) and game and self.setting.images:
            found.append(Probe("variety", self._samples, prepare=self._compare_with))
        return found

    def _losses(self, look: Callable[..., dict[str, float]], phase: Phase, game: bool, n: int) -> dict[str, float]:
        found = look(phase, n=n)
        if not game:
            return found
        if not any(k.endswith("accuracy") for k in found):  # a player without verdicts: its loss alone says nothing
            self.probes = [p for p in self.probes if p.name != f"loss {phase.name}"]
            return {}
        return found

    def _compare_with(self) -> None:
        self._variety = probes.Variety(self.dataset, derive_seed(self.options.seed, "watch variety"), ITEMS)

    def _samples(self, n: int) -> dict[str, float]:
        assert self._variety is not None
        return self._variety.measure(self.model, n, self.device) if self._variety.usable else {}

    # -- looking ------------------------------------------------------------------------------------------------------

    def look(self, step: int, now: float) -> bool:
        """Takes the readings that can be afforded and judges. Whether the run should stop for something new."""
        clock, progress = self.purse.clock, self.history.progress
        started = clock()
        since = started - self.purse.begun
        if (progress < self._next[0] and now < self._next[1]) or since <= 0:
            return False
        step_seconds = since / max(step - self._first, 1)
        total = step_seconds * step / max(progress, 1e-6)
        for probe in sorted(self.probes, key=lambda p: p.readings):
            expected = probe.expected(step_seconds)
            if expected > 0.2 * SHARE * total:
                continue  # five readings in the whole run would tell nothing
            if not self.purse.affords(expected + clock() - started):
                break  # save up: every check gets its turn
            self._take(probe, step, now)
        new = self.judge(step, now)
        self.purse.spent += clock() - started
        self._next = (progress + 1 / LOOKS, now + PAUSE)
        stop = new and self.options.on_illness == "stop"
        if stop:
            self.journal.reporter.say("stops here, as --train.on_illness stop asks")
        return stop

    def _take(self, probe: Probe, step: int, now: float) -> None:
        if probe.prepare is not None:
            probe.prepare()
            probe.prepare = None
            return
        size, began = probe.size, self.purse.clock()
        with seeded(derive_seed(self.options.seed, "watch"), self.device), self._weights(probe):
            found = self.movement.measure(step) if probe.name == "movement" else probe.measure(size)
        probe.cost, probe.tried = self.purse.clock() - began, size
        probe.readings += 1
        if found and size == probe.wanted:
            self.journal.row(step, {"seconds": round(now, 3), **{f"watch/{k}": v for k, v in found.items()}})

    def _weights(self, probe: Probe) -> AbstractContextManager[None]:
        """The averaged weights for what users will see, the trained ones for how the game stands."""
        average = self.averages.get("ema")
        averaged = probe.name in ("codes", "variety") or (self.setting.solo and probe.name.startswith("loss"))
        return average.applied(self.model) if average is not None and averaged else nullcontext()

    def close(self, step: int, now: float) -> None:
        """A last judgement, and what the watch took: watch/seconds."""
        self.judge(step, now)
        self.journal.row(step, {"seconds": round(now, 3), "watch/seconds": round(self.purse.spent, 3)})

    def judge(self, step: int, now: float) -> bool:
        """Compares what is seen with what was; says and writes what is new or gone. Whether any is serious."""
        seen = {f.name: f for f in diagnose(self.history, self.setting)}
        serious = False
        for name, finding in seen.items():
            known = self.open.get(name)
            if known is None or (known.finding.level != "serious" and finding.level == "serious"):
                finding = replace(finding, step=step)
                self.open[name] = Open(finding)
                self.run.append_health({**asdict(finding), "seconds": round(now, 3)})
                self.journal.reporter.say(line(finding))
                serious = serious or finding.level == "serious"
            else:
                known.unseen = 0
        for name, known in list(self.open.items()):
            known.unseen += name not in seen
            if known.unseen >= CALM:
                del self.open[name]
                self.run.append_health({"name": name, "gone": True, "step": step, "seconds": round(now, 3)})
                self.journal.reporter.say(f"{name}: gone at step {step:,}")
        return serious
