"""`genloom compare`: recipes on the same data, with the same budget and seeds, measured alike; a leaderboard.

comparisons/mnist-60s-1a2b3c/
  comparison.json   the plan, every run with its figures, the standings: enough to draw everything again
  runs/             a run directory for each contestant and seed
  report.html       the board, curves, samples and figures
  blind.html        a page to judge samples by without knowing who made them
  lock              held while the comparison goes on
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.compare import blind
from genloom.compare.board import comparison, complete_seeds, significance, table
from genloom.errors import BadData, BadValue, Busy, Damaged
from genloom.runs import read_json, write_json
from genloom.runs.files import storage
from genloom.verbs.places import check_writable
from genloom.verbs.results import Table, finite

if TYPE_CHECKING:
    from genloom.compare.plan import Plan
    from genloom.engine.journal import Reporter

FILE = "comparison.json"


@dataclass(frozen=True)
class Compared:
    """A comparison as far as it went. folder: where it lies; state: "finished" or "stopped"; record: what
    comparison.json holds; again: the command that goes on, or prints the board again."""

    folder: Path
    state: str
    record: Mapping[str, Any]
    again: str

    @property
    def table(self) -> Table | None:
        """The board over the seeds that are complete; None before the first is."""
        return table(self.record) if complete_seeds(self.record) else None

    def to_json(self) -> dict[str, Any]:
        """Where everything is, and all that was measured."""
        pages = {name: str(p) for name in ("report", "blind") if (p := self.folder / f"{name}.html").exists()}
        return {"folder": str(self.folder), "state": self.state, **pages, **self.record, "again": self.again}

    def __str__(self) -> str:
        lines = [str(self.table), ""] if self.table else []
        if self.state == "stopped":
            return "\n".join([*lines, f"stopped, everything is saved in {self.folder}", f"go on:  {self.again}"])
        pages = [str(p) for name in ("report.html", "blind.html") if (p := self.folder / name).exists()]
        return "\n".join([*lines, *pages, "open them in a browser; they need no network"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table._repr_html_() if self.table else f"<p>{self}</p>"


def compare(
    *recipes: str,
    data: str | Path | None = None,
    budget: str = "60s",
    seeds: int = 3,
    first_seed: int = 0,
    n: int | None = None,
    out: str | Path | None = None,
    curve: int = 4,
    engine: str = "local",
    workers: int | None = None,
    score: str | Path | Sequence[str | Path] | None = None,
    overrides: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    **fields: Any,
) -> Compared | Table:
    """Trains every recipe with every seed for the same budget on the same data, measures all alike, and ranks them.

    recipes: names, NAME:SIZE, or recipe files (.toml); data: None takes the first recipe's; n: samples measured of each
    run, at most as many as training items; out: the folder of the comparison; curve: points of quality against time,
    0 for none; engine: "local" trains one run after another, "ray" over a cluster, `workers` at a time (None: one a
    machine); score: files of votes to count instead. overrides, fields: fields of data and train, for all contestants.
    What was finished before is kept: the same call goes on where it stopped.
    Raises BadValue, BadData, NotFound, Busy, Storage, each in one line.
    """
    from genloom.engine.journal import Reporter

    values = {**(overrides or {}), **fields}
    if score is not None:
        if recipes:
            raise BadValue(f"--score reads votes and takes no recipes, got {recipes[0]!r}")
        return count_votes([score] if isinstance(score, str | Path) else score)
    if engine == "ray":
        from genloom.compare.cluster import need_ray

        need_ray()
    from genloom.compare.plan import make_plan
    from genloom.compare.rounds import Stopped, rounds

    plan, datasets = make_plan(recipes, data, budget, seeds, first_seed, n, curve, engine, workers, values)
    say = reporter or Reporter(sys.stderr)
    folder = plan.folder if out is None else Path(out)
    again = _again(recipes, data, budget, seeds, first_seed, n, out, curve, engine, workers, values)
    record = _begun(folder, plan)
    if record.get("state") == "finished" and (folder / "report.html").exists():
        return Compared(folder, "finished", record, again)
    for note in plan.notes:
        say.say(note)
    with _lock(folder):
        try:
            for board in rounds(plan, datasets, folder, record, say):
                record = board
                _print_board(record, say)
            _finish(folder, record, again, say)
        except (Stopped, KeyboardInterrupt):
            return Compared(folder, "stopped", read_json(folder / FILE), again)
    return Compared(folder, "finished", read_json(folder / FILE), again)


def count_votes(files: Sequence[str | Path]) -> Table:
    """What the votes that pages of blind trials saved amount to, with exact 95% intervals. Raises BadData, BadValue."""
    if not files:
        raise BadValue("--score needs a file of votes that a page of blind trials saved")
    votes = []
    for path in files:
        if not Path(path).is_file():
            raise BadValue(f"--score {path}: there is no such file; save the votes from the page first")
        try:
            votes.append(read_json(Path(path)))
        except Damaged as error:
            raise BadData(f"--score {path}: this is no file of votes: {error}") from error
    found, sides = blind.score(votes)
    rows = [(s.a, s.b, s.wins / s.n, f"{s.interval[0]:.0%} .. {s.interval[1]:.0%}", s.n) for s in found]
    notes = ["", "A share whose interval holds 50% is no evidence that the two can be told apart."]
    if sides.n:
        low, high = sides.interval
        side = "a side is preferred" if low > 0.5 or high < 0.5 else "no side is clearly preferred"
        notes.append(
            f"controls, the same item twice: left in {sides.wins} of {sides.n} ({low:.0%} .. {high:.0%}): {side}"
        )
    more = {"controls": asdict(sides), "exact": [asdict(s) for s in found]}
    return Table("scores", ("preferred", "to", "share", "95%, exact", "votes"), tuple(rows), tuple(notes), more)


def _again(
    recipes: Sequence[str], data: Any, budget: str, seeds: int, first_seed: int, n: int | None, out: Any, curve: int,
    engine: str, workers: int | None, values: Mapping[str, Any],
) -> str:  # fmt: skip
    """The command that goes on with this comparison."""

    from genloom.recipes.fields import shown

    given: list[tuple[str, Any]] = [("data", data), ("budget", budget), ("seeds", seeds)]
    usual = (("first-seed", first_seed, 0), ("n", n, None), ("out", out, None), ("curve", curve, 4),
             ("engine", engine, "local"), ("workers", workers, None))  # fmt: skip
    given += [(name, value) for name, value, default in usual if value != default]
    given += list(values.items())
    words = ["genloom", "compare", *recipes]
    for name, value in given:
        if name == "data" and value is None:
            continue
        words += [f"--{name}", *([] if value is None else [shown(value)])]
    return shlex.join(words)


def _begun(folder: Path, plan: Plan) -> dict[str, Any]:
    """The record of this comparison: the one that lies in `folder`, or a new one.

    Raises BadValue where the folder holds something else, Storage where it cannot be written.
    """
    check_writable(folder, "--out")
    path = folder / FILE
    if path.exists():
        record = read_json(path)
        if not isinstance(record, dict) or record.get("identity") != plan.identity:
            was = record.get("plan", {}) if isinstance(record, dict) else {}
            words = " ".join(c["word"] for c in was.get("contestants", ()))
            raise BadValue(
                f"--out {folder} holds another comparison ({words} on {was.get('data')}, {was.get('budget')}, "
                f"{len(was.get('seeds', ()))} seeds, n = {was.get('n')}): choose another folder"
            )
        return {**record, "plan": {**plan.facts(), "notes": list(plan.notes)}}
    if folder.exists() and any(folder.iterdir()):
        raise BadValue(f"--out {folder} is not empty and holds no comparison: choose another folder")
    record = {
        "format": plan.facts()["format"],
        "identity": plan.identity,
        "state": "running",
        "plan": {**plan.facts(), "notes": list(plan.notes)},
        "runs": [],
    }
    with storage(folder):
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    return record


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Held while a comparison goes on. Raises Busy."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock")
    with storage(folder / "lock"):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Busy(
                f"{folder} is being worked on by another process: wait for it, or choose another --out"
            ) from error
    try:
        yield
    finally:
        lock.release()


def _print_board(record: Mapping[str, Any], say: Reporter) -> None:
    if len(complete_seeds(record)) < len(record["plan"]["seeds"]):
        for line in str(table(record)).splitlines():
            say.say(line)


def _finish(folder: Path, record: dict[str, Any], again: str, say: Reporter) -> None:
    from genloom.compare.pages import write_pages

    board = comparison(record)
    standings = [{**asdict(replace(s, samples=None))} for s in board.standings]
    done = {"floor": board.floor, "standings": standings, "significance": significance(record), "test": board.test}
    record = {**record, **done, "made": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    write_json(folder / FILE, finite(record))
    write_pages(record, folder, again, say)
    write_json(folder / FILE, finite({**record, "state": "finished"}))
