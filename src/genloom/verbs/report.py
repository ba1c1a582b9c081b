"""`genloom report`: one page of one or several finished runs, to be kept or sent to somebody."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.verbs.opened import AnyRun, find_run
from genloom.verbs.places import check_count, check_writable
from genloom.verbs.results import size_text

if TYPE_CHECKING:
    from genloom.engine.journal import Reporter
    from genloom.report.content import Report
    from genloom.runs import Run


@dataclass(frozen=True)
class Reported:
    """The page that was written, and the runs it is about. size: bytes of the page."""

    report: Path
    runs: tuple[Run, ...]
    size: int

    def to_json(self) -> dict[str, Any]:
        """Where everything is."""
        return {"report": str(self.report), "runs": [str(r.path) for r in self.runs], "bytes": self.size}

    def __str__(self) -> str:
        return f"{self.report}\n{size_text(self.size)}; open it in a browser, it needs no network"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<a href="{self.report}">{self.report}</a>'


def check_page(out: str | Path) -> Path:
    """`out` as the path of a page that can be written. Raises BadValue or Storage."""
    path = Path(out)
    if path.suffix != ".html":
        raise BadValue(f"--out {out}: a report is written to .html, got {path.suffix!r}")
    check_writable(path, "--out")
    return path


def report(
    run: AnyRun | Sequence[AnyRun],
    *more: AnyRun,
    out: str | Path = "report.html",
    title: str = "",
    n: int | None = None,
    seed: int = 0,
    runs: str | Path = "runs",
) -> Reported:
    """Writes one self-contained HTML page about one or several runs: samples beside real items, nearest neighbours,
    walks, curves, figures, cost, and how to repeat it all.

    Figures that RUN/evaluation.json holds of the newest checkpoint are taken as they are; n: measure so many samples
    instead. Raises NotFound for no such run, BadValue where a run is named twice, Damaged for one without a checkpoint.
    """
    from genloom.engine.journal import Reporter
    from genloom.report.write import write_report

    place = check_page(out)
    if n is not None:
        check_count(n)
    asked = [*run, *more] if isinstance(run, list | tuple) else [run, *more]
    if not asked:
        raise BadValue("a report needs at least one run: `genloom runs` lists them")
    found = [find_run(one, runs) for one in asked]
    for i, one in enumerate(found):
        if any(one.path.resolve() == other.path.resolve() for other in found[:i]):
            raise BadValue(f"{one.path} is named twice: name each run once")
    again = f"genloom report {' '.join(str(r.path) for r in found)} --out {out}"
    again += (f" -n {n}" if n is not None else "") + (f" --seed {seed}" if seed else "")
    page = gather(found, title or _title(found), again, seed=seed, n=n, say=Reporter(sys.stderr))
    write_report(page, place)
    return Reported(place, tuple(found), place.stat().st_size)


def _title(runs: Sequence[Run]) -> str:
    if len(runs) == 1:
        return runs[0].name
    names = [r.name for r in runs]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) <= 4 else f"{len(names)} runs"


def gather(
    runs: Sequence[Run], title: str, again: str, *, seed: int = 0, n: int | None = None, say: Reporter | None = None
) -> Report:
    """All that a page says of these runs. again: the command that makes the page once more."""
    from genloom.report.content import Report
    from genloom.verbs.look import look

    shown, notes = [], {}
    for run in runs:
        if say is not None:
            say.say(f"{run.path}: samples and figures")
        one, note = look(run, seed, n)
        shown.append(one)
        notes[note.name, note.digest] = note
    return Report(
        title=title,
        runs=shown,
        data=tuple(notes.values()),
        commands=tuple(dict.fromkeys([*(one.command for one in shown), again])),
        versions=versions(runs),
        made=time.strftime("%Y-%m-%d %H:%M"),
    )


def versions(runs: Sequence[Run]) -> dict[str, str]:
    """What the runs were made with, by name; where they differ, each value once."""
    found: dict[str, list[str]] = {}
    for run in runs:
        for key, value in run.environment.items():
            if isinstance(value, str | int) and str(value) not in found.setdefault(key, []):
                found[key].append(str(value))
    return {key: ", ".join(values) for key, values in found.items()}
