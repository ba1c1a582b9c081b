"""How long a run lasts, and how far it has come.

Every schedule is a function of progress in [0, 1]. Where the budget counts steps, progress is step / total. Where it
counts seconds, progress is set at knots: at each, the steps that the remaining time will hold are predicted from the
measured speed, and progress then rises evenly towards 1. The knots are recorded, so that the run can be replayed.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass
from typing import Literal

from genloom.errors import BadValue

_UNITS = {"s": ("seconds", 1.0), "m": ("seconds", 60.0), "h": ("seconds", 3600.0), "d": ("seconds", 86400.0)}
_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class Budget:
    """kind: what is counted; amount: how much of it. `text` is what the user wrote."""

    kind: Literal["seconds", "steps", "items", "epochs"]
    amount: float
    text: str

    def steps(self, batch: int, items: int, keep_last: bool) -> int | None:
        """The steps this budget holds for a data set of `items`, or None where it counts seconds."""
        if self.kind == "seconds":
            return None
        if self.kind == "steps":
            return int(self.amount)
        if self.kind == "items":
            return max(1, math.ceil(self.amount / batch))
        per_epoch = math.ceil(items / batch) if keep_last else items / batch
        return max(1, math.ceil(self.amount * per_epoch - 1e-9))


def parse_budget(text: str) -> Budget:
    """ "5m", "300s", "1.5h", "2000steps", "1Mitems", "10epochs" -> Budget. Raises BadValue for anything else."""
    advice = 'expected a time or a count above 0 such as "90s", "5m", "1h", "2000steps", "1Mitems" or "10epochs"'
    m = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:([smhd])|([kMG]?)\s*(steps?|items?|epochs?))\s*", str(text))
    if not m:
        raise BadValue(f"budget {text!r}: {advice}")
    amount = float(m[1])
    if m[2]:
        kind, scale = _UNITS[m[2]]
    else:
        kind, scale = m[4].rstrip("s") + "s", _SCALE[m[3]]
    amount *= scale
    if amount <= 0 or (kind == "steps" and amount < 1):
        raise BadValue(f"budget {text!r}: {advice}")
    return Budget(kind, amount, str(text).strip())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Interval:
    """How often something happens: every so many seconds or steps."""

    seconds: float = math.inf
    steps: int = 0

    @staticmethod
    def parse(text: str) -> Interval:
        """ "30s", "2m" or "200steps"."""
        budget = parse_budget(text)
        if budget.kind == "seconds":
            return Interval(seconds=budget.amount)
        if budget.kind == "steps":
            return Interval(steps=int(budget.amount))
        raise BadValue(f'{text!r}: expected seconds or steps, such as "30s" or "200steps"')


class Timer:
    """Says when an Interval has passed again. Costly work spreads out: it may take a 40th of the time."""

    def __init__(self, interval: Interval, now: float = 0.0, step: int = 0) -> None:
        self.interval, self.last, self.last_step, self.wait = interval, now, step, interval.seconds

    def due(self, now: float, step: int) -> bool:
        """Whether it is time; `now` in seconds of the run's clock."""
        if self.interval.steps:
            return step - self.last_step >= self.interval.steps
        return now - self.last >= self.wait

    def done(self, now: float, step: int, cost: float = 0.0) -> None:
        """To be called after the work, with the seconds it cost."""
        self.last, self.last_step = now, step
        self.wait = max(self.interval.seconds, 40.0 * cost)


