"""`genloom tune`: searches a recipe's ranges for better values, under equal budgets, and writes a recipe file.

RUNS/tune-RECIPE-HASH/
  tuning.json    what was asked for, all trials, the verdict
  trials.log     Optuna's journal: the same command goes on from it
  runs/          a run directory for every trial; checkpoints are kept of the first and the best
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.compare.asked import (
    Asked,
    as_trial,
    confirmations,
    identity,
    refuse_fixed,
    searched,
    seconds_of,
    share_of,
)
from genloom.compare.trials import load_optuna
from genloom.compare.tuned import Tuned
from genloom.compare.tuning import Tuning
from genloom.errors import BadValue
from genloom.recipes import files
from genloom.verbs.places import check_count, check_writable
from genloom.verbs.train import settled

if TYPE_CHECKING:
    from genloom.engine.journal import Reporter


def tune(
    recipe: str,
    data: Any = None,
    trials: int = 20,
    budget: str = "30m",
    trial_budget: str = "auto",
    confirm: int = 2,
    seed: int = 0,
    size: str | None = None,
    ranges: str | Mapping[str, Any] = "",
    out: str | Path | None = None,
    runs: str | Path = "runs",
    *,
    overrides: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    **fields: Any,
) -> Tuned:
    """Tries values of a recipe's fields within its ranges, each trial under the same budget, and writes a recipe file.

    The first trial is the recipe as it is; the others are suggested by a TPE sampler; those that are behind the median
    are stopped early. What is compared is the run's monitor: the loss on held-out items, or of GANs the sliced
    Wasserstein distance to them. At the end the best and the recipe as it is are trained again with `confirm` other
    seeds each. The same call goes on where an earlier one stopped.

    recipe: a name or a recipe file; budget: for everything together, a time; trial_budget: of each trial, any budget,
    or "auto" for an even share; ranges: further ranges, or other ones, by field: "lr=1e-4:1e-2:log;batch=32,64" or
    {"lr": Log(1e-4, 1e-2)}; out: the recipe file (tuned-RECIPE.toml); runs: the folder in which the search gets one.
    overrides, fields: fields that are given a value are not searched.
    Raises GenloomError in one line: no ranges, a budget too short for the trials, optuna missing.
    """
    from genloom import data as sets

    load_optuna()
    asked = Asked(check_count(trials, "--trials"), seconds_of(budget), confirmations(confirm))
    share = share_of(trial_budget, asked)
    given = {**(overrides or {}), **fields}
    settings = settled(recipe, data, None, seed, size, given)
    refuse_fixed(settings, given)
    within = searched(settings, given, ranges)
    out = Path(out) if out is not None else Path(f"tuned-{settings.recipe}.toml")
    if not files.is_file(out):
        raise BadValue(f"--out {out}: a recipe file ends in .toml")
    check_writable(out, "--out")
    check_writable(Path(runs), "--runs")
    dataset = sets.load(settings.data)
    own, settings = settings.train.budget, as_trial(settings, share, dataset)
    folder = Path(runs) / f"tune-{settings.recipe}-{identity(settings, within, dataset)}"
    _check_own(out, folder)
    shown = "" if data is None else data if isinstance(data, str | os.PathLike) else settings.data.source
    job = Tuning(folder, out, settings, dataset, within, asked, os.fspath(shown), size, own, reporter or _reporter())
    with job.alone():
        return job.run()


def _check_own(out: Path, folder: Path) -> None:
    """A file that somebody else wrote is not overwritten."""
    if out.exists() and f" in {folder.name}" not in out.read_text(encoding="utf-8", errors="replace"):
        raise BadValue(f"--out {out} exists and is not of this search: choose another --out, or move it away")


def _reporter() -> Reporter:
    from genloom.engine.journal import Reporter

    return Reporter(sys.stderr)
