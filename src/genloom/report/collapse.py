"""The page of an experiment on collapse: figures over generations, samples of each, verdicts, as one HTML file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from genloom.report import numbers
from genloom.report.charts import Line, lines, logarithmic
from genloom.report.page import environment, put
from genloom.report.pictures import picture
from genloom.report.write import asset, content_hash


@dataclass(frozen=True)
class Trace:
    """A figure over generations. lines: for each share of fresh data (its name, (generation, value, low, high) a
    generation); floor: what real items score, None where nobody knows; better: "lower", "higher" or ""."""

    name: str
    says: str
    better: str
    lines: Sequence[tuple[str, Sequence[tuple[float, float, float, float]]]]
    floor: float | None = None


@dataclass(frozen=True)
class Chain:
    """One share of fresh data. verdict: a word; sentence: with figures; samples: a picture, a row a generation."""

    name: str
    verdict: str
    sentence: str
    samples: Image.Image | None = None


@dataclass(frozen=True)
class CollapsePage:
    """title, summary: the heading and the result in a sentence; real: held-out items; band: what bands are; protocol:
    how it was done, a paragraph each; commands: what repeats it; made: date and time in words."""

    title: str
    summary: str
    traces: Sequence[Trace]
    chains: Sequence[Chain]
    real: Image.Image | None
    band: str
    protocol: Sequence[str]
    commands: Sequence[str]
    made: str = ""


def write_collapse(page: CollapsePage, path: str | os.PathLike[str]) -> Path:
    """Writes the page, whole or not at all. Raises Storage."""
    return put(render_collapse(page), path)


def render_collapse(page: CollapsePage) -> str:
    """The page as a string."""
    templates = environment()
    templates.filters.update(number=numbers.number, picture=picture)
    style, script = asset("style.css"), asset("script.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {content_hash(style)}; script-src {content_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    charts = [chart for i, trace in enumerate(page.traces) if (chart := _chart(trace, f"g{i}", page.band))]
    return templates.get_template("collapse.html.j2").render(
        page=page, charts=charts, style=style, script=script, policy=policy
    )


def _chart(trace: Trace, ident: str, band: str) -> str:
    series = [
        Line(name, [p[:2] for p in points], [p[2:] for p in points], marked=True)
        for name, points in trace.lines
        if points
    ]
    if trace.floor is not None and series:
        xs = sorted({x for line in series for x, _ in line.points})
        series.append(Line("real items", [(xs[0], trace.floor), (xs[-1], trace.floor)]))
    way = {"lower": "Lower is better.", "higher": "Higher is better."}.get(trace.better, "Near real items is better.")
    values = [y for line in series for _, y in line.points] + [v for line in series for ends in line.band for v in ends]
    log = logarithmic(values)
    note = " ".join(filter(None, [f"{trace.says.capitalize()}.", way, band, "Logarithmic." if log else ""]))
    return lines(trace.name, series, ident, log=log, note=note, unit="generation")
