"""The page of a data set: what is in it and what ails it, with pictures, as one self-contained HTML file."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from genloom.report.page import environment, put
from genloom.report.pictures import picture

if TYPE_CHECKING:
    from genloom.data.inspect.finding import Distribution
    from genloom.data.inspect.inspection import Inspection

_CLASSES = 40


def write_data_page(found: Inspection, path: str | os.PathLike[str]) -> int:
    """Writes the page, whole or not at all. Returns its size in bytes. Raises Storage."""
    page = render_data(found)
    put(page, path)
    return len(page.encode())


def render_data(found: Inspection) -> str:
    """The page as a string."""
    templates = environment()
    templates.filters["sentence"] = _sentence
    classes = sorted(found.overview.classes, key=lambda part: -part.items)
    top = max((part.items for part in classes), default=1) or 1
    return templates.get_template("data.html.j2").render(
        found=found,
        today=date.today().strftime("%d %B %Y").lstrip("0"),
        summary=_summary(found),
        classes=[(part, 100 * part.items / top) for part in classes[:_CLASSES]],
        hidden=max(0, len(classes) - _CLASSES),
        spreads=[(spread, [_figure(v) for v in spread.values]) for spread in found.overview.spreads if _varies(spread)],
        constant=[
            (spread.name, f"{_figure(spread.values[0])} {spread.unit}")
            for spread in found.overview.spreads
            if not _varies(spread)
        ],
        tile=lambda row: _tile(found, row),
    )


def _sentence(words: str) -> Markup:
    """With a capital, and what stands between backticks as code."""
    parts = (words[:1].upper() + words[1:]).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def _varies(spread: Distribution) -> bool:
    return spread.values[0] != spread.values[-1]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == round(value) else f"{value:.3g}"


def _tile(found: Inspection, row: int) -> Markup:
    """A thumbnail with its name, or the name alone where the picture has gone."""
    image, name = found.thumbnails.get(row), found.names.get(row, "")
    return picture(image, name) if image is not None else Markup("<span>{}</span>").format(name)


def _summary(found: Inspection) -> str:
    """The result in two sentences."""
    counts: dict[str, int] = {}
    for finding in found.findings:
        counts[finding.level] = counts.get(finding.level, 0) + 1
    what = dict(found.overview.facts)
    size = (
        f"{what['pictures'].split(', ')[0]} pictures"
        if found.kind == "image"
        else f"{what['characters']} characters of text"
    )
    if not counts:
        return f"{size}. Nothing was found that should hold you up."
    said = [
        f"{counts[level]} {name}{'s' if counts[level] > 1 and name != 'serious' else ''}"
        for level, name in (("serious", "serious"), ("warning", "warning"), ("note", "note"))
        if level in counts
    ]
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return f"{size}. Found: {listed}. Each says what to do about it."
