"""Where a run's numbers go: metrics.jsonl, TensorBoard events, and a line that a person can follow."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from genloom.runs import Run


def duration(seconds: float) -> str:
    """42 s, 3:07 min or 1:02:03 h."""
    s = int(max(0, seconds) + 0.5)
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60}:{s % 60:02d} min"
    return f"{s // 3600}:{s // 60 % 60:02d}:{s % 60:02d} h"


class Reporter:
    """Speaks to the person: events as lines; the state of a run as one line that renews itself on a terminal, or as a
    plain line every ten seconds elsewhere. Silent with stream=None."""

    def __init__(self, stream: TextIO | None = sys.stderr, prefix: str = "") -> None:
        self.stream, self.prefix = stream, prefix
        self.live = bool(stream and stream.isatty())
        self._last = -math.inf
        self._width = 0

    def say(self, text: str) -> None:
        """One line that stays."""
        if self.stream:
            self._clear()
            print(f"{self.prefix}{text}", file=self.stream, flush=True)

    def tick(self, text: str) -> None:
        """The state of things, several times a second if need be."""
        now = time.monotonic()
        if not self.stream or now - self._last < (0.2 if self.live else 10.0):
            return
        self._last = now
        if self.live:
            line = f"{self.prefix}{text}"
            print("\r" + line.ljust(self._width), end="", file=self.stream, flush=True)
            self._width = len(line)
        else:
            print(f"{self.prefix}{text}", file=self.stream, flush=True)

    def _clear(self) -> None:
        if self.live and self._width:
            print("\r" + " " * self._width + "\r", end="", file=self.stream)
            self._width = 0


class Journal:
    """Writes the rows of one run. Only the leading process has one that writes."""

    def __init__(self, run: Run, reporter: Reporter, writes: bool = True) -> None:
        self.run, self.reporter, self.writes = run, reporter, writes
        self._events: Any = None
        self.heard: Callable[[Mapping[str, Any]], None] | None = None  # is told every row

    def row(self, step: int, values: Mapping[str, float | int | str]) -> None:
        """One row: into metrics.jsonl, and its numbers into the TensorBoard events."""
        if not self.writes:
            return
        clean = {k: (None if isinstance(v, float) and not math.isfinite(v) else v) for k, v in values.items()}
        self.run.append_metrics({"step": step, **clean})
        if self.heard is not None:
            self.heard({"step": step, **clean})
        events = self._writer()
        for key, value in clean.items():
            if isinstance(value, (int, float)):
                events.add_event(_event(key, float(value), step))

    def _writer(self) -> Any:
        if self._events is None:
            # the writer alone: the SummaryWriter of torch takes five times as long to import
            from tensorboard.summary.writer.event_file_writer import EventFileWriter

            self._events = EventFileWriter(str(self.run.path / "events"))
        return self._events

    def close(self) -> None:
        """Flushes everything."""
        if self._events is not None:
            self._events.close()
            self._events = None


def _event(tag: str, value: float, step: int) -> Any:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    return Event(wall_time=time.time(), step=step, summary=Summary(value=[Summary.Value(tag=tag, simple_value=value)]))
