"""Two shares against each other: how true samples look, and how much of the variety of real items they cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from genloom.report.charts.axes import COLOURS, along, figure, mark, rule, shape, text, ticks, told
from genloom.report.numbers import number

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 440, 330, 52, 16, 14, 44


@dataclass(frozen=True)
class Spot:
    """A model at (x, y), with its intervals where known; real: stands for real items instead."""

    name: str
    x: float
    y: float
    x_interval: tuple[float, float] | None = None
    y_interval: tuple[float, float] | None = None
    real: bool = False


def scatter(title: str, spots: Sequence[Spot], across: str, up: str, note: str = "") -> Markup:
    """Points between 0 and 1 both ways, cut to the corner that holds them all; up and to the right is better.

    across, up: the names of the axes.
    """
    spots = [s for s in spots if math.isfinite(s.x) and math.isfinite(s.y)]
    if not spots:
        return Markup("")
    x0 = _least([s.x for s in spots] + [s.x_interval[0] for s in spots if s.x_interval])
    y0 = _least([s.y for s in spots] + [s.y_interval[0] for s in spots if s.y_interval])
    at_x, at_y = along(x0, 1, LEFT, WIDTH - RIGHT), along(y0, 1, HEIGHT - BOTTOM, TOP)
    parts = []
    for y in ticks(y0, 1, 5):
        parts.append(rule(LEFT, WIDTH - RIGHT, at_y(y), at_y(y)))
        parts.append(text(LEFT - 8, at_y(y), mark(round(y, 3)), anchor="end"))
    for x in ticks(x0, 1, 5):
        parts.append(rule(at_x(x), at_x(x), TOP, HEIGHT - BOTTOM))
        parts.append(text(at_x(x), HEIGHT - BOTTOM + 16, mark(round(x, 3)), anchor="middle"))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, across, "axis", "middle"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(text(12, middle, up, "axis", "middle", f' transform="rotate(-90 12 {middle})"'))
    taken: list[tuple[float, float, float, float]] = [
        (at_x(s.x) - 6, at_x(s.x) + 6, at_y(s.y) - 6, at_y(s.y) + 6) for s in spots
    ]
    models = [s for s in spots if not s.real]
    for spot in sorted(spots, key=lambda s: -s.y):
        colour = "real" if spot.real else f"c{models.index(spot) % COLOURS}"
        x, y = at_x(spot.x), at_y(spot.y)
        if spot.x_interval:
            parts.append(rule(at_x(spot.x_interval[0]), at_x(min(1, spot.x_interval[1])), y, y, f"whisker {colour}"))
        if spot.y_interval:
            parts.append(rule(x, x, at_y(spot.y_interval[0]), at_y(min(1, spot.y_interval[1])), f"whisker {colour}"))
        outline = f"M{x - 6} {y}H{x + 6}M{x} {y - 6}V{y + 6}" if spot.real else shape(models.index(spot), x, y, 5)
        said = told(spot.name, _said(across, spot.x, spot.x_interval), _said(up, spot.y, spot.y_interval))
        parts.append(f'<path class="mark spot {colour}" d="{outline}">{said}</path>')
        parts.append(_label(spot, x, y, taken))
    spoken = "; ".join(f"{s.name} {number(float(s.x))}, {number(float(s.y))}" for s in spots)
    return figure(title, f"{title} ({across}, {up}): {spoken}", WIDTH, HEIGHT, parts, kind="scatter", note=note)


def _least(values: Sequence[float]) -> float:
    return max(0.0, math.floor(min(values) * 10 - 0.5) / 10)


def _said(axis: str, value: float, interval: tuple[float, float] | None) -> str:
    ends = f" ({number(interval[0])} to {number(interval[1])})" if interval else ""
    return f"{axis}: {number(float(value))}{ends}"


def _label(spot: Spot, x: float, y: float, taken: list[tuple[float, float, float, float]]) -> str:
    """The name beside its mark, at the first of a few places that is free."""
    long = 7.0 * len(spot.name)
    places = [(x + 11, "start", y), (x - 11, "end", y)]
    places += [(x + dx, a, y + dy) for dy in (-15, 15, -29, 29) for dx, a in ((8, "start"), (-8, "end"))]
    for left, anchor, middle in places:
        start = left if anchor == "start" else left - long
        box = (start, start + long, middle - 7, middle + 7)
        inside = box[0] > LEFT and box[1] < WIDTH and box[2] > 0 and box[3] < HEIGHT - BOTTOM
        if inside and not any(box[0] < t[1] and t[0] < box[1] and box[2] < t[3] and t[2] < box[3] for t in taken):
            break
    else:
        left, anchor, middle = places[0]
        box = (left, left + long, middle - 7, middle + 7)
    taken.append(box)
    return text(left, middle, spot.name, "name", anchor)
