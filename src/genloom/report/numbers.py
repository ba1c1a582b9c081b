"""Numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence

DASH = "\u2013"  # between the ends of a range, and where there is nothing


def number(value: float | int | None) -> str:
    """Four significant digits, thousands in groups: 12,345; 0.03412; 1.2e-07. A dash for None, words for no number."""
    if value is None:
        return DASH
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    size = abs(value)
    if size and (size < 1e-4 or size >= 1e7):
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(size))) if size else 0
    text = f"{value:,.{min(digits, 7)}f}"
    return text.rstrip("0").rstrip(".") if "." in text and digits > 2 else text


def share(value: float | None) -> str:
    """A share in percent: 12.3%."""
    return DASH if value is None else f"{100 * value:.1f}%"


def interval(ends: Sequence[float] | None) -> str:
    """The two ends of an interval, or nothing."""
    return "" if ends is None else f"{number(float(ends[0]))} {DASH} {number(float(ends[1]))}"


def compact(value: int | None) -> str:
    """A count in three digits: 812, 60k, 1.23M."""
    if value is None:
        return DASH
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return str(value)


def seconds(value: float | None) -> str:
    """A duration: 8.25 s, 61 s, 5 min 2 s, 2 h 5 min."""
    if value is None:
        return DASH
    if value < 120:
        return f"{value:.3g} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size(value: float | None) -> str:
    """Bytes in MB or GB."""
    if value is None:
        return DASH
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.0f} MB"


def span(ends: Sequence[float] | None, scale: float = 1.0) -> str:
    """A range of estimates in two digits: 0.032 - 0.16."""
    if not ends:
        return DASH
    low, high = (float(f"{e * scale:.2g}") for e in ends)
    return f"{low:g} {DASH} {high:g}"
