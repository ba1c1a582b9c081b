"""What a search tries next, and when it gives a trial up: Optuna's sampler and pruner, and a journal that outlives us.

The sampler is seeded anew for every trial from (seed, trial number), so that a search that was interrupted suggests
what it would have suggested. A trial that was interrupted is taken up again with the same values.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genloom.core import derive_seed
from genloom.errors import Damaged, GenloomError, NotFound
from genloom.recipes import fields
from genloom.recipes.ranges import Choice, Linear, Log, Range, Whole

MOMENTS = 10
"""At how many evenly spaced moments of a trial it is compared with the others."""
UNDISTURBED = 4
"""So many trials are finished before any is stopped early, and so many tenths of a trial pass before it can be."""


@dataclass(frozen=True)
class Trial:
    """One trial that is over. number: from 1, the recipe as it is; values: what it tried, as text, by dotted path;
    state: "complete", "pruned" or "failed"; value: its monitor, of a pruned trial the best it had reached."""

    number: int
    values: Mapping[str, str]
    state: str
    value: float | None
    seconds: float
    run: str
    error: str = ""


class Search:
    """Trials over some ranges, kept in a file. Raises NotFound where optuna is not installed, Damaged for a file that
    cannot be read."""

    def __init__(self, path: Path, ranges: Mapping[str, Range], defaults: Mapping[str, Any], seed: int) -> None:
        self.optuna = load_optuna()
        self.ranges, self.seed = dict(ranges), seed
        self.distributions = {name: self._distribution(within) for name, within in ranges.items()}
        _drop_torn_line(path)
        storages = self.optuna.storages
        try:
            self.study = self.optuna.create_study(
                storage=storages.JournalStorage(storages.journal.JournalFileBackend(str(path))),
                study_name="tune",
                direction="minimize",
                load_if_exists=True,
                pruner=self.optuna.pruners.MedianPruner(n_startup_trials=UNDISTURBED, n_warmup_steps=UNDISTURBED),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"{path} cannot be read ({error}): remove its folder to search anew") from error
        if not self.study.get_trials(deepcopy=False):
            self.study.enqueue_trial({name: _stored(within, defaults[name]) for name, within in ranges.items()})

    def _distribution(self, within: Range) -> Any:
        kinds = self.optuna.distributions
        if isinstance(within, Choice):
            return kinds.CategoricalDistribution([_text(v) for v in within.values])
        if isinstance(within, Whole):
            return kinds.IntDistribution(within.low, within.high, log=within.log)
        return kinds.FloatDistribution(within.low, within.high, log=isinstance(within, Log))

    def take_up(self) -> None:
        """Queues those trials again that were under way when an earlier process ended."""
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == self.optuna.trial.TrialState.RUNNING:
                self.study.tell(trial.number, state=self.optuna.trial.TrialState.FAIL)
                self.study.enqueue_trial(trial.params)

    def done(self) -> list[Trial]:
        """All trials that are over, in order."""
        names = self.optuna.trial.TrialState
        states = {names.COMPLETE: "complete", names.PRUNED: "pruned", names.FAIL: "failed"}
        found: list[Trial] = []
        for t in self.study.get_trials(deepcopy=False):
            said = t.user_attrs
            if t.state not in states or "seconds" not in said:  # waiting, running, or interrupted
                continue
            values = {name: written(self.ranges[name], t.params[name]) for name in self.ranges}
            number = len(found) + 1
            found.append(
                Trial(number, values, states[t.state], said["value"], said["seconds"], said["run"], said["error"])
            )
        return found

    def ask(self) -> Any:
        """The next trial: one that is queued, or a new suggestion."""
        seed = derive_seed(self.seed, "tune", len(self.done())) % 2**32
        self.study.sampler = self.optuna.samplers.TPESampler(seed=seed, n_startup_trials=5)
        return self.study.ask(self.distributions)

    def values(self, trial: Any) -> dict[str, str]:
        """What a trial tries, as text, by dotted path."""
        return {name: written(self.ranges[name], trial.params[name]) for name in self.ranges}

    def tell(self, trial: Any, state: str, value: float | None, seconds: float, run: str, error: str = "") -> None:
        """Records how a trial ended."""
        names = self.optuna.trial.TrialState
        states = {"complete": names.COMPLETE, "pruned": names.PRUNED, "failed": names.FAIL}
        for key, said in {"value": value, "run": run, "error": error, "seconds": round(seconds, 3)}.items():
            trial.set_user_attr(key, said)
        self.study.tell(trial, value if state == "complete" else None, states[state])

    def importance(self) -> dict[str, float]:
        """The share of the values' variance that each field explains, by a random forest over the complete trials
        (fANOVA, Hutter et al. 2014); empty below ten of them, where it would say nothing."""
        complete = [t for t in self.done() if t.state == "complete"]
        if len(complete) < 10 or len(self.ranges) < 2:
            return {}
        try:
            evaluator = self.optuna.importance.FanovaImportanceEvaluator(seed=self.seed)
            found = self.optuna.importance.get_param_importances(self.study, evaluator=evaluator)
        except (ImportError, RuntimeError, ValueError):  # all values equal, or a forest that cannot be grown
            return {}
        return {name: round(float(share), 3) for name, share in found.items()}


class Watch:
    """Told of a trial's monitor as it trains; answers whether the trial is hopeless: at the same share of its budget
    its best value is worse than the median of the others' best. Values reported are the best so far."""

    def __init__(self, trial: Any) -> None:
        self.trial = trial
        self.best = math.inf
        self.reported = 0
        self.stopped = False

    def __call__(self, row: Mapping[str, float]) -> bool:
        value = row["monitor"]
        self.best = min(self.best, value) if math.isfinite(value) else self.best
        moment = min(MOMENTS, int(row["progress"] * MOMENTS + 1e-6))
        for step in range(self.reported + 1, moment + 1):
            self.trial.report(self.best, step)
        self.reported = max(self.reported, moment)
        # at the last moment there is nothing left to save
        self.stopped = 0 < moment < MOMENTS and bool(self.trial.should_prune())
        return self.stopped


def load_optuna() -> Any:
    """The optuna module, quiet. Raises NotFound with what to install."""
    try:
        import optuna
    except ImportError:
        raise NotFound('tune needs optuna, which is not installed: pip install "genloom[tune]"') from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", module=r"optuna\..*")
    return optuna


def written(within: Range, value: Any) -> str:
    """A suggestion as it goes into the recipe: numbers on a scale with three digits."""
    if isinstance(within, Log | Linear):
        return repr(float(f"{value:.3g}"))
    return _text(value)


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else fields.shown(value)


def _stored(within: Range, value: Any) -> Any:
    return _text(value) if isinstance(within, Choice) else value


def _drop_torn_line(path: Path) -> None:
    """A process that is killed may leave half a line, on which the next one would be appended."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}") from None
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        from genloom.runs.files import write_atomic

        write_atomic(path, lambda p: _write(p, whole))


def reason(error: BaseException) -> str:
    """Why a trial failed, in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, GenloomError) else f"{type(error).__name__}: {text}"


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
