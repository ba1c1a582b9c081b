"""Every verb of the command line, with its arguments and flags: the one table behind parsing, `--help` and docs/cli.md.

Nothing here imports torch, numpy or a recipe, so that `genloom --help` answers at once.
"""

from __future__ import annotations

from genloom.cli.table.around import AROUND
from genloom.cli.table.drawing import DRAWING
from genloom.cli.table.exploring import EXPLORING
from genloom.cli.table.flags import COMMON
from genloom.cli.table.learning import MANY, TRAIN
from genloom.cli.verb import Verb

__all__ = ["COMMON", "VERBS", "groups", "verbs"]

VERBS = (*TRAIN, *DRAWING, *EXPLORING, *MANY, *AROUND)
"""In the order in which help lists them."""


def verbs() -> dict[str, Verb]:
    """All verbs by name, in the order help lists them."""
    return {verb.name: verb for verb in VERBS}


def groups() -> dict[str, dict[str, Verb]]:
    """Verbs of two words by their first: {"data": {"show": ...}}. The first of a group is what the bare word does."""
    found: dict[str, dict[str, Verb]] = {}
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        if second:
            found.setdefault(first, {})[second] = verb
    return found
