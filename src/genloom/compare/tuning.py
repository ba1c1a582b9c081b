"""A search at work in its folder: trials until their number or the time is reached, the confirmation, the file."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom import __version__
from genloom.compare.asked import Asked, as_trial
from genloom.compare.trials import Search, Trial, Watch, reason
from genloom.compare.tuned import Tuned, Verdict, judge, short
from genloom.errors import Busy, GenloomError, Storage
from genloom.recipes import fields, files, ranges, registry
from genloom.runs import Run
from genloom.runs.files import read_json, write_json
from genloom.verbs.results import cell

if TYPE_CHECKING:
    from genloom.data import Dataset
    from genloom.engine.journal import Reporter
    from genloom.engine.train import Settings

TRIALS_OWN = ("data.source", "train.budget", "train.seed", "train.keep", "train.validate_every")
"""Fields of a trial that are no part of what was found."""


class Tuning:
    """A search at work in its folder."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        settings: Settings,
        dataset: Dataset,
        within: Mapping[str, ranges.Range],
        asked: Asked,
        data: str,
        size: str | None,
        own_budget: str,
        reporter: Reporter,
    ) -> None:
        self.folder, self.out, self.settings, self.dataset, self.within = folder, out, settings, dataset, within
        self.asked, self.data, self.size, self.own_budget, self.reporter = asked, data, size, own_budget, reporter
        self.recipe = registry.Recipe(settings.model, settings.config, settings.data, settings.train)
        self.defaults = {i.path: i.value for i in fields.leaves(self.recipe)}
        self.monitor = _monitor(settings.model)
        self.started = time.monotonic()
        self.before = 0.0
        self.confirmed: list[dict[str, Any]] = []
        self.search: Search

    @contextlib.contextmanager
    def alone(self) -> Any:
        """Held while this process searches. Raises Busy."""
        from filelock import FileLock, Timeout

        from genloom.runs.files import storage

        with storage(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise Busy(f"{self.folder} is being searched by another process: wait for it") from None
        try:
            yield
        finally:
            lock.release()

    def run(self) -> Tuned:
        """Trials until their number or the time is reached, then the confirmation, then the file."""
        path = self.folder / "tuning.json"
        if path.exists():
            known = read_json(path)
            self.before, self.confirmed = known["seconds"], known["confirmed"]
        self.search = Search(self.folder / "trials.log", self.within, self.defaults, self.settings.train.seed)
        self.search.take_up()
        done = self.search.done()
        begun = f"goes on after {len(done)} trials" if done else "the first trial is the recipe as it is"
        self.reporter.say(
            f"{self.folder}: {self.asked.trials} trials of {self.settings.train.budget}, "
            f"{len(self.within)} fields; {begun}"
        )
        while len(done) < self.asked.trials and self._has_time(done):
            if not self._trial(len(done) + 1):
                return self._result("stopped")
            done = self.search.done()
            self._forget(done)
            self._result("stopped")
        best = _best(done)
        if best is not None and best.number != 1 and not self._confirm(best):
            return self._result("stopped")
        return self._result("finished")

    # -- one run -------------------------------------------------------------------------------------------------

    def _trial(self, number: int) -> bool:
        """Plays a trial and records how it ended; False where the person stopped it."""
        from torch import OutOfMemoryError

        trial = self.search.ask()
        values = self.search.values(trial)
        name = f"{number:04d}-{self.settings.recipe}"
        watch, begun = Watch(trial), time.monotonic()
        state, value, error, seconds = "failed", None, "", 0.0
        try:
            settings = self._settings(number, values)
            ended, value, seconds = self._play(name, settings, watch, f"trial {number}/{self.asked.trials}  ")
            if ended == "stopped" and not watch.stopped:
                return False
            state = "complete" if ended == "finished" else "pruned"
            if value is None:
                state, error = "failed", "the monitor was never a finite number"
        except (Busy, Storage):
            raise
        except (GenloomError, MemoryError, OutOfMemoryError) as failure:
            if number == 1:
                self._give_up()
                raise
            error = reason(failure)
        seconds = seconds or time.monotonic() - begun
        self.search.tell(trial, state, value, seconds, name, error)
        how = {"complete": "", "pruned": "  stopped early", "failed": f"  failed: {error}"}[state]
        tried = "  ".join(f"{short(path, self.within)} {v}" for path, v in values.items())
        shown = "" if value is None else f"  monitor {cell(value)}"
        best = _best(self.search.done())
        mark = "  best so far" if best is not None and best.number == number and number > 1 else ""
        self.reporter.say(f"{number}/{self.asked.trials}  {tried}{shown}{mark}{how}")
        return True

    def _play(self, name: str, settings: Settings, watch: Watch | None, prefix: str) -> tuple[str, float | None, float]:
        """Trains one run, or goes on with it: how it ended, its best monitor, its seconds."""
        from genloom.engine.train import create_run, train

        run = Run(self.folder / "runs" / name)
        if not (run.path / "config.json").exists():
            shutil.rmtree(run.path, ignore_errors=True)  # half made when an earlier process died
            run = create_run(run.path.parent, settings, self.dataset, name)
        ticks = _Ticks(self.reporter, prefix)
        outcome = train(run, self.dataset, reporter=ticks, watch=watch)
        best = run.status.get("best") or {}
        return outcome.state, best.get("value"), outcome.seconds

    def _settings(self, number: int, values: Mapping[str, str]) -> Settings:
        """The settings of a trial: the first is the recipe as it is."""
        if number == 1:
            return self.settings
        changed = registry.override(self.recipe, values)
        settings = replace(self.settings, config=changed.config, data=changed.data, train=changed.train)
        return as_trial(settings, self.settings.train.budget, self.dataset)

    def _confirm(self, best: Trial) -> bool:
        """Trains the best and the recipe as it is with other seeds; False where the person stopped it."""
        first = self.search.done()[0]
        for k in range(1, self.asked.confirm + 1):
            for trial in (first, best):
                seed = self.settings.train.seed + k
                if any(c["trial"] == trial.number and c["seed"] == seed for c in self.confirmed):
                    continue
                settings = self._settings(trial.number, trial.values)
                settings = replace(settings, train=replace(settings.train, seed=seed))
                value, error = None, ""
                name = f"confirm-{trial.number:04d}-seed{seed}"
                try:
                    ended, value, _ = self._play(name, settings, None, f"confirming with seed {seed}  ")
                    if ended == "stopped":
                        return False
                except (Busy, Storage):
                    raise
                except GenloomError as failure:
                    error = reason(failure)
                who = "the recipe as it is" if trial is first else f"trial {trial.number}"
                said = f"failed: {error}" if value is None else f"monitor {cell(value)}"
                self.reporter.say(f"confirming  {who}, seed {seed}  {said}")
                shutil.rmtree(self.folder / "runs" / name / "checkpoints", ignore_errors=True)
                self.confirmed.append({"trial": trial.number, "seed": seed, "value": value, "error": error})
                self._result("stopped")
        return True

    # -- time and room -------------------------------------------------------------------------------------------

    def _spent(self) -> float:
        return self.before + time.monotonic() - self.started

    def _has_time(self, done: list[Trial]) -> bool:
        """Whether one more trial fits, with room for the confirmation."""
        from genloom.engine.budget import parse_budget

        if not done:
            return True
        budget = parse_budget(self.settings.train.budget)
        whole = [t.seconds for t in done if t.state == "complete"]
        each = budget.amount if budget.kind == "seconds" else sum(whole) / max(1, len(whole))
        return self._spent() + each * (1 + 2 * self.asked.confirm) <= self.asked.seconds

    def _forget(self, done: list[Trial]) -> None:
        """Checkpoints take room: those of the first and the best trial stay."""
        best = _best(done)
        for trial in done[1:]:
            if best is None or trial.number != best.number:
                shutil.rmtree(self.folder / "runs" / trial.run / "checkpoints", ignore_errors=True)

    def _give_up(self) -> None:
        """The recipe itself cannot be trained: nothing was learnt, so nothing stays."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what was found ------------------------------------------------------------------------------------------

    def _result(self, state: str) -> Tuned:
        """The result so far, in tuning.json and, where there is something to say, in the recipe file."""
        done = self.search.done()
        best = _best(done)
        changes = {} if best is None or best.number == 1 else self._changes(best)
        notes = []
        if state == "finished" and len(done) < self.asked.trials:
            left = self.asked.trials - len(done)
            notes.append(f"the time was spent with {left} trials left; a longer --budget goes on with them")
        if changes and self.own_budget != self.settings.train.budget:
            notes.append(
                f"found for runs of {self.settings.train.budget}; for the recipe's own budget, {self.own_budget}, "
                "other values may be better"
            )
        if failures := [c for c in self.confirmed if c["error"]]:
            notes.append(f"{len(failures)} runs with other seeds failed: {failures[0]['error']}")
        found = Tuned(
            recipe=self.settings.recipe, data=self.data, state=state, folder=self.folder, file=None,
            monitor=self.monitor, trial_budget=self.settings.train.budget, seconds=round(self._spent(), 3),
            asked=self.asked.trials, ranges={path: str(w) for path, w in self.within.items()}, trials=tuple(done),
            best=None if best is None else best.number, changes={k: fields.shown(v) for k, v in changes.items()},
            verdict=self._verdict(best), importance=self.search.importance() if state == "finished" else {},
            notes=tuple(notes),
        )  # fmt: skip
        if state == "finished" and best is not None:
            overrides = self._overrides(best)
            files.write(self.out, self.settings.recipe, overrides, self.size, self._comment(found, done, best))
            found = replace(found, file=self.out)
        record = {"genloom": __version__, **found.to_json(), "confirmed": self.confirmed}
        record["dataset"] = {"name": self.dataset.name, "digest": self.dataset.digest}
        write_json(self.folder / "tuning.json", record)
        return found

    def _changes(self, best: Trial) -> dict[str, Any]:
        """Where the best trial differs from the recipe as it is."""
        made = self._settings(best.number, best.values)
        after = registry.Recipe(made.model, made.config, made.data, made.train)
        return {i.path: i.value for i in fields.leaves(after) if i.path in self.within
                and i.value != self.defaults[i.path]}  # fmt: skip

    def _overrides(self, best: Trial) -> dict[str, Any]:
        """Where the recipe that was found differs from the registered one: by what was given, and by what was found."""
        base = {i.path: i.value for i in fields.leaves(registry.get(self.settings.recipe, self.size))}
        found = {**self.defaults, **({} if best.number == 1 else self._changes(best))}
        return {k: v for k, v in found.items() if v != base[k] and k not in (*TRIALS_OWN, "model")}

    def _verdict(self, best: Trial | None) -> Verdict | None:
        if best is None or best.number == 1:
            return None
        first = self.search.done()[0]
        again = {n: [c["value"] for c in self.confirmed if c["trial"] == n and c["value"] is not None]
                 for n in (first.number, best.number)}  # fmt: skip
        default = [*([] if first.value is None else [first.value]), *again[first.number]]
        return judge(default, again[best.number])

    def _comment(self, found: Tuned, done: list[Trial], best: Trial) -> str:
        first = done[0].value
        said = "nothing tried was better than the recipe as it is"
        if found.verdict is not None:
            said = f"trial {best.number}: {cell(best.value)}; the recipe as it was: {cell(first)}\n{found.verdict}"
        return "\n".join([
            f"{self.settings.recipe}, tuned by genloom {__version__} on {time.strftime('%Y-%m-%d')}",
            f"data: {self.dataset.name} ({self.dataset.digest[:16]})",
            f"search: {found.counted()}, seed {self.settings.train.seed}, in {self.folder.name}",
            f"monitor: {self.monitor}, lower is better",
            said,
            *found.notes,
            f"train it: genloom train {self.out.name}" + (f" --data {self.data}" if self.data else ""),
        ])  # fmt: skip


def _best(done: list[Trial]) -> Trial | None:
    complete = [t for t in done if t.state == "complete" and t.value is not None and math.isfinite(t.value)]
    return min(complete, key=lambda t: t.value if t.value is not None else math.inf, default=None)


def _monitor(model: str) -> str:
    from genloom.models.registry import model_class

    return model_class(model).monitor


def _Ticks(to: Reporter, prefix: str) -> Reporter:
    """A reporter of one trial: its state on a terminal's last line, and nothing that stays."""
    from genloom.engine.journal import Reporter

    class Ticks(Reporter):
        def say(self, text: str) -> None:
            self._clear()

    return Ticks(to.stream if to.live else None, prefix)
