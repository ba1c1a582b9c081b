"""What the page shows of plain data: which charts a run gets, which columns a leaderboard."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from genloom.report.charts import Line, Rung, Spot, columns, ladder, lines, logarithmic, scatter
from genloom.report.content import Comparison, Estimate, Finding, ReportRun
from genloom.report.numbers import number
from genloom.report.words import judged, listed

# Scalars that say how a run went rather than what it learnt: kept in metrics.jsonl, not drawn.
_ASIDE = ("step", "items", "seconds", "progress", "items_per_second", "attempt")
_ASIDE_PREFIXES = ("rate/", "gradient/", "time/", "memory/")
_LEVELS = ("serious", "warning", "note")


def curves(run: ReportRun, ident: str) -> tuple[list[Markup], list[Markup]]:
    """Charts over seconds. The first list says how good it became: losses, monitor, classes; the second has each other
    part that the model reports."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in run.rows:
        for key, value in row.items():
            number_ = isinstance(value, int | float) and not isinstance(value, bool)
            if number_ and key not in _ASIDE and not key.startswith(_ASIDE_PREFIXES):
                found.setdefault(key, []).append((float(row.get("seconds", row.get("step", 0))), float(value)))
    losses = [Line(key.removeprefix("loss/"), points) for key, points in found.items() if key.startswith("loss/")]
    charts = [lines("Training loss", losses, f"{ident}-loss")]
    if "monitor" in found:
        title = "Held-out loss" if run.monitor == "validation" else run.monitor.capitalize().replace("-", " ")
        charts.append(lines(title, [Line(run.monitor, found["monitor"], marked=True)], f"{ident}-monitor"))
    others: dict[tuple[str, str], list[Line]] = {}
    for key, points in found.items():
        if not key.startswith("loss/") and key != "monitor" and len(points) > 1:
            parts = [part.replace("_", " ") for part in key.split("/")]
            # "vae/kl" is a chart of its own, "watch/moved/generator" one of several lines of the chart "moved"
            group = (parts[0], parts[1]) if len(parts) > 2 else (key, parts[-1])
            others.setdefault(group, []).append(Line(parts[-1], points))
    more = [lines(_heading(title), s, f"{ident}-{i}") for i, ((_, title), s) in enumerate(others.items())]
    shares = [r for r in run.evaluation.get("results", ()) if r["key"].startswith("share:")]
    if 2 <= len(shares) <= 20:
        entries = [
            (r["key"].removeprefix("share:"), r["value"], r["interval"], r["protocol"].get("held_out_share"))
            for r in shares
        ]
        charts.append(columns("Classes among the samples", entries, "The ticks are held-out items."))
    return [chart for chart in charts if chart], [chart for chart in more if chart]


def _heading(name: str) -> str:
    return name.upper() if len(name) <= 3 else name[0].upper() + name[1:]


def distances(runs: Sequence[ReportRun]) -> list[Markup]:
    """The Frechet distances of runs beside each other, one chart for each name and n."""
    groups: dict[tuple[str, int], list[Rung]] = {}
    for run in runs:
        fd = run.result("fd")
        if fd is not None and fd["value"] is not None:
            floor, ends = fd["protocol"].get("floor"), fd.get("interval")
            rung = Rung(run.name, float(fd["value"]), (ends[0], ends[1]) if ends else None, floor=floor)
            groups.setdefault((fd["name"], fd["n"]), []).append(rung)
    said = "Lower is better. The tick is the floor: what real items score."
    return [ladder(f"{name}, n = {n:,}", rungs, said) for (name, n), rungs in groups.items() if len(rungs) > 1]


SHARED = frozenset(("class", "features", "seed", "split", "data", "size", "version"))  # the same for all of a run