class Clock:
    """Progress of a run. A knot (step, progress, left) says: from this step, `left` steps lead evenly to progress 1."""

    def __init__(
        self,
        *,
        total: int | None = None,
        seconds: float | None = None,
        reserve: float = 0.0,
        knots: list[tuple[int, float, int]] | None = None,
        replay: bool = False,
        elapsed: float = 0.0,
        started: float | None = None,
        alone: bool = True,
    ) -> None:
        """total: steps, where they are counted; seconds: the budget otherwise, `reserve` of them for what comes after
        the last step. replay: follow the given knots and never look at the time. elapsed: seconds spent before this
        process; started: when this process's share of the clock began (time.monotonic()). alone: no other
        process has to agree when the time is looked at, so it can be looked at before every step."""
        self.total, self.seconds, self.reserve, self.replay = total, seconds, reserve, replay
        self.base, self.start = elapsed, time.monotonic() if started is None else started
        self.knots: list[tuple[int, float, int]] = [(int(a), float(b), int(c)) for a, b, c in knots or []]
        if total is not None and not self.knots:
            self.knots = [(0, 0.0, total)]
        self.alone, self._looked = alone, -math.inf
        self._pause = max(0.5, seconds / 500) if seconds is not None else math.inf
        self._speed: float | None = None
        self._mark: tuple[int, float] | None = None
        self._next = self._played = 0

    def elapsed(self) -> float:
        """Seconds of the run so far, in this and earlier processes."""
        return self.base + time.monotonic() - self.start

    @property
    def timed(self) -> bool:
        """Whether the wall clock decides when to stop."""
        return self.total is None and not self.replay

    def _knot(self, step: int) -> tuple[int, float, int]:
        for knot in reversed(self.knots):
            if knot[0] <= step:
                return knot
        return (0, 0.0, 1)

    def progress(self, step: int) -> float:
        """The share of the budget spent before this step, in [0, 1]."""
        at, progress, left = self._knot(step)
        return min(1.0, progress + (1.0 - progress) * (step - at) / max(left, 1))

    def finished(self, step: int) -> bool:
        """Whether no step is left."""
        if not self.knots:
            return False
        at, _, left = self._knot(step)
        return step - at >= left

    def wants_knot(self, step: int) -> bool:
        """Whether the time should be looked at before this step (all processes then agree on the answer)."""
        if not self.timed:
            return False
        late = self.alone and self.elapsed() - self._looked > 2 * self._pause  # slower than was predicted
        return late or step >= self._next or self.finished(step)

    def measure(self, step: int) -> tuple[int, float, int]:
        """A new knot for this step, from the clock; `adopt` makes it count."""
        assert self.seconds is not None
        now = self.elapsed()
        limit = self.seconds - self.reserve
        if (
            self._mark is None or self._played < 3
        ):  # the first steps of a process allocate and warm up: they tell nothing
            self._mark = (step, now)
        elif step > self._mark[0]:
            speed = (step - self._mark[0]) / max(now - self._mark[1], 1e-6)
            # A geometric mean with what was known: previews come in bursts, and a machine may become ten times slower.
            self._speed = speed if self._speed is None else math.sqrt(speed * self._speed)
            self._mark = (step, now)
        self._played += 1
        # Slow first steps predict too few and let progress run ahead; it is never ahead of the time spent for long.
        share = min(1.0, now / limit)
        progress = self.progress(step) if self.knots else share
        # At 1 no phase is due any more: where the prediction ran out before the time, go back to the time.
        if progress > share + 0.02 or progress >= 1.0:
            progress = share
        if now >= limit:
            return (step, progress, 0)
        if (
            self._speed is None
        ):  # the very first steps: assume they take a fiftieth of the budget each, look again at once
            return (step, progress, 50)
        return (step, progress, max(1, round((limit - now) * self._speed)))

    def adopt(self, knot: tuple[int, float, int], speed: float | None = None) -> None:
        """Lets progress follow this knot. speed: steps a second, from the process whose clock counts."""
        self.knots.append(knot)
        speed = self._speed if speed is None else speed
        assert self.seconds is not None
        self._looked = self.elapsed()
        steps = 1 if speed is None else min(round(speed * self._pause), knot[2] // 2)
        self._next = knot[0] + max(1, steps)

    def rewind(self, step: int) -> None:
        """Forgets the knots after a step to which the run rolled back."""
        if self.timed:
            self.knots = [k for k in self.knots if k[0] <= step] or self.knots[:1]
            self._next, self._mark = 0, None

    @property
    def speed(self) -> float | None:
        """Steps a second, as last measured."""
        return self._speed

    def remaining(self, step: int) -> int:
        """Steps left, as now predicted."""
        at, _, left = self._knot(step)
        return max(0, left - (step - at))
