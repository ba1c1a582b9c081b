"""Every recipe's smoke variant, from training to evaluation, through the command line. `make trials`.

Prints a line a recipe and leaves nothing behind; exits 1 where one failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from pathlib import Path

from genloom.cli.main import main
from genloom.recipes.registry import entries


def trial(name: str, smoke: dict[str, object], folder: Path) -> str:
    """Trains, samples and evaluates one recipe; returns what to print, or raises AssertionError."""
    run = folder / name
    overrides = [part for key, value in smoke.items() for part in (f"--{key}", _written(value))]
    steps: list[list[str]] = [["train", name, "--runs", str(folder), "--name", name, *overrides]]
    out = "x.txt" if smoke.get("data.source") == "python-stdlib" or "data.context" in smoke else "x.png"
    steps.append(["sample", str(run), "-n", "8", "--out", str(folder / f"{name}-{out}")])
    steps.append(["evaluate", str(run), "-n", "64", "--json"])
    printed = io.StringIO()
    for step in steps:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            code = main(step)
        assert not code, f"`genloom {' '.join(step)}` ended with {code}"
    return ", ".join(f"{m['name']} {m['value']:.3g}" for m in json.loads(printed.getvalue())["results"])


def _written(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_all() -> int:
    """The number of recipes that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for entry in entries():
            begun = time.monotonic()
            try:
                said = trial(entry.name, dict(entry.smoke), Path(folder))
            except (AssertionError, SystemExit) as e:
                failed, said = failed + 1, f"FAILED: {e}"
            sys.stdout.write(f"{entry.name:16s} {time.monotonic() - begun:5.1f} s  {said}\n")
    return failed


if __name__ == "__main__":
    sys.exit(1 if run_all() else 0)
