"""The loop: plays steps until the budget is spent, keeps the run directory true, survives what may happen meanwhile."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from typing import Any

import torch

from genloom.core import HasLikelihood, Model
from genloom.data import Dataset, Split
from genloom.engine import checkpoint, moments
from genloom.engine.budget import Clock, Interval, Timer
from genloom.engine.cost import Meter
from genloom.engine.distributed import World
from genloom.engine.ema import PowerEMA
from genloom.engine.game import Game, Moment, NotFinite
from genloom.engine.health import Watch
from genloom.engine.journal import Journal, Reporter, duration
from genloom.engine.options import TrainOptions
from genloom.engine.precision import Plan
from genloom.engine.preview import Monitor, draw_preview
from genloom.engine.repair import Physician, Repair, beginnings, onset, repaired, repairs_of
from genloom.errors import BadValue, GenloomError
from genloom.runs import Run

ATTEMPTS = 8
"""Rollbacks after which a run is given up."""
POST_HOC_WIDTHS = (0.05, 0.10)


class Diverged(GenloomError):
    """Losses kept turning into NaN however low the rate."""


class TooShort(BadValue):
    """A budget of time that ended before the first step."""


class Trainer:
    """One run in one process. State that a checkpoint holds: step, clock, attempt, repairs, weights, average,
    optimizers.

    split: what is played with in the place of the training items, where that was computed once from them."""

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        options: TrainOptions,
        run: Run,
        plan: Plan,
        clock: Clock,
        device: torch.device,
        world: World,
        reporter: Reporter,
        split: Split | None = None,
    ) -> None:
        self.model, self.dataset, self.options, self.run = model, dataset, options, run
        self.plan, self.clock, self.device, self.world, self.reporter = plan, clock, device, world, reporter
        self.game = Game(
            model, dataset.train if split is None else split, dataset.options, options, plan, device, world
        )
        self.journal = Journal(run, reporter, world.leads)
        self.monitor = (
            Monitor(model, dataset, options.seed, options.batch, plan, device)
            if model.phases() or isinstance(model, HasLikelihood)
            else None
        )
        self.averages: dict[str, PowerEMA] = {}
        if options.ema:
            self.averages["ema"] = PowerEMA(model, options.ema)
        if options.ema_post_hoc:
            self.averages |= {f"ema-{s:.2f}": PowerEMA(model, s) for s in POST_HOC_WIDTHS}
        self.step = self.attempt = 0
        self.rate_scale = 1.0
        self.best: dict[str, float] | None = None
        self.stop_asked = False
        self.watch: Callable[[Mapping[str, float]], bool] | None = None
        self.meter = Meter(device)
        self.health: Watch | None = None
        if options.on_illness != "off" and world.leads and model.phases():
            self.health = Watch(model, dataset, options, run, plan, device, self.game, self.averages, self.journal)
        self.base = getattr(model, "config", None)  # as the run was begun
        self.recorded: list[Repair] = repairs_of(run)
        self.applied = 0  # how many of them the present weights have been through
        self.healthy: int | None = None  # the newest checkpoint at which nothing was found
        self._decided: Repair | None = None
        self.physician: Physician | None = None
        if self.health is not None and options.on_illness == "repair" and not clock.replay:
            self.physician = Physician(model, dataset.spec, plan.compile)
        self._sums: dict[str, list[float]] = {}
        self._costs: dict[int, float] = {}
        self.reserve = clock.reserve
        self._shares = self._shares_left()

    # -- the loop ------------------------------------------------------------------------------------------------

    def train(self) -> str:
        """Plays until the budget is spent or a signal asks to stop; returns "finished" or "stopped"."""
        self.model.train()
        checkpoints = self._timer(self.options.checkpoint_every)
        validations = self._timer(self.options.validate_every)
        previews = self._timer(self.options.preview_every)
        rows = Timer(Interval(seconds=1.0), self.clock.elapsed(), self.step)
        if not self.run.checkpoints():
            self.save()
        if self.health is not None:
            self.health.begin(self.step, self.clock.elapsed())
        with self._signals():
            while not self._over():
                self._repair_what_is_due()
                try:
                    moment = Moment(self.step, self.clock.progress(self.step), self.attempt, self.rate_scale)
                    self._add(self.game.step(moment))
                except NotFinite as e:
                    self._roll_back(str(e))
                    continue
                self.step += 1
                for average in self.averages.values():
                    average.update(self.model, self.step)
                if self.world.any(self.stop_asked):
                    break
                now = self.clock.elapsed()
                if not self.world.leads:
                    continue
                self.keep_moments()
                if rows.due(now, self.step):
                    self.write_row()
                    rows.done(now, self.step)
                    if self.health is not None and self.health.look(self.step, now):
                        self.stop_asked = True
                    self._consult()
                if validations.due(now, self.step):
                    self.validate()
                    now = self._spent(validations, now)
                if previews.due(now, self.step):
                    self.preview()
                    now = self._spent(previews, now)
                if checkpoints.due(now, self.step):
                    self.save()
                    self._spent(checkpoints, now)
        done = self.clock.finished(self.step)
        if done and self.step == 0 and self.clock.seconds is not None and self.model.phases():
            raise TooShort(self._too_short())
        if self.world.leads:
            self._close(done)
        self.world.barrier()
        return "finished" if done else "stopped"

    def _timer(self, every: str) -> Timer:
        """Due every so often, and at least ten times in a timed run however short."""
        interval = Interval.parse(every)
        if self.clock.seconds is not None and not interval.steps:
            interval = Interval(seconds=min(interval.seconds, self.clock.seconds / 10))
        return Timer(interval, self.clock.elapsed(), self.step)

    def _spent(self, timer: Timer, since: float) -> float:
        """Notes what some work cost: it comes once more after the last step, so a timed budget keeps room for it."""
        now = self.clock.elapsed()
        timer.done(now, self.step, now - since)
        self._costs[id(timer)] = now - since
        self.clock.reserve = self.reserve + sum(self._costs.values())
        return now

    def _over(self) -> bool:
        if self.clock.wants_knot(self.step):
            at, progress, left = self.clock.measure(self.step) if self.world.leads else (0, 0.0, 0)
            shared = self.world.agree([at, progress, left, self.clock.speed or 0.0])
            self.clock.adopt((int(shared[0]), shared[1], int(shared[2])), shared[3] or None)
        return self.clock.finished(self.step)

    def _close(self, done: bool) -> None:
        self.write_row()
        if done:
            with self.averaged():
                moments.finish(self.model, self.dataset, self.plan, self.device,
                               seed=self.options.seed, step=self.step, items=self.items)  # fmt: skip
            self.validate(say=False)
            self.preview()
            if self.health is not None:
                self.health.close(self.step, self.clock.elapsed())
        self.save("finished" if done else "stopped")
        self.journal.close()

    def _too_short(self) -> str:
        """What to say of a budget that was spent before the first step; plays two steps to know how long one takes."""
        ready, took = self.clock.elapsed(), 0.0
        for _ in range(2):  # the first also allocates
            if took < 5.0:
                begun = time.perf_counter()
                with suppress(NotFinite):
                    self.game.step(Moment(0, 0.0, rate_scale=0.0))
                took = time.perf_counter() - begun
        needed = (ready + 20.0 * took) / 0.6  # up to three tenths are kept for what comes after the last step
        enough = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200) if s >= needed), math.ceil(needed))
        return (
            f"a budget of {self.clock.seconds:g} s ends before the first step: here it takes {ready:.1f} s to get "
            f"ready and {took:.2g} s a step; give at least {enough}s, or count steps (100steps)"
        )

    @property
    def items(self) -> int:
        """Real items drawn so far."""
        return self.game.items_before(self.step)

    # -- numbers and pictures -------------------------------------------------------------------------------------

    def _add(self, values: dict[str, float]) -> None:
        for key, value in values.items():
            total = self._sums.setdefault(key, [0.0, 0])
            total[0] += value
            total[1] += 1

    def write_row(self) -> None:
        """Means since the last row into the journal, and the status line."""
        if not self._sums:
            return
        elapsed, progress = self.clock.elapsed(), self.clock.progress(self.step)
        means = {k: s / n for k, (s, n) in self._sums.items()}
        self._sums = {}
        rates = {f"rate/{n}": p.rate(progress, self.rate_scale) for n, p in self.game.players.items()}
        speed = self.items / max(elapsed, 1e-9)
        self.journal.row(self.step, {"items": self.items, "seconds": round(elapsed, 3), "progress": progress, **means,
                                     **rates, "items_per_second": speed})  # fmt: skip
        losses = "  ".join(f"{k.removeprefix('loss/')} {v:.4g}" for k, v in means.items() if k.startswith("loss/"))
        left = (elapsed - self.clock.base) * (1 / progress - 1) if progress > 0 else math.nan
        if self.clock.timed and self.clock.seconds:
            left = self.clock.seconds - elapsed
        eta = "" if math.isnan(left) else f"  {duration(left)} left"
        self.reporter.tick(f"{progress:4.0%}  step {self.step:,}  {losses}  {speed:,.0f} items/s{eta}")

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the model has its averaged weights, where an average is kept."""
        average = self.averages.get("ema")
        with average.applied(self.model) if average else nullcontext():
            yield

    def validate(self, say: bool = True) -> None:
        """Measures the monitor; a new best is checkpointed at once."""
        if self.monitor is None:
            return
        with self.averaged():
            value = self.monitor.measure(self.model)
        self.journal.row(self.step, {"seconds": round(self.clock.elapsed(), 3), "monitor": value})
        if math.isfinite(value) and (self.best is None or value < self.best["value"]):
            self.best = {"step": self.step, "value": value}
            if say:
                self.save()
        if self.watch and self.watch({"progress": self.clock.progress(self.step), "monitor": value}):
            self.stop_asked = True

    def preview(self) -> None:
        """Samples from fixed noise into samples/."""
        with self.averaged():
            place = self.run.samples / f"{self.step:08d}"
            draw_preview(self.model, self.dataset, self.options.seed, self.plan, self.device, place)

    # -- what lasts -----------------------------------------------------------------------------------------------

    def save(self, state: str = "running") -> None:
        """A checkpoint and the status that goes with it. Raises Storage; earlier checkpoints then survive."""
        if not self.world.leads:
            return
        weights = self.model.state_dict()
        if not all(torch.isfinite(t).all() for t in weights.values() if t.is_floating_point()):
            if state == "running":
                return  # the next step will notice, in all processes, and roll back
            raise Diverged(f"the weights are not finite after the last step, {self.step}: lower the learning rate")
        tensors = {"model": weights, "optimizer": self.game.optimizer_state()}
        tensors |= {name: average.state(self.model) for name, average in self.averages.items()}
        cost = self.meter.read(self.items)
        if self.health is not None and not self.health.open:
            self.healthy = self.step
        checkpoint.save(self.run, self.step, tensors, {
            "items": self.items,
            "attempt": self.attempt,
            "repairs": self.applied,
            "healthy": self.healthy,
            "rate_scale": self.rate_scale,
            "best": self.best,
            "clock": {"elapsed": self.clock.elapsed(), "knots": self.clock.knots, "replay": self.clock.replay},
            "cost": cost,
        })  # fmt: skip
        if self.options.ema_post_hoc:
            self._snapshot()
        best = None if self.best is None else int(self.best["step"])
        checkpoint.prune(self.run, self.options.keep, best, *((0, self.healthy) if self.physician else ()))
        self.run.set_status(state=state, step=self.step, items=self.items, progress=self.clock.progress(self.step),
                            seconds=round(self.clock.elapsed(), 3), best=self.best, cost=cost,
                            attempts=self.attempt)  # fmt: skip

    def keep_moments(self) -> None:
        """Keeps the averaged weights where a share of the budget that was asked for is spent."""
        progress = self.clock.progress(self.step)
        while self._shares and progress >= self._shares[0]:
            average = self.averages.get("ema")
            weights = average.state(self.model) if average else self.model.state_dict()
            moments.keep(self.run, self._shares.pop(0), self.step, self.clock.elapsed(), weights)

    def _snapshot(self) -> None:
        """Keeps averages of two widths from ten moments of the run: any width can be put together from them later."""
        folder = self.run.path / "snapshots"
        taken = len(list(folder.glob("*"))) if folder.exists() else 0
        if self.step and self.clock.progress(self.step) >= min(1.0, (taken + 1) / 10):
            target = folder / f"{self.step:08d}"
            target.mkdir(parents=True, exist_ok=True)
            for s in POST_HOC_WIDTHS:
                checkpoint.write_tensors(target / f"{s:.2f}.safetensors", self.averages[f"ema-{s:.2f}"].averaged)

    def restore(self, step: int, retry: bool = False) -> None:
        """Takes up the checkpoint of `step`. retry: after a rollback, when attempt and rate are already new."""
        state = checkpoint.read_state(self.run, step)
        checkpoint.put(self.model, checkpoint.read_tensors(self.run, step, "model"))
        self._replay_repairs(int(state.get("repairs", 0)))
        self.game.load_optimizer_state(checkpoint.read_tensors(self.run, step, "optimizer"))
        for name, average in self.averages.items():
            average.load(checkpoint.read_tensors(self.run, step, name))
        self.step, self.best, self.healthy = step, state["best"], state.get("healthy")
        if not retry:
            self.attempt, self.rate_scale = state["attempt"], state["rate_scale"]
            self.meter = Meter(self.device, state["cost"])
        if self.world.leads:
            moments.drop_after(self.run, step)
        self._shares = self._shares_left()
        self._sums = {}

    def _shares_left(self) -> list[float]:
        there = {moment.share for moment in moments.kept(self.run)}
        return sorted(set(self.options.moments) - there)

    # -- repairs --------------------------------------------------------------------------------------------------

    def _consult(self) -> None:
        """After a look of the watch: is there something to repair? Not before what is recorded has been repeated."""
        if self.physician is None or self.health is None or self.applied < len(self.recorded) or self.stop_asked:
            return
        seen = [known.finding for known in self.health.open.values() if not known.unseen]
        there, before = self.run.checkpoints(), {}
        for finding in seen:
            began = onset(self.health.history, finding.name)
            last = (-1 if self.healthy is None else self.healthy) if began is None else began - 1
            before[finding.name] = [s for s in there if s <= last]
        answer = self.physician.decide(seen, self.recorded, self.step, self.clock.progress(self.step), before)
        if isinstance(answer, str):
            self.reporter.say(answer)
            self.journal.row(self.step, {"event": answer})
        else:
            self._decided = answer

    def _repair_what_is_due(self) -> None:
        """Makes the repairs that count from this step on: one just decided, or recorded ones of a resumed run."""
        if self.options.on_illness == "repair" and self.world.any(self._decided is not None):
            text = json.dumps(asdict(self._decided)) if self._decided is not None else ""
            repair, self._decided = Repair(**json.loads(self.world.agree_text(text))), None
            if self.world.leads:
                when = round(self.clock.elapsed(), 3)
                self.run.append_repair({**asdict(repair), "line": repair.line, "seconds": when})
            self.recorded.append(repair)
            self.reporter.say(repair.line)
            if repair.back:
                self._go_back(repair)
        begins = beginnings(self.recorded)
        while self.applied < len(self.recorded) and begins[self.applied] <= self.step:
            repair, at, self.applied = self.recorded[self.applied], begins[self.applied], self.applied + 1
            self._configure(repaired(self.base, self.recorded[: self.applied]), at)
            self.attempt += repair.back
            if self.world.leads and not any(row.get("repair") == self.applied for row in self.run.metrics()):
                self.journal.row(at, {"event": repair.line, "repair": self.applied})

    def _go_back(self, repair: Repair) -> None:
        """To the checkpoint from before an illness; what came after it is given up."""
        if self.world.leads:
            for step in self.run.checkpoints():
                if step > repair.step:
                    checkpoint.remove(self.run, step)
        self.world.barrier()
        self.restore(repair.step, retry=True)
        state = checkpoint.read_state(self.run, repair.step)  # as a resumed run would find them
        self.attempt, self.rate_scale = state["attempt"], state["rate_scale"]
        self.clock.rewind(repair.step)
        if self.world.leads:
            self.run.cut_metrics(repair.step)
            if self.health is not None:
                self.health.begin(repair.step, self.clock.elapsed())

    def _replay_repairs(self, count: int) -> None:
        """Configures the model as it was after its first `count` repairs."""
        if not self.recorded:
            return
        self._configure(self.base, 0)
        for i, at in enumerate(beginnings(self.recorded[:count]), 1):
            self._configure(repaired(self.base, self.recorded[:i]), at)
        self.applied = count

    def _configure(self, config: Any, step: int) -> None:
        """Gives the model another configuration, which counts from `step` on."""
        self.model.config = config
        self.game.change(step)
        if self.health is not None:
            self.health.configured()

    def _roll_back(self, what: str) -> None:
        self.attempt += 1
        if not self.options.guard or 1 - math.log2(self.rate_scale) > ATTEMPTS:
            self.run.set_status(state="failed", error=f"{what} was not finite at step {self.step}")
            raise Diverged(
                f"{what} was not finite at step {self.step}"
                + (f", {ATTEMPTS} times over" if self.options.guard else "")
                + ": lower the learning rate, or look for values out of range in the data"
            )
        self.rate_scale *= 0.5
        failed_at, back = self.step, self.run.checkpoints()[-1]
        self.world.barrier()
        self.restore(back, retry=True)
        self.clock.rewind(back)
        if self.world.leads:
            self.run.cut_metrics(back)
            if self.health is not None:
                self.health.begin(back, self.clock.elapsed())
            self.journal.row(back, {"event": f"{what} was not finite at step {failed_at}", "attempt": self.attempt})
        self.reporter.say(f"{what} was not finite at step {failed_at}: back to step {back}, rate x {self.rate_scale:g}")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the loop after the present step; a second Ctrl-C interrupts at once."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, frame: Any) -> None:
            if self.stop_asked and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.stop_asked = True

        before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for s, handler in before.items():
                signal.signal(s, handler)
