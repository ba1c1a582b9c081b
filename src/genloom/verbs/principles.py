"""A constitution as a file: principles that texts are to keep, each with a check that a machine can make.

    revise = "{prompt}{answer}\\nSay it without {broken}:\\n"   # optional: the model is asked for revisions in words

    [[principle]]
    name = "cheerful"
    has = ["smiled", "happy", "fun"]        # one of these, as whole words

    [[principle]]
    name = "nobody is hurt"
    lacks = ["cried", "hurt"]               # none of these

A principle has a name and one check: has, lacks, matches, avoids (regular expressions), words (least and most),
judge (a reward run, with at_least) or ask (a question to the model itself, with broken: what a bad answer to it
matches). weight: how much it counts against others.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genloom.errors import BadData, BadValue, unknown

CHECKS = ("has", "lacks", "matches", "avoids", "words", "judge", "ask")
WITH = {"judge": "at_least", "ask": "broken"}
NO = r"(?i)^\W*no\b"


@dataclass(frozen=True)
class Offence:
    """A principle that a text does not keep. at: where in the text it is broken first; None where no place is to blame,
    because something lacks."""

    principle: str
    said: str
    at: int | None = None


Check = Callable[[str, str], Offence | None]
"""From a prompt and an answer to what is wrong with the answer."""


@dataclass(frozen=True)
class Principle:
    """name; check: one of CHECKS; value: what it was given; more: at_least of a judge, broken of a question."""

    name: str
    check: str
    value: Any
    more: Any = None
    weight: float = 1.0


@dataclass(frozen=True)
class Constitution:
    """principles in the file's order; revise: how the model is asked for a revision, "" where it is not asked."""

    principles: tuple[Principle, ...]
    revise: str = ""


def read_constitution(path: str | Path) -> Constitution:
    """The constitution of a .toml or .json file. Raises BadData and BadValue, naming file and principle."""
    place = Path(path).expanduser()
    table = _table(place)
    if extra := sorted(set(table) - {"principle", "revise"}):
        raise BadValue(f"{place}: {unknown('key', extra[0], ('principle', 'revise'))}")
    rows, revise = table.get("principle", []), table.get("revise", "")
    if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
        known = ", ".join(CHECKS)
        raise BadValue(f"{place} holds no principles: expected [[principle]] with a name and one of {known}")
    if not isinstance(revise, str) or (revise and "{answer}" not in revise):
        raise BadValue(f"{place}: revise is a text that holds {{answer}}, and may hold {{prompt}} and {{broken}}")
    found = tuple(_principle(row, i, place) for i, row in enumerate(rows, 1))
    if twice := [p.name for i, p in enumerate(found) if p.name in {q.name for q in found[:i]}]:
        raise BadValue(f"{place}: two principles are named {twice[0]!r}: give each a name of its own")
    return Constitution(found, revise)


def _table(place: Path) -> dict[str, Any]:
    try:
        text = place.read_text(encoding="utf-8-sig")
        table = json.loads(text) if place.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadData(f"--principles {place} cannot be read: {error.strerror or error}") from None
    except (ValueError, UnicodeDecodeError) as error:  # JSON's and TOML's errors are ValueErrors too
        raise BadData(f"--principles {place} is neither TOML nor JSON in UTF-8: {error}") from None
    if not isinstance(table, dict):
        raise BadData(f"--principles {place}: expected an object with principles, got a {type(table).__name__}")
    return table


