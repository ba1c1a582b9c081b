"""Runs a program nobody has read, in a process of its own: for seconds, in little memory, without files and network.

A candidate of a language model is mostly wrong by accident: an endless loop, a list that grows for ever, a file written
to the wrong place. These are stopped. What stops them, and where:

  time      the process and all it started are killed after `seconds`; on POSIX the kernel also bounds processor time
  memory    RLIMIT_AS, on Linux (macOS does not keep to it, Windows has none)
  files     an empty temporary folder to be in; files of no bytes (RLIMIT_FSIZE 0) on POSIX; and an audit hook, which
  Python
            cannot take off again, that refuses to open anything but Python's own library for reading, to write, move
            and remove
  network   a network of its own with nobody on it, where the kernel lets users make one (Linux, `unshare`); the audit
  hook processes the audit hook refuses to start any, and native code (ctypes)

The audit hook is not a wall against somebody who knows Python's inside well: for code of an enemy use a virtual
machine. `-I -S` keep the user's settings, folders and packages out. What a candidate prints is thrown away. It passes
if the program comes to its end, which is told by a word drawn for the occasion: leaving early with status 0 is no pass.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["passed", "failed", "time", "memory", "refused"]


@dataclass(frozen=True)
class Limits:
    """seconds: of the clock; memory: megabytes of addresses, which Python itself takes a few dozen of."""

    seconds: float = 5.0
    memory: int = 512


@dataclass(frozen=True)
class Outcome:
    """verdict: passed all; failed a test or raised; ran out of time or memory; tried what is refused. detail: how."""

    verdict: Verdict
    detail: str = ""


# What the child does: limits itself, hooks every audited event, runs the program, and tells how it ended.
_CHILD = r"""
import json, os, sys
job = json.loads(sys.stdin.buffer.readline())
program, word, out = sys.stdin.read(), job["word"], os.dup(1)
quiet = os.open(os.devnull, os.O_WRONLY)
os.dup2(quiet, 1), os.dup2(quiet, 2)
try:
    import resource
    for name, bound in job["limits"].items():
        if hasattr(resource, name):
            try:
                resource.setrlimit(getattr(resource, name), (bound, bound))
            except (ValueError, OSError):
                pass
except ImportError:
    pass
home = tuple(os.path.realpath(p) + os.sep for p in {sys.prefix, sys.base_prefix, os.path.dirname(os.__file__)})
class Refused(BaseException):
    pass
state = {"tried": ""}
def hook(event, args, state=state, home=home, realpath=os.path.realpath, Refused=Refused):
    bad = event.startswith(("socket.", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "os.system",
        "os.kill", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
        "os.chown", "os.utime", "os.putenv", "os.chdir", "os.chflags", "os.setxattr", "shutil.",
        "ctypes.", "pty.", "ftplib.", "http.", "urllib.", "webbrowser.", "sqlite3.", "mmap.", "signal.pthread_kill",
        "resource.", "sys.settrace", "gc.get_objects", "gc.get_referrers", "_winapi.", "winreg."))
    if event == "open":
        path, mode, flags = args
        writes = (mode and any(c in mode for c in "wax+")) or (flags or 0) & 0x3
        bad = bool(writes) or isinstance(path, int) or not realpath(os_fsdecode(path)).startswith(home)
    if event in ("os.listdir", "os.scandir"):  # Python's own library is looked through to import from it
        path = args[0]
        bad = isinstance(path, int) or path is None or not (realpath(os_fsdecode(path)) + sep).startswith(home)
    if event == "import" and args[0] in ("ctypes", "_ctypes", "_posixsubprocess"):
        bad = True
    if bad:
        state["tried"] = event
        raise Refused(event)
os_fsdecode, sep = os.fsdecode, os.sep
code = None
verdict, detail = "failed", ""
try:
    code = compile(program, "candidate", "exec")
    sys.addaudithook(hook)
    exec(code, {"__name__": "__candidate__"})
    verdict = "passed"
except MemoryError:
    code = program = None
    verdict = "memory"
except BaseException as error:
    detail = type(error).__name__
if state["tried"] and verdict != "memory":
    verdict, detail = "refused", state["tried"]
os.write(out, (word + " " + verdict + " " + detail).encode())
"""


@functools.cache
def _alone() -> tuple[str, ...]:
    """What to put before a command for a network of its own; nothing where the system does not allow it."""
    tool = shutil.which("unshare")
    if sys.platform != "linux" or tool is None:
        return ()
    command = (tool, "--user", "--map-root-user", "--net")
    try:
        done = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if done.returncode == 0 else ()


def enforced() -> dict[str, str]:
    """What bounds a candidate on this system, by what."""
    posix, linux = os.name == "posix", sys.platform == "linux"
    return {
        "time": "killed after the clock's seconds" + (", and RLIMIT_CPU" if posix else ""),
        "memory": "RLIMIT_AS" if linux else "not bounded here",
        "files": "audit hook, empty folder" + (", RLIMIT_FSIZE 0" if posix else ""),
        "network": ("own network namespace, " if _alone() else "") + "audit hook",
        "processes": "audit hook" + (", killed with their group" if posix else ""),
    }


def run(program: str, limits: Limits = Limits()) -> Outcome:
    """Runs a program to its end, or to a limit."""
    word = secrets.token_hex(16)
    bounds = {
        "RLIMIT_CPU": int(limits.seconds) + 1, "RLIMIT_AS": limits.memory << 20, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
    }  # fmt: skip
    job = json.dumps({"word": word, "limits": bounds})
    with tempfile.TemporaryDirectory(prefix="genloom-candidate-") as folder:
        child = subprocess.Popen(
            [*_alone(), sys.executable, "-I", "-S", "-B", "-W", "ignore", "-c", _CHILD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder,
            env={"PATH": os.defpath, "PYTHONHASHSEED": "0"}, start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = child.communicate(f"{job}\n{program}".encode("utf-8", "replace"), timeout=limits.seconds)
        except subprocess.TimeoutExpired:
            _kill(child)
            child.communicate()
            return Outcome("time", f"more than {limits.seconds:g} s")
        finally:
            _kill(child)
    told = said.decode("utf-8", "replace").split(" ", 2)
    if len(told) == 3 and told[0] == word:
        return Outcome(told[1], told[2])  # type: ignore[arg-type]
    if child.returncode == -getattr(signal, "SIGXCPU", 24):
        return Outcome("time", "processor time")
    return Outcome("failed", f"left with status {child.returncode}")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """The process and those it started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        child.kill()
