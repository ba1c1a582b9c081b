"""Values over time, one line a series, with a band where there are several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from genloom.report.charts.axes import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Place,
    along,
    figure,
    limits,
    log_ticks,
    mark,
    plain,
    rule,
    shape,
    text,
    ticks,
)
from genloom.report.numbers import number, seconds

Points = Sequence[tuple[float, float]]
MOST = 300  # points a line is drawn with


@dataclass(frozen=True)
class Line:
    """points: (seconds, value); band: (low, high) at each point, the range over seeds; marked: a mark at each point."""

    name: str
    points: Points
    band: Sequence[tuple[float, float]] = ()
    marked: bool = False


def thinned(points: Points, most: int = MOST) -> list[tuple[float, float]]:
    """At most about `most` points: means of neighbours, the last point as it is. What is not finite is left out."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(finite) <= most:
        return finite
    width = math.ceil(len(finite) / most)
    groups = [finite[i : i + width] for i in range(0, len(finite), width)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups] + [finite[-1]]


def lines(
    title: str,
    series: Sequence[Line],
    ident: str,
    *,
    log: bool = False,
    last: bool = True,
    note: str = "",
    unit: str = "",
) -> Markup:
    """A chart of values over seconds: a figure with its legend, each name with its last value where `last` asks for it.

    title: what is drawn; ident: unique on the page; log: a logarithmic axis of values, where all are above 0; unit:
    what is counted in whole numbers in place of seconds ("generation").
    """
    drawn = [(line, thinned(line.points)) for line in series]
    drawn = [(line, points) for line, points in drawn if points]
    if not drawn:
        return Markup("")
    values = [y for _, points in drawn for _, y in points]
    values += [end for line, _ in drawn for pair in line.band for end in pair if math.isfinite(end)]
    log = log and min(values) > 0
    xs = [x for _, points in drawn for x, _ in points]
    start, end = min(0.0, *xs), max(xs) or 1.0
    low, high = (min(values) / 1.15, max(values) * 1.15) if log else limits(values)
    across = along(start, end, LEFT, WIDTH - RIGHT)
    down = along(low, high, HEIGHT - BOTTOM, TOP, log)
    said = _counted(unit) if unit else seconds
    parts = [_axes(across, down, (start, end), log_ticks(low, high) if log else ticks(low, high), unit)]
    inner = f'x="{LEFT}" y="{TOP - 6}" width="{WIDTH - LEFT - RIGHT + 6}" height="{HEIGHT - TOP - BOTTOM + 12}"'
    parts.append(f'<clipPath id="{escape(ident)}"><rect {inner}/></clipPath><g clip-path="url(#{escape(ident)})">')
    for i, (line, points) in enumerate(drawn):
        parts.append(_band(i, line, across, down) + _line(i, line, points, across, down, said))
    parts.append("</g>")
    spoken = [f"{line.name} from {number(p[0][1])} to {number(p[-1][1])}" for line, p in drawn]
    label = f"{title} over {f'{end:g} {unit}s' if unit else seconds(end)}: {'; '.join(spoken)}"
    if sum(len(points) < len(line.points) for line, points in drawn):
        note = " ".join(filter(None, [note, "Each point is a mean of neighbouring rows of metrics.jsonl."]))
    return figure(title, label, WIDTH, HEIGHT, parts, legend=_legend(drawn, last), note=note)


def _counted(unit: str) -> Callable[[float], str]:
    return lambda x: f"{unit} {x:g}"


def _axes(across: Place, down: Place, span: tuple[float, float], marks: Sequence[float], unit: str) -> str:
    parts = []
    for y in marks:
        parts.append(rule(LEFT, WIDTH - RIGHT, down(y), down(y)))
        parts.append(text(LEFT - 8, down(y), mark(y), anchor="end"))
    for x in ticks(*span, 4):
        place = across(x)
        anchor = "end" if place > WIDTH - RIGHT - 14 else "start" if place < LEFT + 8 else "middle"
        if not unit:
            parts.append(text(place, HEIGHT - 10, seconds(x), anchor=anchor))
        elif x == round(x):
            parts.append(text(place, HEIGHT - 10, f"{unit} {x:g}" if x == 0 else f"{x:g}", anchor=anchor))
    return "".join(parts)


def _band(i: int, line: Line, across: Place, down: Place) -> str:
    if not any(low < high for low, high in line.band):
        return ""
    there = [(x, low, high) for (x, _), (low, high) in zip(line.points, line.band, strict=True)]
    there = [t for t in there if all(math.isfinite(v) for v in t)]
    edge = [(x, high) for x, _, high in there] + [(x, low) for x, low, _ in reversed(there)]
    return f'<polygon class="band c{i % COLOURS}" points="{_places(edge, across, down)}"/>'


def _places(points: Points, across: Place, down: Place) -> str:
    return " ".join(f"{plain(across(x))},{plain(down(y))}" for x, y in points)


def _line(i: int, line: Line, points: Points, across: Place, down: Place, said: Callable[[float], str]) -> str:
    ends = {x: pair for (x, _), pair in zip(line.points, line.band, strict=False)}
    shown = [
        number(float(y)) + (f" ({number(float(ends[x][0]))} to {number(float(ends[x][1]))})" if x in ends else "")
        for x, y in points
    ]
    data = f'data-name="{escape(line.name)}" data-x="{"|".join(said(x) for x, _ in points)}" data-y="{"|".join(shown)}"'
    drawn = f'<polyline class="line c{i % COLOURS}" points="{_places(points, across, down)}" {data}/>'
    marked = points if line.marked or len(points) == 1 else ()
    return drawn + "".join(
        f'<path class="spot c{i % COLOURS}" d="{shape(i, across(x), down(y), 3.2)}"/>' for x, y in marked
    )


def _legend(drawn: Sequence[tuple[Line, Points]], last: bool) -> Markup:
    keys = Markup("").join(
        Markup(
            '<span class="key"><svg class="swatch" viewBox="0 0 22 8" aria-hidden="true"><path class="line c{}" '
            'd="M0 4H22"/></svg>{} {}</span>'
        ).format(i % COLOURS, line.name, Markup("<b>{}</b>").format(number(float(points[-1][1]))) if last else "")
        for i, (line, points) in enumerate(drawn)
    )
    return Markup('<span class="legend">{}</span>').format(keys)
