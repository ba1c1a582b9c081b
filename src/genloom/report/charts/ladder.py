"""One figure of several models, each on its own line: the mean, its interval, each seed, and where real data stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from genloom.report.charts.axes import (
    COLOURS,
    Place,
    along,
    figure,
    log_ticks,
    logarithmic,
    mark,
    plain,
    rule,
    shape,
    text,
    ticks,
    told,
)
from genloom.report.numbers import number

WIDTH, RIGHT, STEP, HEAD, FOOT = 440, 62, 32, 8, 26
LETTERS = 18  # of a name that are drawn; the whole of it is told


@dataclass(frozen=True)
class Rung:
    """name, value: what is drawn; interval: its ends; values: of single seeds; floor: what real data score."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    values: Sequence[float] = ()
    floor: float | None = None


def ladder(title: str, rungs: Sequence[Rung], note: str = "") -> Markup:
    """Values on one axis, logarithmic where they are far apart. What is not finite is left out.

    note: a line below that says how to read it.
    """
    rows = [r for r in rungs if math.isfinite(r.value)]
    if not rows:
        return Markup("")
    everything = [v for r in rows for v in _values(r)]
    log = logarithmic(everything)
    low, high = min(everything), max(everything)
    if log:
        low, high = low / 1.25, high * 1.25
    else:
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        low, high = (0.0 if 0 <= low < 0.5 * high else low - margin), high + margin
    names = [r.name if len(r.name) <= LETTERS else r.name[: LETTERS - 1] + "\u2026" for r in rows]
    left = 18 + 8.6 * max(6, *(len(n) for n in names))
    at = along(low, high, left, WIDTH - RIGHT, log)
    bottom = HEAD + STEP * len(rows)
    parts = []
    for value in log_ticks(low, high) if log else ticks(low, high, 5):
        parts.append(rule(at(value), at(value), HEAD, bottom))
        parts.append(text(at(value), bottom + 14, mark(value), anchor="middle"))
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        parts.append(_rung(i, row, name, HEAD + STEP * (i + 0.5), left, at))
    spoken = "; ".join(f"{r.name} {number(float(r.value))}" for r in rows)
    axis = "The axis is logarithmic." if log else ""
    words = " ".join(filter(None, [note, axis]))
    return figure(title, f"{title}: {spoken}", WIDTH, bottom + FOOT, parts, kind="ladder", note=words)


def _values(row: Rung) -> list[float]:
    found = [row.value, *(row.interval or ()), *row.values, *([] if row.floor is None else [row.floor])]
    return [float(v) for v in found if math.isfinite(v)]


def _rung(i: int, row: Rung, name: str, y: float, left: float, at: Place) -> str:
    colour = i % COLOURS
    parts = [text(left - 16, y, name, "name", "end")]
    rightmost = at(row.value)
    if row.floor is not None and math.isfinite(row.floor):
        floor = at(row.floor)
        parts.append(rule(floor, at(row.value), y, y, f"gap c{colour}"))
        parts.append(rule(floor, floor, y - 8, y + 8, "floor"))
    if row.interval is not None and all(math.isfinite(v) for v in row.interval):
        low, high = (at(v) for v in row.interval)
        parts.append(rule(low, high, y, y, f"whisker c{colour}"))
        parts += [rule(end, end, y - 5, y + 5, f"whisker c{colour}") for end in (low, high)]
        rightmost = max(rightmost, high)
    for value in row.values if len(row.values) > 1 else ():
        parts.append(f'<circle class="seed c{colour}" cx="{plain(at(value))}" cy="{plain(y + 10)}" r="2"/>')
    tip = told(
        row.name,
        number(float(row.value)),
        f"95% interval: {number(row.interval[0])} to {number(row.interval[1])}" if row.interval else "",
        f"seeds: {', '.join(number(float(v)) for v in row.values)}" if len(row.values) > 1 else "",
        f"real data: {number(row.floor)}" if row.floor is not None else "",
    )
    parts.append(f'<path class="mark spot c{colour}" d="{shape(i, at(row.value), y, 5)}">{tip}</path>')
    parts.append(text(rightmost + 12, y, number(float(row.value)), "value"))
    return "".join(parts)
