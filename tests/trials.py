"""Every recipe's smoke variant, from training to evaluation, through the command line. `make trials`.

    python tests/trials.py [RECIPE ...]

A recipe that stands on finished runs gets them from the recipes it names as partners, trained a moment before; each is
trained once. Prints a line a recipe and leaves nothing behind; exits 1 where one failed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genloom.cli.main import main
from genloom.core import CanSample, HasLikelihood, spec_from_json
from genloom.metrics.answers import told
from genloom.modalities import modality
from genloom.models.registry import model_class
from genloom.recipes.registry import entries, entry
from genloom.runs import Run


def command(words: list[str]) -> str:
    """What one command prints on stdout. Raises AssertionError where it fails."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(words)
    assert code == 0, f"`genloom {' '.join(words)}` ended with {code}"
    return printed.getvalue()


def trained(name: str, folder: Path, changed: Mapping[str, Any] = {}) -> Run:
    """The run of a recipe's smoke variant, `changed` where a partner must fit; its partners come first."""
    found = entry(name)
    smoke = {**found.smoke, **changed}
    own = "-".join(f"{key.rpartition('.')[2]}-{_written(value)}" for key, value in changed.items())
    run = Run(folder / "-".join(filter(None, (name, own))))
    if run.path.exists():
        return run
    overrides = [part for key, value in smoke.items() for part in (f"--{key}", _written(value))]
    for role, partner in found.partners.items():
        overrides += ["--given", f"{role}={trained(partner.recipe, folder, partner.smoke).path}"]
    command(["train", name, "--runs", str(folder), "--name", run.path.name, *overrides])
    return run


def trial(name: str, folder: Path) -> str:
    """Trains, samples and evaluates one recipe, as far as its model can; returns what to print, or raises
    AssertionError."""
    run = trained(name, folder)
    kind, spec = model_class(run.config["model"]), spec_from_json(run.config["spec"])
    if issubclass(kind, CanSample):
        item = next(f for f in spec.values() if f.role == "item")
        out = folder / f"{name}-sample{modality(item.modality).writes[0]}"
        asked = ["--prompt", "What does the text say?"] if told(spec) is not None else []
        command(["sample", str(run.path), "-n", "8", "--out", str(out), *asked])
    if not issubclass(kind, CanSample | HasLikelihood):
        return f"monitor {run.status['best']['value']:.3g}; nothing to sample or to measure"
    printed = command(["evaluate", str(run.path), "-n", "64", "--json"])
    return ", ".join(f"{m['name']} {m['value']:.3g}" for m in json.loads(printed)["results"])


def _written(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def run_all(names: list[str]) -> int:
    """The number of recipes that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in names or [e.name for e in entries()]:
            begun = time.monotonic()
            try:
                said = trial(name, Path(folder))
            except (Exception, SystemExit) as e:  # one that fails does not hide the others
                failed, said = failed + 1, f"FAILED: {type(e).__name__}: {e}"
            sys.stdout.write(f"{name:16s} {time.monotonic() - begun:5.1f} s  {said}\n")
            sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(1 if run_all(sys.argv[1:]) else 0)
