"""All checks on one data set, in order, and what they found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from genloom.data.inspect import counts, words
from genloom.data.inspect.copies import copies
from genloom.data.inspect.faces import faces
from genloom.data.inspect.finding import LEVELS, Check, Finding, Level, Outcome, Overview
from genloom.data.inspect.licence import licence
from genloom.data.inspect.outliers import outliers
from genloom.data.inspect.pictures import Album
from genloom.data.inspect.source import Material, material
from genloom.errors import BadData, BadValue

LIMIT = 200_000
THUMBNAIL = 96  # pixels a side
_SHOWN = 48
_PERSONAL = ("faces", "GPS positions", "e-mail addresses", "phone numbers", "payment cards", "bank accounts (IBAN)")
Say = Callable[[str, float], None]


@dataclass(frozen=True)
class Inspection:
    """What a look at a data set gave.

    kind: "image" or "text"; findings: the worst first; checks: all that was looked for, with how much of the data;
    thumbnails: small pictures by row, of the findings and of an even sample, whose rows are `sample`; names of those
    rows; seconds: how long it took; card_file: where the card belongs, "" for sets with a name.
    """

    title: str
    origin: str
    kind: str
    overview: Overview
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]
    card_file: str = ""
    sample: tuple[int, ...] = ()
    thumbnails: Mapping[int, Image.Image] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    excerpt: str = ""
    seconds: float = 0.0

    def at_least(self, level: Level) -> tuple[Finding, ...]:
        """Findings of this level and worse."""
        return tuple(f for f in self.findings if LEVELS.index(f.level) >= LEVELS.index(level))

    def to_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "origin": self.origin,
            "kind": self.kind,
            "facts": dict(self.overview.facts),
            "classes": {part.name: part.items for part in self.overview.classes},
            "splits": {part.name: part.items for part in self.overview.splits},
            "distributions": {
                spread.name: dict(zip(("min", "5%", "25%", "50%", "75%", "95%", "max"), spread.values, strict=True))
                for spread in self.overview.spreads
            },
            "findings": [finding.to_json() for finding in self.findings],
            "checks": [{"name": c.name, "on": c.on, "missing": c.missing} for c in self.checks],
            "card_file": self.card_file,
            "seconds": round(self.seconds, 2),
        }


def inspect(source: str, limit: int = LIMIT, say: Say = lambda what, share: None) -> Inspection:
    """Looks at the data at a path or under a name. limit: the most pictures that are looked at; say: told what is done
    and how much of it, from 0 to 1. Raises GenloomError for what is no data."""
    if limit < 2:
        raise BadValue(f"--limit is a number of pictures, 2 or more, got {limit}")
    began = time.monotonic()
    found = material(source, limit, lambda share: say("reading", share))
    if found.album is not None:
        overview, outcomes = _of_pictures(found.album, found, say)
    else:
        overview, outcomes = _of_texts(found, say)
    personal = any(f.check in _PERSONAL for outcome in outcomes for f in outcome.findings)
    outcomes = (*outcomes, licence(found.card_file, personal))
    findings = sorted((f for o in outcomes for f in o.findings), key=lambda f: -LEVELS.index(f.level))
    shown, sample = _thumbnails(found.album, tuple(findings))
    return Inspection(
        title=found.title,
        origin=found.origin,
        kind="text" if found.album is None else "image",
        overview=overview,
        findings=tuple(findings),
        checks=tuple(o.check for o in outcomes),
        card_file="" if found.card_file is None else str(found.card_file),
        sample=sample,
        thumbnails=shown,
        names={} if found.album is None else {row: found.album.names[row] for row in shown},
        excerpt=_excerpt(found),
        seconds=time.monotonic() - began,
    )


def _of_pictures(album: Album, found: Material, say: Say) -> tuple[Overview, tuple[Outcome, ...]]:
    if not len(album):
        names = ", ".join(name for name, _ in album.unreadable[:3])
        raise BadData(f"{found.origin}: none of {album.total} pictures can be read ({names}, ...): give others")
    outcomes = (
        counts.unreadable(album),
        counts.balance(album),
        counts.odd_sizes(album),
        counts.empty(album),
        *copies(album, found.split_by, lambda share: say("looking for copies", share)),
        outliers(album),
        counts.remarks(album),
        faces(album, lambda share: say("looking for faces", share)),
    )
    return counts.overview(album), outcomes


def _of_texts(found: Material, say: Say) -> tuple[Overview, tuple[Outcome, ...]]:
    tally = words.tally(found.documents, lambda share: say("reading", share))
    if not tally.characters:
        raise BadData(f"{found.origin} holds no text: give files with content, in UTF-8")
    return words.overview(tally, found.documents), words.checks(tally, found.documents, found.split_by)


def _thumbnails(album: Album | None, findings: tuple[Finding, ...]) -> tuple[dict[int, Image.Image], tuple[int, ...]]:
    """Small pictures of an even sample and of what findings show."""
    if album is None:
        return {}, ()
    sample = np.unique(np.linspace(0, len(album) - 1, min(_SHOWN, len(album))).astype(np.int64)).tolist()
    wanted = {*sample, *(row for f in findings for group in f.pictures for row in group)}
    shown = {}
    for row in sorted(wanted):
        try:
            shown[row] = _small(album.picture(row))
        except Exception:  # it could be read a moment ago; a page with one picture less is still a page
            continue
    return shown, tuple(row for row in sample if row in shown)


def _small(picture: Image.Image) -> Image.Image:
    """At most THUMBNAIL a side; small pictures as they are."""
    out = picture.convert("L" if picture.mode == "L" else "RGB")
    out.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return out


def _excerpt(found: Material) -> str:
    if not found.documents:
        return ""
    document = found.documents[0]
    if document.path is None:
        return document.text[:600]
    with open(document.path, "rb") as file:
        return file.read(1200).decode("utf-8-sig", "replace")[:600]