def _principle(row: Mapping[str, Any], number: int, place: Path) -> Principle:
    name = row.get("name")
    if not isinstance(name, str) or not name.strip():
        raise BadValue(f'{place}: principle {number} has no name: add name = "..."')
    where = f"{place}, principle {name!r}"
    known = ("name", "weight", *CHECKS, *WITH.values())
    for key in row:
        if key not in known:
            raise BadValue(f"{where}: {unknown('key', key, known)}")
    checks = [key for key in CHECKS if key in row]
    if len(checks) != 1:
        raise BadValue(f"{where}: expected one of {', '.join(CHECKS)}, got {' and '.join(checks) or 'none'}")
    check, weight = checks[0], row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
        raise BadValue(f"{where}: weight is a number above 0, got {weight!r}")
    for owner, key in WITH.items():
        if key in row and owner != check:
            raise BadValue(f"{where}: {key} goes with {owner}, which this principle has not")
    more = row.get(WITH.get(check, ""), {"judge": 0.0, "ask": NO}.get(check))
    try:
        _checked(check, row[check], more)
    except ValueError as error:
        raise BadValue(f"{where}: {error}") from None
    return Principle(name, check, row[check], more, float(weight))


def _checked(check: str, value: Any, more: Any) -> None:
    """Raises ValueError for what a check cannot be given."""
    if check in ("has", "lacks"):
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v.strip() for v in value):
            raise ValueError(f'{check} is a list of words, such as ["happy", "fun"], got {value!r}')
    elif check == "words":
        whole = isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)
        if not whole or not 0 <= value[0] <= value[1]:
            raise ValueError(f"words is the least and the most, such as [5, 40], got {value!r}")
    elif not isinstance(value, str) or not value.strip():
        raise ValueError(f"{check} is a text, got {value!r}")
    if check == "judge" and (isinstance(more, bool) or not isinstance(more, int | float)):
        raise ValueError(f"at_least is a number, got {more!r}")
    if check == "ask" and "{answer}" not in value:
        raise ValueError("ask holds {answer} where the text stands, and may hold {prompt}")
    for pattern in (value,) if check in ("matches", "avoids") else (more,) if check == "ask" else ():
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def filled(template: str, **parts: str) -> str:
    """The template with {name} replaced by each part; other braces stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda m: parts.get(m[1], m[0]), template)


def check_of(principle: Principle, worth: Callable[[str, str, str], float], asked: Callable[[str], str]) -> Check:
    """The check of a principle. worth(run, prompt, answer): what a reward run thinks of an answer; asked(question):
    what the model itself replies."""
    name, value, more = principle.name, principle.value, principle.more

    def has(prompt: str, answer: str) -> Offence | None:
        return None if _any(value).search(answer) else Offence(name, f"has none of {', '.join(value)}")

    def lacks(prompt: str, answer: str) -> Offence | None:
        hit = _any(value).search(answer)
        return Offence(name, f"has {hit[0]!r}", hit.start()) if hit else None

    def matches(prompt: str, answer: str) -> Offence | None:
        return None if re.search(value, answer) else Offence(name, f"does not match {value}")

    def avoids(prompt: str, answer: str) -> Offence | None:
        hit = re.search(value, answer)
        return Offence(name, f"has {hit[0]!r}", hit.start()) if hit else None

    def words(prompt: str, answer: str) -> Offence | None:
        count = len(answer.split())
        return None if value[0] <= count <= value[1] else Offence(name, f"has {count} words")

    def judge(prompt: str, answer: str) -> Offence | None:
        found = worth(value, prompt, answer)
        return None if found >= more else Offence(name, f"is worth {found:.3g}")

    def ask(prompt: str, answer: str) -> Offence | None:
        reply = asked(filled(value, prompt=prompt, answer=answer))
        return Offence(name, f"the model says {reply.strip()[:40]!r}") if re.search(more, reply) else None

    made: dict[str, Check] = {
        "has": has, "lacks": lacks, "matches": matches, "avoids": avoids, "words": words, "judge": judge, "ask": ask
    }  # fmt: skip
    return made[principle.check]


def _any(phrases: Sequence[str]) -> re.Pattern[str]:
    """Any of these as whole words, in any case."""
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(p) for p in phrases)})(?!\w)", re.IGNORECASE)


def cost(offences: Sequence[Offence], principles: Sequence[Principle]) -> float:
    """The weights of the principles that are broken."""
    weights = {p.name: p.weight for p in principles}
    return sum(weights[o.principle] for o in offences)
