"""What a search found, said honestly: the trials, the best of them, and whether it beats the recipe beyond noise."""

from __future__ import annotations

import html
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from genloom.compare.trials import Trial
from genloom.verbs.results import Table, cell

MONITORS = {
    "validation": "loss on held-out items",
    "sliced-wasserstein": "sliced Wasserstein distance to held-out items",
}


@dataclass(frozen=True)
class Verdict:
    """The recipe as it is against the tuned one, over several seeds. default, tuned: monitors, one a seed; gain: how
    much lower the tuned one's mean is; low, high: its 95% interval, None where too few runs show the noise."""

    default: tuple[float, ...]
    tuned: tuple[float, ...]
    gain: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def beyond_noise(self) -> bool | None:
        """Whether the tuned recipe is better beyond the noise between seeds; None where nobody knows."""
        return None if self.low is None else self.low > 0

    def __str__(self) -> str:
        if self.gain is None or self.low is None or self.high is None:
            return "one run each: whether the difference is more than noise is not known (--confirm 2 would tell)"
        means = f"{cell(statistics.fmean(self.tuned))} against {cell(statistics.fmean(self.default))}"
        runs = f"{len(self.tuned)} and {len(self.default)} runs with different seeds"
        size = f"{abs(self.gain):.3g} (95% interval {self.low:.3g} to {self.high:.3g})"
        if self.low > 0:
            return f"better than the recipe as it was, beyond noise: {means}, lower by {size}; {runs}"
        if self.high < 0:
            return f"worse than the recipe as it was: {means}, higher by {size}; {runs}: keep the recipe"
        return f"not better beyond noise: {means}, a difference of {size}, which holds 0; {runs}"


def judge(default: Sequence[float], tuned: Sequence[float]) -> Verdict:
    """Compares two groups of runs by a t interval with a common variance.

    tuned must leave out the run by which the candidate was chosen: the least of many noisy values is too good.
    """
    freedom = len(default) + len(tuned) - 2
    if not default or not tuned or freedom < 1:
        return Verdict(tuple(default), tuple(tuned))
    from scipy.stats import t

    gain = statistics.fmean(default) - statistics.fmean(tuned)
    squares = sum((v - statistics.fmean(group)) ** 2 for group in (default, tuned) for v in group)
    half = float(t.ppf(0.975, freedom)) * math.sqrt(squares / freedom * (1 / len(default) + 1 / len(tuned)))
    return Verdict(tuple(default), tuple(tuned), gain, gain - half, gain + half)


@dataclass(frozen=True)
class Tuned:
    """A search. state: "finished" or "stopped" (the same command goes on); folder: where its runs and records lie;
    file: the recipe file, None while there is nothing to write; best: the number of the best trial."""

    recipe: str
    data: str
    state: str
    folder: Path
    file: Path | None
    monitor: str
    trial_budget: str
    seconds: float
    asked: int
    ranges: Mapping[str, str]
    trials: tuple[Trial, ...]
    best: int | None
    changes: Mapping[str, str]
    verdict: Verdict | None
    importance: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, as tuning.json holds it."""
        data = {k: v for k, v in vars(self).items() if k not in ("trials", "verdict", "folder", "file")}
        verdict = None
        if self.verdict is not None:
            verdict = {**asdict(self.verdict), "beyond_noise": self.verdict.beyond_noise, "text": str(self.verdict)}
        return {
            **data,
            "folder": str(self.folder),
            "file": None if self.file is None else str(self.file),
            "trials": [asdict(t) for t in self.trials],
            "verdict": verdict,
            "counts": self.counts,
            "notes": list(self.notes),
        }

    @property
    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        return {state: sum(t.state == state for t in self.trials) for state in ("complete", "pruned", "failed")}

    def table(self) -> Table:
        """The trials, one a row."""
        names = [short(path, self.ranges) for path in self.ranges]
        rows = [
            (t.number, *(t.values[p] for p in self.ranges), t.value, round(t.seconds, 1), self._said(t))
            for t in self.trials
        ]
        columns = ("trial", *names, "monitor", "seconds", "")
        return Table("trials", columns, tuple(rows), tuple(self.lines()))

    def _said(self, trial: Trial) -> str:
        said = {"complete": "", "pruned": "stopped early", "failed": f"failed: {trial.error}"}[trial.state]
        marks = ["the recipe as it is"] * (trial.number == 1) + ["best"] * (trial.number == self.best)
        return ", ".join(filter(None, [*marks, said]))

    def lines(self) -> list[str]:
        """What there is to say below the table."""
        lines = ["", f"monitor: {MONITORS.get(self.monitor, self.monitor)}, lower is better; {self.counted()}"]
        if self.importance:
            shares = ", ".join(f"{short(p, self.ranges)} {share:.0%}" for p, share in self.importance.items())
            lines.append(f"what mattered (share of the variance over complete trials): {shares}")
        if self.best == 1 and len(self.trials) > 1:
            lines.append("nothing tried was better than the recipe as it is")
        elif self.changes:
            lines.append("best: " + "  ".join(f"{path} {value}" for path, value in self.changes.items()))
        if self.verdict is not None:
            lines.append(str(self.verdict))
        lines += self.notes
        if self.state == "stopped":
            lines.append("stopped; the same command goes on")
        if self.file is not None:
            lines += [str(self.file), f"next:   {self.command}"]
        return lines

    def counted(self) -> str:
        """How many trials of how long, in words."""
        c = self.counts
        ended = ", ".join(
            f"{n} {word}" for n, word in ((c["complete"], "complete"), (c["pruned"], "stopped early"),
                                          (c["failed"], "failed")) if n
        )  # fmt: skip
        return f"{len(self.trials)} of {self.asked} trials of {self.trial_budget} ({ended})"

    @property
    def command(self) -> str:
        """How to train what was found."""
        data = f" --data {self.data}" if self.data else ""
        return f"genloom train {self.file}{data}"

    def __str__(self) -> str:
        return str(self.table())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table()._repr_html_() + (f"<p>{html.escape(self.command)}</p>" if self.file else "")


def short(path: str, among: Mapping[str, Any]) -> str:
    """The end of a dotted path, as long as it must be to differ from the others."""
    parts = path.split(".")
    for length in range(1, len(parts)):
        end = ".".join(parts[-length:])
        if sum(p == end or p.endswith("." + end) for p in among) == 1:
            return end
    return path
