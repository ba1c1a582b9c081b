"""Shares as columns, beside those of real items."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from genloom.report.charts.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    along,
    figure,
    mark,
    plain,
    rule,
    text,
    ticks,
    told,
)
from genloom.report.numbers import share

Entry = tuple[str, float, Sequence[float] | None, float | None]


def columns(title: str, entries: Sequence[Entry], note: str = "") -> Markup:
    """Shares as columns, each with its interval as a whisker and a tick where real items stand.

    entries: (name, share, interval or None, real share or None).
    """
    if not entries:
        return Markup("")
    top = max(max(v, *(i or (0.0,)), real or 0.0) for _, v, i, real in entries) * 1.05 or 1.0
    slant = any(len(name) > 5 for name, *_ in entries)
    base = HEIGHT - (62 if slant else BOTTOM)
    wide = (WIDTH - LEFT - RIGHT) / len(entries)
    down = along(0, top, base, TOP)
    parts = []
    for y in ticks(0, top, 3):
        parts.append(rule(LEFT, WIDTH - RIGHT, down(y), down(y)))
        parts.append(text(LEFT - 8, down(y), f"{mark(100 * y)}%", anchor="end"))
    for i, (name, value, span, real) in enumerate(entries):
        middle, half = LEFT + wide * (i + 0.5), min(wide * 0.34, 22)
        said = told(
            name,
            f"{share(value)} of the samples",
            f"95% interval: {share(span[0])} to {share(span[1])}" if span else "",
            f"{share(real)} of held-out items" if real is not None else "",
        )
        place = f'x="{plain(middle - half)}" y="{plain(down(value))}" width="{plain(2 * half)}"'
        parts.append(f'<rect class="mark bar" {place} height="{plain(max(base - down(value), 1))}">{said}</rect>')
        if span is not None:
            parts.append(rule(middle, middle, down(span[0]), down(span[1]), "whisker c0"))
        if real is not None:
            parts.append(rule(middle - half - 3, middle + half + 3, down(real), down(real), "floor"))
        turn = f' transform="rotate(-38 {plain(middle)} {base + 16})"' if slant else ""
        short = name if len(name) <= 14 else name[:13] + "\u2026"
        parts.append(text(middle, base + 16, short, anchor="end" if slant else "middle", more=turn))
    spoken = "; ".join(f"{name} {share(value)}" for name, value, *_ in entries)
    return figure(title, f"{title}: {spoken}", WIDTH, HEIGHT, parts, note=note)
