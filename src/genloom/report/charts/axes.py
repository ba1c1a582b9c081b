"""What all charts share: round numbers along an axis, from values to places, marks that differ in shape too."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 440, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 28
COLOURS = 6  # classes c0 .. c5 of the style sheet
Place = Callable[[float], float]  # from a value to its place in the drawing


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


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers in [low, high], both above 0, that look even on a logarithmic axis: at most about six."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        marks = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(marks) <= 6:
            break
    return marks if len(marks) > 1 else [m for m in ticks(low, high, 3) if m > 0]


def logarithmic(values: Sequence[float]) -> bool:
    """Whether these values are to be shown on a logarithmic axis: all above 0, and tenfold apart or more."""
    return bool(values) and min(values) > 0 and max(values) >= 10 * min(values)


def mark(value: float) -> str:
    """A round number at an axis: 0.1, 10, 2,000."""
    return f"{value:,.10g}" if value == 0 or 1e-4 <= abs(value) < 1e7 else f"{value:.3g}"


def limits(values: Sequence[float]) -> tuple[float, float]:
    """The range to show: all values, save that a few huge ones among many do not press the rest flat."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    usual = ordered[int(0.92 * (len(ordered) - 1))]
    if len(ordered) >= 20 and high - low > 3 * (usual - low) > 0:
        high = usual + 0.2 * (usual - low)
    margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - margin, high + margin


def along(low: float, high: float, start: float, end: float, log: bool = False) -> Place:
    """The place between `start` and `end` of a value between `low` and `high`, to a tenth of a unit."""
    scaled = math.log10 if log else float

    def place(value: float) -> float:
        part = (scaled(value) - scaled(low)) / ((scaled(high) - scaled(low)) or 1)
        return round(start + part * (end - start), 1)

    return place


def plain(x: float) -> str:
    """A coordinate without needless zeros: 12, 12.5."""
    return f"{x:.1f}".rstrip("0").rstrip(".")


def shape(kind: int, x: float, y: float, size: float = 4.5) -> str:
    """The outline of mark number `kind` around (x, y) as SVG path data: circle, square, triangle, diamond, ..."""
    s = size
    if kind % COLOURS == 0:
        return f"M{plain(x - s)} {plain(y)}a{s} {s} 0 1 0 {plain(2 * s)} 0a{s} {s} 0 1 0 {plain(-2 * s)} 0z"
    points = {
        1: ((-s, -s), (s, -s), (s, s), (-s, s)),
        2: ((0, -1.25 * s), (1.2 * s, s), (-1.2 * s, s)),
        3: ((0, -1.4 * s), (1.4 * s, 0), (0, 1.4 * s), (-1.4 * s, 0)),
        4: ((0, 1.25 * s), (1.2 * s, -s), (-1.2 * s, -s)),
        5: ((-0.5 * s, -1.2 * s), (0.5 * s, -1.2 * s), (1.2 * s, 0), (0.5 * s, 1.2 * s), (-0.5 * s, 1.2 * s),
            (-1.2 * s, 0)),
    }[kind % COLOURS]  # fmt: skip
    return "M" + "L".join(f"{plain(x + dx)} {plain(y + dy)}" for dx, dy in points) + "z"


def told(*lines: str) -> str:
    """What a mark says of itself: a <title> of one or more lines."""
    return f"<title>{escape(chr(10).join(line for line in lines if line))}</title>"


def text(x: float, y: float, words: str, kind: str = "tick", anchor: str = "", more: str = "") -> str:
    """A piece of text whose middle line is at y."""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{plain(x)}" y="{plain(y)}" dy=".34em"{where}{more}>{escape(words)}</text>'


def rule(x1: float, x2: float, y1: float, y2: float, kind: str = "rule") -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{plain(x1)}" x2="{plain(x2)}" y1="{plain(y1)}" y2="{plain(y2)}"/>'


def figure(title: str, label: str, width: float, height: float, parts: Sequence[str], *, kind: str = "",
           legend: Markup | str = "", note: str = "") -> Markup:  # fmt: skip
    """A chart with its caption. label: what those hear who do not see it; note: a line below, to read the marks by."""
    below = Markup('<p class="key-note">{}</p>').format(note) if note else ""
    drawn = Markup("".join(parts))  # every part is escaped where it is made
    return Markup(
        '<figure class="{}"><figcaption>{}{}</figcaption><svg class="plot" viewBox="0 0 {} {}" role="img" '
        'aria-label="{}">{}</svg>{}</figure>'
    ).format(f"chart {kind}".strip(), title, legend, width, height, label, drawn, below)
