"""One HTML file that holds all it shows: no script, font or address is loaded, so it opens anywhere and for years."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from genloom.errors import Storage
from genloom.report import numbers
from genloom.report.charts import columns, ladder, lines
from genloom.report.content import PROTOCOL, Report, ReportRun

# Scalars that say how a run went rather than what it learnt: kept in metrics.jsonl, not drawn.
_ASIDE = ("step", "items", "seconds", "progress", "items_per_second", "attempt")
_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
_ASIDE_PREFIXES = ("rate/", "gradient/", "time/", "memory/")


def write_report(report: Report, path: str | os.PathLike[str]) -> Path:
    """Writes `report` as one self-contained HTML file, beside its place first and then renamed. Returns the path.

    Raises Storage where the file cannot be written.
    """
    target = Path(path)
    page = render(report)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(page)
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as e:
        raise Storage(f"cannot write the report {target}: {e.strerror or e}: choose another place with --out") from e
    return target


def render(report: Report) -> str:
    """The page as a string."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("genloom.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=numbers.number,
        share=numbers.share,
        interval=numbers.interval,
        compact=numbers.compact,
        seconds=numbers.seconds,
        size=numbers.size,
        span=numbers.span,
        picture=picture,
        pretty=_pretty,
    )
    return environment.get_template("report.html.j2").render(
        report=report,
        summary=report.summary or summarise(report.runs),
        protocol=report.protocol or PROTOCOL,
        ladder=_ladder(report.runs),
        runs=[
            {"run": run, "charts": curves(run, f"r{i}"), "protocol": _protocol(run)}
            for i, run in enumerate(report.runs)
        ],
    )


def picture(image: Image.Image, label: str) -> Markup:
    """An <img> whose pixels stand in the page; enlarged pixels keep their edges."""
    buffer = io.BytesIO()
    (image if image.mode in ("L", "LA", "P", "RGB", "RGBA") else image.convert("RGB")).save(
        buffer, "PNG", optimize=True
    )
    data = base64.b64encode(buffer.getvalue()).decode()
    return Markup('<img alt="{}" width="{}" height="{}" src="data:image/png;base64,{}">').format(
        label, image.width, image.height, data
    )


def pairs(samples: Sequence[Any] | np.ndarray[Any, Any], nearest: np.ndarray[Any, Any], scale: int = 2) -> Image.Image:
    """Samples in a row, the nearest training item under each: uint8 arrays (n, h, w) or (n, h, w, 3).

    What lies between them is transparent, so that it is the page's own colour.
    """
    rows = [np.asarray(samples), np.asarray(nearest)]
    n, height, width = rows[0].shape[:3]
    rows = [r.repeat(scale, 1).repeat(scale, 2) for r in rows]
    height, width, gap = height * scale, width * scale, 2 * scale
    sheet = np.zeros((2 * height + gap, n * (width + gap) - gap, 4), np.uint8)
    for row, items in enumerate(rows):
        for column in range(n):
            top, left = row * (height + gap), column * (width + gap)
            tile = sheet[top : top + height, left : left + width]
            tile[..., :3] = items[column] if items.ndim == 4 else items[column][..., None]
            tile[..., 3] = 255
    return Image.fromarray(sheet)


def curves(run: ReportRun, ident: str) -> list[Markup]:
    """Charts of the losses, the monitor, and each other part the model reports, over seconds."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in run.rows:
        for key, value in row.items():
            number_ = isinstance(value, int | float) and not isinstance(value, bool)
            if number_ and key not in _ASIDE and not key.startswith(_ASIDE_PREFIXES):
                found.setdefault(key, []).append((float(row.get("seconds", row.get("step", 0))), float(value)))
    losses = [(key.removeprefix("loss/"), points) for key, points in found.items() if key.startswith("loss/")]
    charts = [lines("Training loss", losses, f"{ident}-loss")]
    if "monitor" in found:
        title = "Held-out loss" if run.monitor == "validation" else run.monitor.capitalize().replace("-", " ")
        charts.append(lines(title, [(run.monitor, found["monitor"])], f"{ident}-monitor"))
    groups: dict[str, list[tuple[str, list[tuple[float, float]]]]] = {}
    for key, points in found.items():
        if not key.startswith("loss/") and key != "monitor":
            groups.setdefault(key, []).append((key.split("/")[-1].replace("_", " "), points))
    charts += [lines(_heading(s[0][0]), s, f"{ident}-{i}") for i, s in enumerate(groups.values())]
    shares = [r for r in run.evaluation.get("results", ()) if r["key"].startswith("share:")]
    if 2 <= len(shares) <= 20:
        entries = [
            (r["key"].removeprefix("share:"), r["value"], r["interval"], r["protocol"].get("held_out_share"))
            for r in shares
        ]
        charts.append(columns("Classes among the samples; the ticks are held-out items", entries))
    return [chart for chart in charts if chart]


def _heading(name: str) -> str:
    return name.upper() if len(name) <= 3 else name.capitalize()


def summarise(runs: Sequence[ReportRun]) -> str:
    """What the figures say, in a few sentences; only figures of one name and one n are ranked against each other."""
    if not runs:
        return "No runs."
    sentences = []
    data = sorted({run.data for run in runs if run.data})
    known = [run.cost["wall_seconds"] for run in runs if "wall_seconds" in run.cost]
    took = f", {numbers.seconds(sum(known))} of training in all" if known else ""
    models = f"{_COUNTS[len(runs)] if len(runs) < len(_COUNTS) else len(runs)} model{'s' if len(runs) > 1 else ''}"
    sentences.append(f"{models} learnt from {' and '.join(data) if data else 'the data'}{took}.")
    groups: dict[tuple[str, int], list[tuple[float, float, str]]] = {}
    for run in runs:
        fd = run.result("fd")
        if fd is not None and math.isfinite(fd["value"]):
            floor = float(fd.get("protocol", {}).get("floor") or math.nan)
            groups.setdefault((fd["name"], fd["n"]), []).append((fd["value"], floor, run.name))
    for (name, n), entries in groups.items():
        value, floor, best = min(entries)
        beside = f"; real data score {numbers.number(floor)}" if math.isfinite(floor) else ""
        lead = f"Nearest to the held-out items comes {best}: " if len(entries) > 1 else f"The run {best}: "
        sentences.append(f"{lead}{name} {numbers.number(float(value))} at n = {n:,}{beside} (lower is better).")
    for run in runs:
        result = run.result("nats_per_token")
        if result is not None:
            nats = numbers.number(float(result["value"]))
            sentences.append(f"Unseen text costs the run {run.name} {nats} nats per token.")
    return " ".join(sentences)


def _ladder(runs: Sequence[ReportRun]) -> list[Markup]:
    groups: dict[tuple[str, int], list[tuple[str, float, float | None]]] = {}
    for run in runs:
        fd = run.result("fd")
        if fd is not None:
            groups.setdefault((fd["name"], fd["n"]), []).append((run.name, fd["value"], fd["protocol"].get("floor")))
    return [
        ladder(f"{name}, n = {n:,}", entries, "lower is better; the tick is the floor of real data")
        for (name, n), entries in groups.items()
        if len(entries) > 1
    ]


def _protocol(run: ReportRun) -> list[tuple[Mapping[str, Any], str]]:
    """Each figure with what its value depends on, in one line."""
    out = []
    for result in run.evaluation.get("results", ()):
        facts = {
            k: v for k, v in result.get("protocol", {}).items() if v is not None and k not in ("class", "features")
        }
        out.append((result, ", ".join(f"{k.replace('_', ' ')} {_fact(v)}" for k, v in facts.items())))
    return out


def _fact(value: Any) -> str:
    return numbers.number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)
