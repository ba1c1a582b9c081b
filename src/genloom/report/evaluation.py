"""The page of one evaluation: samples beside held-out items, the closest pairs, all figures beside their floors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from genloom.report import numbers, views
from genloom.report.content import PROTOCOL, DataNote, ReportRun, Shown
from genloom.report.page import environment, put
from genloom.report.pictures import picture
from genloom.report.write import asset, content_hash

BESIDE = ("fd_floor", "precision_real", "recall_real")  # figures that stand in the column of real items


@dataclass(frozen=True)
class EvaluationPage:
    """title: what was measured; evaluation: as `Evaluation.to_json` gives it; samples, real: a picture each, or texts;
    closest: the samples nearest to training items, those below them; stretches: (characters, text) of the longest that
    stand in the training text; command: what repeats it; made: date and time in words."""

    title: str
    evaluation: Mapping[str, Any]
    data: DataNote | None = None
    samples: Shown = None
    real: Shown = None
    closest: Image.Image | None = None
    stretches: Sequence[tuple[int, str]] = ()
    command: str = ""
    made: str = ""


def write_evaluation(page: EvaluationPage, path: str | os.PathLike[str]) -> Path:
    """Writes the page, whole or not at all. Raises Storage."""
    return put(render_evaluation(page), path)


def render_evaluation(page: EvaluationPage) -> str:
    """The page as a string."""
    templates = environment()
    templates.filters.update(number=numbers.number, interval=numbers.interval, picture=picture)
    style, script = asset("style.css"), asset("script.js")
    run = ReportRun(page.title, "", "", (), evaluation=page.evaluation)
    return templates.get_template("evaluation.html.j2").render(
        page=page,
        summary=summary(page.evaluation),
        rows=[(r, _floor(r), how) for r, how in views.protocol(run) if r["key"] not in BESIDE],
        charts=views.curves(run, "e")[0],
        protocol=PROTOCOL,
        style=style,
        script=script,
        policy=f"default-src 'none'; img-src data:; style-src {content_hash(style)}; script-src "
        f"{content_hash(script)}; base-uri 'none'; form-action 'none'",
    )


def _floor(result: Mapping[str, Any]) -> float | None:
    """What real items score: a floor, or the share that the judge finds among them."""
    floor = result.get("floor")
    return result.get("protocol", {}).get("held_out_share") if floor is None else floor


FIRST = ("fd", "fid", "nats_per_token", "bits_per_dimension", "bleu", "distinct_2")


def summary(evaluation: Mapping[str, Any]) -> str:
    """The figure that counts most beside its floor, and the verdict on copies."""
    results = [r for r in evaluation.get("results", ()) if r["value"] is not None]
    ranks = {key: place for place, key in enumerate(FIRST)}
    said = []
    if results:
        first = min(results, key=lambda r: ranks.get(r["key"], len(ranks)))
        floor, ends = _floor(first), first.get("interval")
        beside = f"; real items score {numbers.number(floor)}" if floor is not None else ""
        span = f" ({numbers.interval(ends)})" if ends else ""
        way = f" ({first['better']} is better)" if first.get("better") else ""
        name = first["name"][:1].upper() + first["name"][1:]
        value = f"{name} is {numbers.number(first['value'])}{span} at n\u00a0=\u00a0{first['n']:,}"
        said.append(f"{value}{beside}{way}.")
    told = evaluation.get("memorisation", {}).get("sentence")
    return " ".join([*said, *([told] if told else [])])
