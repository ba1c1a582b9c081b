"""`genloom experiment collapse`: generations of models that learn from each other's samples, and what that does.

experiments/collapse-vae-digits-1a2b3c/
  experiment.json   the plan, every run with its figures, the verdicts: enough to draw the page again
  runs/             a run directory for each generation
  data/, samples/   what each generation learnt from, and what it drew
  report.html       figures over generations for each share of fresh data, samples, verdicts
  lock              held while the experiment goes on
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.runs import read_json, write_json
from genloom.runs.files import storage
from genloom.verbs.places import check_writable
from genloom.verbs.results import Table, cell, finite

if TYPE_CHECKING:
    from genloom.compare.collapsing import Plan
    from genloom.engine.journal import Reporter

FILE, REPORT = "experiment.json", "report.html"


@dataclass(frozen=True)
class Collapsed:
    """An experiment as far as it went. folder: where it lies; state: "finished" or "stopped"; record: what
    experiment.json holds; again: the command that goes on, or prints the figures again."""

    folder: Path
    state: str
    record: Mapping[str, Any]
    again: str

    @property
    def table(self) -> Table:
        """The figures of every generation, the mean over seeds."""
        return figures_table(self.record)

    def to_json(self) -> dict[str, Any]:
        """Where everything is, and all that was measured."""
        page = {"report": str(self.folder / REPORT)} if (self.folder / REPORT).exists() else {}
        return {"folder": str(self.folder), "state": self.state, **page, **self.record, "again": self.again}

    def __str__(self) -> str:
        lines = [str(self.table), ""] if self.table.rows else []
        if self.state == "stopped":
            return "\n".join([*lines, f"stopped, everything is saved in {self.folder}", f"go on:  {self.again}"])
        said = [v["sentence"] for v in self.record["verdicts"]]
        return "\n".join([*lines, *said, self.record["summary"], "", str(self.folder / REPORT)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def collapse(
    recipe: str,
    data: str | Path | None = None,
    generations: int = 5,
    fresh: str | float | Sequence[float] = "0,0.1,0.5",
    budget: str = "30s",
    seeds: int = 1,
    first_seed: int = 0,
    n: int | None = None,
    items: int | None = None,
    size: str | None = None,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    **fields: Any,
) -> Collapsed:
    """Trains generation 0 of a recipe on real data, and each further one on the samples of the one before, mixed with a
    share of fresh real items; measures all of them on the real data.

    data: None takes the recipe's; generations: how many, the first among them; fresh: shares from 0 to 1, each a chain
    of its own; budget: of each run; seeds: chains of each share; n: samples in each of four measured sets (1,000);
    items: that a generation learns from (the training items, at most 5,000); out: the experiment's folder. overrides,
    fields: fields of the recipe. What was finished before is kept: the same call goes on where it stopped.
    Raises BadValue, BadData, NotFound, Busy, Storage, each in one line.
    """
    from genloom.compare.collapse_page import write_page
    from genloom.compare.collapse_words import judged
    from genloom.compare.collapsing import make_plan
    from genloom.compare.contest import _lock
    from genloom.compare.generations import Ruler, missing
    from genloom.compare.rounds import Stopped
    from genloom.engine.journal import Reporter

    values = {**(overrides or {}), **fields}
    plan, real = make_plan(recipe, data, generations, fresh, budget, seeds, first_seed, n, items, size, values)
    say = reporter or Reporter(sys.stderr)
    folder = plan.folder if out is None else Path(out)
    again = _again(recipe, data, generations, fresh, budget, seeds, first_seed, n, items, size, out, values)
    record = _begun(folder, plan)
    if record["state"] == "finished" and (folder / REPORT).exists():
        return Collapsed(folder, "finished", record, again)
    for note in plan.notes:
        say.say(note)
    with _lock(folder):
        try:
            for entry in missing(plan, real, folder, record, say):
                others = [e for e in record["runs"] if e["run"] != entry["run"]]
                record = {**record, "runs": [*others, entry]}
                write_json(folder / FILE, finite(record))
            record = {**record, "floors": Ruler(real, plan.n).floors()}
            record = {**record, **judged(record), "made": time.strftime("%Y-%m-%d %H:%M")}
            write_json(folder / FILE, finite(record))
            write_page(record, folder, real, again)
            write_json(folder / FILE, finite({**record, "state": "finished"}))
        except (Stopped, KeyboardInterrupt):
            return Collapsed(folder, "stopped", read_json(folder / FILE), again)
    return Collapsed(folder, "finished", read_json(folder / FILE), again)


def figures_table(record: Mapping[str, Any]) -> Table:
    """One row a share and generation: means over seeds and measured sets."""
    from genloom.compare.collapse_words import LABELS, chain, means

    keys = [k for k in LABELS if any(k in e["figures"] for e in record["runs"])]
    rows = []
    for share in record["plan"]["shares"]:
        for generation in range(record["plan"]["generations"]):
            found = [means(e) for e in chain(record, share, generation)]
            if found:
                shown = [cell(sum(f[k] for f in found) / len(found)) for k in keys]
                rows.append((f"{share:g}", generation, *shown))
    if record.get("floors"):
        rows.append(("real items", "", *(cell(record["floors"][k]) for k in keys)))
    return Table("generations", ("fresh", "generation", *(LABELS[k][0] for k in keys)), tuple(rows))


def _begun(folder: Path, plan: Plan) -> dict[str, Any]:
    """The record of this experiment: the one that lies in `folder`, or a new one.

    Raises BadValue where the folder holds something else, Storage where it cannot be written.
    """
    check_writable(folder, "--out")
    path = folder / FILE
    if path.exists():
        record = read_json(path)
        if not isinstance(record, dict) or record.get("identity") != plan.identity:
            was = record.get("plan", {}) if isinstance(record, dict) else {}
            raise BadValue(
                f"--out {folder} holds another experiment ({was.get('recipe')} on {was.get('data')}, "
                f"{was.get('budget')}, {was.get('generations')} generations): choose another folder"
            )
        return record
    if folder.exists() and any(folder.iterdir()):
        raise BadValue(f"--out {folder} is not empty and holds no experiment: choose another folder")
    record = {"identity": plan.identity, "state": "running", "plan": {**plan.facts(), "notes": list(plan.notes)},
              "runs": []}  # fmt: skip
    with storage(folder):
        for name in ("runs", "data", "samples"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    return record


def _again(
    recipe: str, data: Any, generations: int, fresh: Any, budget: str, seeds: int, first_seed: int, n: int | None,
    items: int | None, size: str | None, out: Any, values: Mapping[str, Any],
) -> str:  # fmt: skip
    """The command that goes on with this experiment."""
    from genloom.recipes.fields import shown

    shares = fresh if isinstance(fresh, str) else ",".join(f"{v:g}" for v in _listed(fresh))
    given: list[tuple[str, Any]] = [("data", data), ("generations", generations), ("fresh", shares), ("budget", budget)]
    usual = (("seeds", seeds, 1), ("first-seed", first_seed, 0), ("n", n, None), ("items", items, None),
             ("size", size, None), ("out", out, None))  # fmt: skip
    given += [(name, value) for name, value, default in usual if value != default]
    words = ["genloom", "experiment", "collapse", recipe]
    for name, value in [*given, *values.items()]:
        if name == "data" and value is None:
            continue
        words += [f"--{name}", *([] if value is None else [shown(value)])]
    return shlex.join(words)


def _listed(fresh: float | Sequence[float]) -> Sequence[float]:
    return [float(v) for v in fresh] if isinstance(fresh, Sequence) else [float(fresh)]
