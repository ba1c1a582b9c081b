"""Curves as inline SVG. Colours and fonts come from the page's style sheet, so they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from genloom.report.numbers import number, seconds

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 440, 210
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 26
MOST = 300  # points a line is drawn with


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high]."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / about))
    found: list[list[float]] = []
    for step in (power, 2 * power, 5 * power, 10 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        found.append([i * step for i in range(first, last + 1)])
    return min(found, key=lambda marks: abs(len(marks) - about))


def mark(value: float) -> str:
    """A round number at an axis: 0.1, 10, 2,000."""
    return f"{value:,.10g}" if value == 0 or 1e-4 <= abs(value) < 1e7 else f"{value:.3g}"


def thinned(points: Points, most: int = MOST) -> list[tuple[float, float]]:
    """At most about `most` points: means of neighbours, the last point as it is. What is not finite is left out."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(finite) <= most:
        return finite
    width = math.ceil(len(finite) / most)
    groups = [finite[i : i + width] for i in range(0, len(finite), width)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups] + [finite[-1]]


def limits(values: Sequence[float]) -> tuple[float, float]:
    """The range to show: all values, save that a few huge ones at the start do not press the rest flat."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    usual = ordered[int(0.92 * (len(ordered) - 1))]
    if high - low > 3 * (usual - low) > 0:
        high = usual + 0.2 * (usual - low)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def lines(title: str, series: Sequence[tuple[str, Points]], ident: str) -> Markup:
    """A chart of values over seconds: a figure with its legend, each name with its last value.

    title: what is drawn; series: (name, [(seconds, value), ...]); ident: unique on the page.
    """
    drawn = [(name, points, thinned(points)) for name, points in series]
    drawn = [d for d in drawn if d[2]]
    if not drawn:
        return Markup("")
    xs = [x for _, _, p in drawn for x, _ in p]
    low, high = limits([y for _, _, p in drawn for _, y in p])
    start, end = min(0.0, min(xs)), max(xs) or 1.0

    def at(x: float, y: float) -> str:
        across = LEFT + (x - start) / ((end - start) or 1) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return f"{across:.1f},{down:.1f}"

    parts = []
    for y in ticks(low, high):
        down = at(start, y).split(",")[1]
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down}" y2="{down}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 7}" y="{down}" dy=".32em" text-anchor="end">{mark(y)}</text>')
    for x in ticks(start, end, 4):
        across = float(at(x, low).split(",")[0])
        anchor = "end" if across > WIDTH - RIGHT - 14 else "start" if across < LEFT + 8 else "middle"
        parts.append(f'<text class="tick" x="{across}" y="{HEIGHT - 8}" text-anchor="{anchor}">{seconds(x)}</text>')
    inner = f'x="{LEFT}" y="{TOP - 4}" width="{WIDTH - LEFT - RIGHT + 4}" height="{HEIGHT - TOP - BOTTOM + 8}"'
    parts.append(f'<clipPath id="{escape(ident)}"><rect {inner}/></clipPath><g clip-path="url(#{escape(ident)})">')
    for i, (_, _, points) in enumerate(drawn):
        if len(points) == 1:
            cx, cy = at(*points[0]).split(",")
            parts.append(f'<circle class="dot c{i % 6}" cx="{cx}" cy="{cy}" r="3"/>')
        else:
            parts.append(f'<polyline class="line c{i % 6}" points="{" ".join(at(x, y) for x, y in points)}"/>')
    parts.append("</g>")
    legend = Markup("").join(
        Markup('<span class="key"><i class="swatch c{}"></i>{} <b>{}</b></span>').format(i % 6, name, number(p[-1][1]))
        for i, (name, p, _) in enumerate(drawn)
    )
    picture = Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )
    return Markup('<figure class="chart"><figcaption>{}<span class="legend">{}</span></figcaption>{}</figure>').format(
        title, legend, picture
    )


def ladder(title: str, entries: Sequence[tuple[str, float, float | None]], unit: str) -> Markup:
    """Values on one logarithmic axis, each a dot on its own line beside the tick of its floor.

    entries: (name, value, floor); what is not above 0 cannot be drawn and is left out. unit: under the axis.
    """
    rows = [(name, v, f) for name, v, f in entries if v > 0 and math.isfinite(v)]
    if not rows:
        return Markup("")
    width, left, step = 480, 104, 32
    values = [v for _, v, _ in rows] + [f for _, _, f in rows if f and f > 0]
    low, high = math.log10(min(values)) - 0.15, math.log10(max(values)) + 0.15

    def at(value: float) -> float:
        return round(left + (math.log10(value) - low) / (high - low) * (width - left - 70), 1)

    height = step * len(rows) + 44
    parts = []
    for power in range(math.floor(low), math.ceil(high) + 1):
        for factor in (1, 3) if high - low < 2.2 else (1,):
            value = factor * 10.0**power
            if low <= math.log10(value) <= high:
                x = at(value)
                parts.append(f'<line class="rule" x1="{x}" x2="{x}" y1="6" y2="{height - 36}"/>')
                parts.append(f'<text class="tick" x="{x}" y="{height - 20}" text-anchor="middle">{mark(value)}</text>')
    for i, (name, value, floor) in enumerate(rows):
        y = 6 + step * i + step / 2
        parts.append(f'<text class="name" x="{left - 14}" y="{y}" dy=".34em" text-anchor="end">{escape(name)}</text>')
        if floor and floor > 0:
            parts.append(f'<line class="gap" x1="{at(floor)}" x2="{at(value)}" y1="{y}" y2="{y}"/>')
            parts.append(f'<line class="floor" x1="{at(floor)}" x2="{at(floor)}" y1="{y - 8}" y2="{y + 8}"/>')
        parts.append(f'<circle class="dot c0" cx="{at(value)}" cy="{y}" r="5"/>')
        parts.append(f'<text class="value" x="{at(value) + 11}" y="{y}" dy=".34em">{number(float(value))}</text>')
    parts.append(f'<text class="tick" x="{left}" y="{height - 2}">{escape(unit)}</text>')
    return Markup(
        f'<figure class="chart ladder"><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


def columns(title: str, entries: Sequence[tuple[str, float, Sequence[float] | None, float | None]]) -> Markup:
    """Shares as columns, each with its interval as a whisker and a tick where real items stand.

    entries: (name, share, interval or None, real share or None).
    """
    if not entries:
        return Markup("")
    top = max(max(v, *(i or (0.0,)), real or 0.0) for _, v, i, real in entries) * 1.05 or 1.0
    slant = any(len(name) > 5 for name, *_ in entries)
    base = HEIGHT - (58 if slant else BOTTOM)
    wide = (WIDTH - LEFT - RIGHT) / len(entries)

    def down(value: float) -> float:
        return round(base - value / top * (base - TOP), 1)

    parts = []
    for y in ticks(0, top, 3):
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(y)}" y2="{down(y)}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 7}" y="{down(y)}" dy=".32em" text-anchor="end">{mark(100 * y)}%</text>'
        )
    for i, (name, value, span, real) in enumerate(entries):
        middle, half = round(LEFT + wide * (i + 0.5), 1), round(min(wide * 0.32, 22), 1)
        tall = round(base - down(value), 1)
        parts.append(f'<rect class="bar" x="{middle - half}" y="{down(value)}" width="{2 * half}" height="{tall}"/>')
        if span is not None:
            ends = f'y1="{down(span[0])}" y2="{down(span[1])}"'
            parts.append(f'<line class="whisker" x1="{middle}" x2="{middle}" {ends}/>')
        if real is not None:
            ends = f'x1="{middle - half - 3}" x2="{middle + half + 3}"'
            parts.append(f'<line class="floor" {ends} y1="{down(real)}" y2="{down(real)}"/>')
        turn = f'text-anchor="end" transform="rotate(-38 {middle} {base + 14})"' if slant else 'text-anchor="middle"'
        parts.append(f'<text class="tick" x="{middle}" y="{base + 14}" {turn}>{escape(name[:14])}</text>')
    return Markup(
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )
