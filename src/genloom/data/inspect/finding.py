"""What an inspection says: findings with their severity, and which checks were made on how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["note", "warning", "serious"]
LEVELS: tuple[Level, ...] = ("note", "warning", "serious")


@dataclass(frozen=True)
class Finding:
    """Something worth knowing of a data set.

    check: short and fixed ("near copies"); seen: what was found, with figures; advice: what to do; examples: names of
    items, or masked pieces of text; count: how many in all; pictures: rows of items that show it, for a page; paste:
    lines to put into a file.
    """

    check: str
    level: Level
    seen: str
    advice: str = ""
    examples: tuple[str, ...] = ()
    count: int = 0
    pictures: tuple[tuple[int, ...], ...] = ()
    paste: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "level": self.level,
            "count": self.count,
            "seen": self.seen,
            "advice": self.advice,
            "examples": list(self.examples),
        }


@dataclass(frozen=True)
class Check:
    """That something was looked for. on: how much, and how; found: findings of it; missing: why it was not done."""

    name: str
    on: str = ""
    missing: str = ""


@dataclass(frozen=True)
class Outcome:
    """What one check says: its findings, and how it was made."""

    check: Check
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Part:
    """Items of a class or a split: its name, and how many."""

    name: str
    items: int


@dataclass(frozen=True)
class Distribution:
    """How a quantity is spread over items: name, unit, and values at shares 0, 5, 25, 50, 75, 95 and 100%."""

    name: str
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Overview:
    """What there is, before any judgement: facts as (name, words), classes, splits, distributions."""

    facts: tuple[tuple[str, str], ...]
    classes: tuple[Part, ...] = ()
    splits: tuple[Part, ...] = ()
    spreads: tuple[Distribution, ...] = field(default=())


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 picture", "2,000 pictures"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def few(names: list[str], most: int = 5) -> tuple[str, ...]:
    """The first names, and how many there are besides."""
    return tuple(names[:most])


def worst(findings: tuple[Finding, ...]) -> Level | None:
    """The highest level among findings, None where there are none."""
    return max((f.level for f in findings), key=LEVELS.index, default=None)