def protocol(run: ReportRun) -> list[tuple[Mapping[str, Any], str]]:
    """Each figure with what its value depends on, in one line; of its kind's next ones, what differs from the first."""
    out: list[tuple[Mapping[str, Any], str]] = []
    first: tuple[str, dict[str, str]] = ("", {})
    for result in run.evaluation.get("results", ()):
        facts = {
            k.replace("_", " "): _fact(v)
            for k, v in result.get("protocol", {}).items()
            if v is not None and k not in SHARED
        }
        kind, colon, _ = result["key"].partition(":")
        told = facts
        if colon and kind == first[0] and facts.keys() == first[1].keys():
            told = {k: v for k, v in facts.items() if v != first[1][k]}
        else:
            first = (kind, facts)
        words = [f"{k} {v}" for k, v in told.items()]
        out.append((result, ", ".join([*([] if told is facts else ["as above"]), *words])))
    return out


def _fact(value: Any) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def findings(run: ReportRun) -> list[Finding]:
    """What ails a run, the worst first."""
    return sorted(run.health, key=lambda f: _LEVELS.index(f.level) if f.level in _LEVELS else 1)


def board(comparison: Comparison) -> dict[str, Any]:
    """The leaderboard: its rows by rank, its columns of other figures, its charts."""
    standings = sorted(comparison.standings, key=lambda s: s.rank)
    known = {key for s in standings for key in s.figures}
    keys = [k for k in comparison.labels if k in known and k != comparison.key and not k.endswith("_real")]
    return {
        "rows": [(s, s.figures.get(comparison.key), listed(s.tied if judged(comparison) else ())) for s in standings],
        "others": [
            (key, re.sub(r"\([^()]*@[^()]*\)", "", comparison.labels[key][0]), comparison.labels[key][1])
            for key in keys
        ],
        "charts": [chart for chart in (_rungs(comparison), _time(comparison)) if chart],
        "corner": _corner(comparison),
        "blind": comparison.blind if _relative(comparison.blind) else "",
    }


def _relative(address: str) -> bool:
    """Whether an address leads to a neighbouring file, and can do nothing else."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)*", address))


def _rungs(comparison: Comparison) -> Markup:
    standings = [s for s in sorted(comparison.standings, key=lambda s: s.rank) if comparison.key in s.figures]
    rungs = [
        Rung(s.name, s.figures[comparison.key].value, s.figures[comparison.key].interval,
             s.figures[comparison.key].values, comparison.floor) for s in standings
    ]  # fmt: skip
    marks = ["large marks are means"]
    if any(len(r.values) > 1 for r in rungs):
        marks.append("small dots single seeds")
    if any(r.interval for r in rungs):
        marks.append("whiskers 95% intervals")
    if comparison.floor is not None:
        marks.append("the tick real data")
    said = f"{comparison.better.capitalize()} is better; {', '.join(marks)}."
    return ladder(comparison.name, rungs, said)


def _time(comparison: Comparison) -> Markup:
    standings = sorted(comparison.standings, key=lambda s: s.rank)
    series = [
        Line(s.name, [p[:2] for p in s.curve.points], [p[2:] for p in s.curve.points], marked=len(s.curve.points) <= 30)
        for s in standings
        if s.curve is not None and s.curve.points
    ]
    log = logarithmic([y for line in series for _, y in line.points])
    words = ["The band is the range over seeds."] if any(a < b for s in series for a, b in s.band) else []
    if log:
        words.append("The axis of values is logarithmic.")
    return lines("Quality against training time", series, "quality", log=log, last=False, note=" ".join(words))


def _corner(comparison: Comparison) -> Markup:
    spots: list[Spot] = []
    real: dict[str, Estimate] = {}
    for s in sorted(comparison.standings, key=lambda s: s.rank):
        precision, recall = s.figures.get("precision"), s.figures.get("recall")
        if precision is not None and recall is not None:
            spots.append(Spot(s.name, recall.value, precision.value, recall.interval, precision.interval))
        real |= {k: e for k, e in s.figures.items() if k in ("precision_real", "recall_real")}
    if not spots:
        return Markup("")
    if len(real) == 2:
        spots.append(_real(real["recall_real"], real["precision_real"]))
    said = "Up: more samples look real. Right: more of the real variety is covered. Whiskers are 95% intervals."
    return scatter("Fidelity and diversity", spots, "recall", "precision", said)


def _real(recall: Estimate, precision: Estimate) -> Spot:
    return Spot("real data", recall.value, precision.value, real=True)


def pretty(value: Any) -> str:
    """A configuration as it is read."""
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
