"""pass@k by counting, and candidates that mean harm."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from pathlib import Path

import pytest

from genloom.data.sets.functions import tasks
from genloom.errors import BadValue
from genloom.metrics.code.pass_at_k import mean_pass_at_k, pass_at_k
from genloom.metrics.code.sandbox import Limits, enforced, run

QUICK = Limits(seconds=20, memory=300)


@pytest.mark.parametrize(("n", "passed", "k"), [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 2), (4, 3, 2), (3, 1, 3)])
def test_pass_at_k_is_the_share_of_subsets_with_a_pass(n: int, passed: int, k: int) -> None:
    subsets = list(itertools.combinations([i < passed for i in range(n)], k))
    assert pass_at_k(n, passed, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_over_tasks() -> None:
    result = mean_pass_at_k([0, 4, 2], 4, 1)
    assert result.value == pytest.approx(0.5)
    assert result.interval is not None
    assert result.interval[0] < 0.5 < result.interval[1]
    with pytest.raises(BadValue, match="at least 5"):
        pass_at_k(4, 1, 5)


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("import math, re, collections, json, heapq\nassert math.sqrt(4) == 2", "passed"),
        ("assert 1 == 2", "failed"),
        ("def f(:", "failed"),
        ("def f(): return f()\nf()", "failed"),
        ("raise SystemExit(0)", "failed"),  # leaving early is no pass
        ("import posix\nposix._exit(0)", "failed"),
        ("print('passed\\n' * 10)\nassert False", "failed"),
        ("x = [0]\nwhile True: x = x * 2", "memory"),
        ("import os\nos.system('true')", "refused"),
        ("import subprocess\nsubprocess.run(['true'])", "refused"),
        ("import os\nos.fork()", "refused"),
        ("import ctypes", "refused"),
        ("import os\nos.kill(os.getppid(), 9)", "refused"),
        ("open('/etc/hostname').read()", "refused"),
        ("open('here.txt', 'w').write('x')", "refused"),
        ("try:\n    open('here.txt', 'w')\nexcept BaseException:\n    pass", "refused"),
    ],
)
def test_what_becomes_of_a_candidate(program: str, verdict: str) -> None:
    assert run(program, QUICK).verdict == verdict


def test_an_endless_loop_is_killed() -> None:
    assert run("while True: pass", Limits(seconds=1.5)).verdict == "time"


def test_files_outside_stay_as_they_are(tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    acts = (
        f"open({str(kept)!r}, 'w')",
        f"import os\nos.remove({str(kept)!r})",
        f"import os\nos.open({str(kept)!r}, 1)",
        f"import os\nos.rename({str(kept)!r}, 'x')",
        f"import shutil\nshutil.rmtree({str(tmp_path)!r})",
    )
    for act in acts:
        assert run(act, QUICK).verdict == "refused", act
    assert kept.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [kept]


def test_no_network() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    heard = []

    def listen() -> None:
        with contextlib.suppress(TimeoutError):
            heard.append(server.accept())

    listener = threading.Thread(target=listen)
    program = f"import socket\nsocket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
    assert run(program, QUICK).verdict == "refused"
    listener.start()
    listener.join()
    server.close()
    assert heard == []
    assert set(enforced()) == {"time", "memory", "files", "network", "processes"}


def test_tasks_are_right_and_apart() -> None:
    made = tasks()
    kinds = {part: {task.kind for task in found} for part, found in made.items()}
    assert not kinds["train"] & kinds["test"]
    assert not kinds["train"] & kinds["validation"]
    assert len(kinds["test"]) > 300
    for task in (*made["test"][:3], *made["train"][:3]):
        assert run(f"{task.prompt}{task.body}\n{task.tests}", QUICK).verdict == "passed"
        assert run(f"{task.prompt}    return None\n{task.tests}", QUICK).verdict == "failed"
    for task in made["test"][:200]:
        assert [wanted for _, wanted in task.examples] != [None] * len(task.examples)
