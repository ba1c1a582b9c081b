"""Help texts, made from the table of verbs alone; the fields of a recipe come from its dataclasses."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from genloom.cli.table import COMMON, VERBS, groups
from genloom.cli.verb import Flag, Verb

ABOUT = "Learn generative models from your own data, know honestly how good they are."


def width() -> int:
    """Columns to write in: the terminal's, between 60 and 120."""
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))


def overview(version: str) -> str:
    """What `genloom --help` says."""
    rows = [(verb.name, verb.summary) for verb in VERBS]
    return "\n".join(
        [
            f"genloom {version}: {ABOUT}",
            "",
            "  genloom demo                                        everything once, on real data, in minutes",
            "  genloom train flow --data ./my-photos --budget 5m   your own pictures",
            "  genloom sample runs/0001-flow -n 64                 files people can open",
            "",
            "commands:",
            *columns(rows),
            "",
            "`genloom COMMAND --help` explains one; `genloom train RECIPE --help` lists every field of a recipe.",
            "Each is also a Python function: genloom.train(...), genloom.sample(...).",
        ]
    )


def group_help(name: str) -> str:
    """What `genloom data --help` says."""
    family = groups()[name]
    rows = [(f"{name} {second}", verb.summary) for second, verb in family.items()]
    said = f"`genloom {name} COMMAND --help` explains one; `genloom {name}` alone does `{name} {next(iter(family))}`."
    return "\n".join([f"usage: genloom {name} {'|'.join(family)}", "", *columns(rows), "", said])


def usage(verb: Verb) -> str:
    """The verb's synopsis on one line."""
    words = [a.name if a.required else f"[{a.name}]" for a in verb.arguments]
    words += [f"[{a.name} ...]" for a in verb.arguments if a.many]
    more = ["[flags]"] + (["[--FIELD VALUE ...]"] if verb.fields else [])
    return " ".join(["genloom", verb.name, *words, *more])


def flag_form(flag: Flag) -> str:
    """A flag as it is typed: -n, --n INT."""
    return " ".join(filter(None, [f"{flag.short}, {flag.name}" if flag.short else flag.name, flag.value]))


def flag_help(flag: Flag) -> str:
    """A flag's sentence with its default."""
    return f"{flag.help} [{flag.default}]" if flag.default else flag.help


def verb_help(verb: Verb) -> str:
    """What `genloom VERB --help` says."""
    lines = [f"{verb.summary[0].upper()}{verb.summary[1:]}.", "", *(f"  {e}" for e in verb.examples), ""]
    lines += [f"usage: {usage(verb)}", ""]
    rows = [(a.name, a.help) for a in verb.arguments]
    rows += [(flag_form(f), flag_help(f)) for f in (*verb.flags, *COMMON)]
    lines += columns(rows)
    if verb.about:
        lines += ["", *textwrap.wrap(verb.about, width())]
    return "\n".join(lines)


def field_rows(infos: Sequence[Any]) -> list[tuple[str, str]]:
    """Rows (form, sentence) of `genloom.recipes.fields.FieldInfo` records."""
    from genloom.recipes.fields import shown, type_name

    return [
        (f"--{i.path} {type_name(i.type)}", " ".join(filter(None, [i.help, f"[{shown(i.value)}]"])))
        for i in infos
        if i.path != "model"
    ]


def columns(rows: Sequence[tuple[str, str]], limit: int = 34) -> list[str]:
    """Two aligned columns; a left part longer than `limit` stands on a line of its own."""
    left = min(limit, max((len(a) for a, _ in rows), default=0))
    pad = " " * (left + 4)
    lines: list[str] = []
    for a, b in rows:
        wrapped = textwrap.wrap(b, max(30, width() - left - 4)) or [""]
        first = f"  {a:<{left}}  "
        if len(a) > left:
            lines.append(f"  {a}")
            first = pad
        lines += [(first + wrapped[0]).rstrip(), *(pad + w for w in wrapped[1:])]
    return lines
