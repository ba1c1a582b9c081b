"""One HTML file that holds all it shows: no font, picture or address is loaded, so it opens anywhere and for years.

Its one script stands in it and is the only one the page's policy allows, by its hash; without it nothing is lost but
tooltips and the switch between light and dark.
"""

from __future__ import annotations

import base64
import hashlib
import os
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from genloom.report import numbers, views
from genloom.report.content import PROTOCOL, Report
from genloom.report.page import environment, put
from genloom.report.pictures import picture, playable
from genloom.report.words import summary


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """Writes `report` as one self-contained HTML file, beside its place first and then renamed. Returns the path.

    Raises Storage where the file cannot be written.
    """
    return put(render(report), path)


def render(report: Report) -> str:
    """The page as a string."""
    templates = environment()
    templates.filters.update(
        number=numbers.number,
        share=numbers.share,
        interval=numbers.interval,
        compact=numbers.compact,
        seconds=numbers.seconds,
        size=numbers.size,
        span=numbers.span,
        picture=picture,
        playable=playable,
        pretty=views.pretty,
    )
    style, script = asset("style.css"), asset("script.js")
    return templates.get_template("report.html.j2").render(
        report=report,
        policy=f"default-src 'none'; img-src data:; media-src data:; style-src {content_hash(style)}; "
        f"script-src {content_hash(script)}; base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        summary=summary(report),
        protocol=report.protocol or PROTOCOL,
        distances=[] if report.comparison else views.distances(report.runs),
        board=views.board(report.comparison) if report.comparison else None,
        real=next((run.real for run in report.runs if run.real), None),
        shown={
            "fd": any(r.result("fd") for r in report.runs),
            "precision": any(r.result("precision") or r.result("recall") for r in report.runs),
            "likelihood": any(r.result("nats_per_token") or r.result("bits_per_dimension") for r in report.runs),
        },
        runs=[
            {
                "run": run,
                "charts": views.curves(run, f"r{i}"),
                "protocol": views.protocol(run),
                "findings": views.findings(run),
            }
            for i, run in enumerate(report.runs)
        ],
    )


def asset(name: str) -> Markup:
    """A style sheet or script that comes with the package, as it stands in a page."""
    return Markup(resources.files("genloom.report").joinpath("templates", name).read_text(encoding="utf-8").strip())


def content_hash(content: str) -> str:
    """What a Content-Security-Policy calls this content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
