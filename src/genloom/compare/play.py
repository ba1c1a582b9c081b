"""Trains one run in a process of its own: memory and time are then that run's alone, and a crash takes nothing along.

    python -m genloom.compare.play RUN PREFIX

The process prints one JSON object: {"state"} or {"error", "kind"}. It stops cleanly when its standard input closes, so
that it does not outlive whoever started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genloom.errors import GenloomError
from genloom.runs import Run


@dataclass(frozen=True)
class Played:
    """state: "finished" or "stopped"; or what went wrong, in a line, and the kind of error."""

    state: str = ""
    error: str = ""
    kind: str = ""


def here(path: Path, prefix: str = "") -> Played:
    """Trains the run at `path`, or goes on with it, in this process."""
    from genloom.engine.journal import Reporter
    from genloom.verbs.train import Trained, train

    try:
        done = train(resume=Run(path), reporter=Reporter(sys.stderr, prefix))
    except GenloomError as error:
        return Played(error=" ".join(str(error).split()), kind=type(error).__name__)
    assert isinstance(done, Trained)  # a dry run was not asked for
    return Played(done.state)


def apart(path: Path, prefix: str = "") -> Played:
    """The same in a process of its own. Ctrl-C asks it to stop; a second one interrupts it."""
    command = [sys.executable, "-m", "genloom.compare.play", str(path), prefix]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        asked, lines = 0, []
        while True:
            try:
                line = process.stdout.readline()
                if not line:
                    process.wait()
                    break
                lines += [line] if line.startswith("{") else []
            except KeyboardInterrupt:
                asked += 1
                with contextlib.suppress(OSError):
                    process.send_signal(signal.SIGINT if asked < 3 else signal.SIGKILL)
    if not lines:
        if asked:
            return Played("stopped")
        died = -process.returncode if process.returncode < 0 else 0
        why = signal.Signals(died).name if died else f"exit code {process.returncode}"
        advice = "; was there enough memory?" if died == signal.SIGKILL else ""
        return Played(error=f"its process ended with {why}{advice}", kind="Crashed")
    return Played(**json.loads(lines[-1]))


def _stop_with_parent() -> None:
    """Asks this process to stop when its standard input ends."""

    def watch() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 1024):  # not through sys.stdin, whose lock would be held when Python ends
                pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, daemon=True).start()


def _main(arguments: list[str]) -> Any:
    answer, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints, stdout carries the answer alone
    _stop_with_parent()
    try:
        played = here(Path(arguments[0]), arguments[1] if len(arguments) > 1 else "")
    except KeyboardInterrupt:
        played = Played("stopped")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answer.write(json.dumps(vars(played)) + "\n")
    answer.flush()


if __name__ == "__main__":
    _main(sys.argv[1:])
