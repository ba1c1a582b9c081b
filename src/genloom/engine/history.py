"""The numbers of a run as series over its steps, and what can be said of a noisy series without being fooled by it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST = 1024
"""Points kept of a series; older ones are then halved in number, neighbours averaged."""
IN_A_ROW = 3
"""Readings that must agree before anything is said."""


@dataclass
class Series:
    """Values of one quantity: `steps` and `values` of equal length, oldest first."""

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)

    def add(self, step: int, value: float) -> None:
        """One more value; the older half is thinned where there are many."""
        self.steps.append(step)
        self.values.append(value)
        if len(self.values) > MOST:
            half = MOST // 2
            old = np.array(self.values[:half]).reshape(-1, 2).mean(1).tolist()
            self.steps, self.values = self.steps[1:half:2] + self.steps[half:], old + self.values[half:]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]

    def recent(self, n: int) -> np.ndarray:
        """The newest n values."""
        return np.array(self.values[-n:])

    def since(self, step: int) -> Series:
        """The part from a step on."""
        at = next((i for i, s in enumerate(self.steps) if s >= step), len(self.steps))
        return Series(self.steps[at:], self.values[at:])

    def until(self, step: float) -> Series:
        """The part before a step."""
        at = next((i for i, s in enumerate(self.steps) if s >= step), len(self.steps))
        return Series(self.steps[:at], self.values[:at])

    def noise(self) -> float:
        """The standard deviation of one value around its trend, in which single jumps count for little: the median size
        of second differences (a steady slope has none), scaled so that it is right for independent normal noise.

        inf with fewer than five values: then nothing can be told from noise.
        """
        if len(self.values) < 5:
            return math.inf
        second = np.diff(np.array(self.values), 2)
        return float(1.4826 * np.median(np.abs(second)) / math.sqrt(6.0))

    def lowest(self) -> tuple[int, float]:
        """Where it was lowest: (index, value)."""
        at = int(np.argmin(self.values))
        return at, self.values[at]


class History:
    """All series of a run by name, fed with rows of metrics.jsonl; what is not a finite number is left out."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self.series: dict[str, Series] = {}
        self.events: list[tuple[int, str]] = []
        self.progress = 0.0
        self.step = 0
        for row in rows:
            self.add(row)

    def add(self, row: Mapping[str, Any]) -> None:
        """One more row."""
        self.step = step = int(row.get("step", 0))
        if isinstance(row.get("event"), str):
            self.events.append((step, row["event"]))
        for key, value in row.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                continue
            if key == "progress":
                self.progress = float(value)
            elif key not in ("step", "items", "seconds"):
                self.series.setdefault(key, Series()).add(step, float(value))

    def __getitem__(self, key: str) -> Series:
        """A series, empty where nothing was measured."""
        return self.series.get(key) or Series()

    def __contains__(self, key: str) -> bool:
        return key in self.series

    def ending(self, suffix: str, prefix: str = "") -> dict[str, Series]:
        """All series whose names begin and end so."""
        return {k: s for k, s in self.series.items() if k.startswith(prefix) and k.endswith(suffix)}


def lasting(series: Series, h: History, least: int, share: float = 0.0) -> np.ndarray | None:
    """The readings of the last `share` of the whole run, at least `least` of them; None where there are fewer."""
    if not len(series) or h.progress <= 0:
        return None
    window = series.since(round(h.step * (1 - share / max(h.progress, share, 1e-9))))
    values = window.values if len(window) >= least else series.values[-least:]
    return np.array(values) if len(values) >= least else None


def improves(monitor: Series, h: History, share: float, by: float = 0.02) -> bool | None:
    """Whether the best of the last `share` of the whole run is lower than the best before, by a share `by` of it; None
    where there are not three readings in it and one before."""
    now = len(monitor.since(round(h.step * (1 - share / max(h.progress, share)))))
    if now < 3 or now == len(monitor):
        return None
    return min(monitor.values[-now:]) < (1 - by) * min(monitor.values[:-now])


def before(series: Series, h: History, share: float) -> Series:
    """The readings that are older than the last `share` of the whole run."""
    return series.until(h.step * (1 - share / max(h.progress, share, 1e-9)))
