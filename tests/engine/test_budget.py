"""Budgets as people write them, and clocks that reach progress 1 exactly at the end."""

from __future__ import annotations

from itertools import pairwise

import pytest

from genloom.engine import budget as module
from genloom.engine.budget import Clock, Interval, Timer, parse_budget
from genloom.errors import BadValue


@pytest.mark.parametrize(
    ("text", "kind", "amount"),
    [
        ("5m", "seconds", 300),
        ("300s", "seconds", 300),
        ("1.5h", "seconds", 5400),
        (".5s", "seconds", 0.5),
        ("2000steps", "steps", 2000),
        ("1step", "steps", 1),
        ("1Mitems", "items", 1e6),
        ("10 epochs", "epochs", 10),
        ("0.5epochs", "epochs", 0.5),
        ("3ksteps", "steps", 3000),
    ],
)
def test_budgets_as_people_write_them(text: str, kind: str, amount: float) -> None:
    budget = parse_budget(text)
    assert (budget.kind, budget.amount) == (kind, amount)


@pytest.mark.parametrize(
    "text", ["0", "-1", "5x", "", "m", "0s", "0steps", "5", "1e3steps", "-5m", "nan", "5m5", "0.2steps"]
)
def test_bad_budgets_say_what_was_expected(text: str) -> None:
    with pytest.raises(BadValue, match=r"expected a time or a count above 0 such as"):
        parse_budget(text)


def test_steps_of_epochs_follow_the_last_batch_rule() -> None:
    assert parse_budget("10epochs").steps(64, 60_000, keep_last=True) == 9380
    assert parse_budget("10epochs").steps(64, 60_000, keep_last=False) == 9375
    assert parse_budget("1Mitems").steps(128, 60_000, keep_last=False) == 7813
    assert parse_budget("5m").steps(128, 60_000, keep_last=False) is None


def test_progress_of_counted_steps() -> None:
    clock = Clock(total=4)
    assert [clock.progress(i) for i in range(5)] == [0, 0.25, 0.5, 0.75, 1]
    assert [clock.finished(i) for i in range(5)] == [False] * 4 + [True]
    assert not clock.wants_knot(2)


class FakeTime:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def run_timed(clock: Clock, time: FakeTime, seconds_a_step: list[float]) -> list[float]:
    """Plays steps of given durations until the clock ends; returns the progress before each."""
    progress, step = [], 0
    while True:
        if clock.wants_knot(step):
            clock.adopt(clock.measure(step))
        if clock.finished(step):
            return progress
        progress.append(clock.progress(step))
        time.now += seconds_a_step[min(step, len(seconds_a_step) - 1)]
        step += 1


SLOW_START = [1.5] * 5 + [0.01]
SLOW_END = [0.01] * 1500 + [0.5]
FAST_END = [0.19] * 104 + [0.001]  # what was predicted is done with a little time left


@pytest.mark.parametrize(
    "pace", [[0.01], [1.0, 0.02], [0.02] * 300 + [0.05], [0.05] * 100 + [0.01], SLOW_START, SLOW_END, FAST_END, [3.0]]
)
def test_a_timed_run_ends_in_time_with_its_schedule_done(monkeypatch: pytest.MonkeyPatch, pace: list[float]) -> None:
    time = FakeTime()
    monkeypatch.setattr(module, "time", time)
    clock = Clock(seconds=20.0)
    progress = run_timed(clock, time, pace)
    assert progress[0] < 0.01
    assert max(progress) < 1  # at 1 no phase would be due
    if pace is not SLOW_START:  # there progress ran ahead, and is called back
        assert all(a <= b + 0.06 for a, b in pairwise(progress))
    if pace != [3.0]:
        assert 18.9 <= clock.elapsed() <= 20.5 + max(0.0, pace[-1])
        assert progress[-1] > (0.75 if pace is SLOW_END else 0.9)
    if pace not in (SLOW_END, FAST_END, [3.0]):  # the schedule reaches its end evenly
        assert 0.6 < progress[int(len(progress) * 0.75)] < 0.95


def test_a_replay_has_the_same_progress_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    time = FakeTime()
    monkeypatch.setattr(module, "time", time)
    clock = Clock(seconds=10.0)
    progress = run_timed(clock, time, [0.03, 0.01, 0.02])
    again = Clock(knots=list(clock.knots), replay=True)
    assert run_timed(again, time, [5.0]) == progress


def test_intervals_and_costly_work() -> None:
    with pytest.raises(BadValue):
        Interval.parse("3epochs")
    every_two = Timer(Interval.parse("2steps"))
    assert [every_two.due(0.0, i) for i in range(4)] == [False, False, True, True]
    timer = Timer(Interval.parse("10s"))
    assert not timer.due(9.0, 0)
    assert timer.due(10.0, 0)
    timer.done(10.0, 0, cost=5.0)  # work that took 5 s comes again after 200
    assert not timer.due(30.0, 0)
    assert timer.due(210.0, 0)
