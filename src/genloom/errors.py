"""What goes wrong, in one line, with the cure.

Every error a person can cause derives from :class:`GenloomError`. The command line prints it as one line and exits
with code 2; a notebook shows the same line. Anything else that escapes is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GenloomError(Exception):
    """A mistake or a misfortune outside the code: says what was expected, what arrived, and what to do."""

    exit_code = 2


class NotFound(GenloomError):
    """A name that nothing answers to: a recipe, field, data set, run or file."""


class BadValue(GenloomError):
    """A value outside what is allowed: a budget of "5x", n = -3."""


class BadData(GenloomError):
    """Data that cannot be learnt from: empty, unreadable, of another modality, not a number."""


class Damaged(GenloomError):
    """A file that was changed or cut short since it was written, or belongs to another model or version."""


class Busy(GenloomError):
    """Somebody else is using it: a second process training into the same run."""


class Storage(GenloomError):
    """The disk is full, or a folder cannot be written."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """The names in `known` closest to `name`, best first; empty where nothing comes near."""
    return difflib.get_close_matches(name, list(known), n=count, cutoff=0.5)


def unknown(kind: str, name: str, known: Iterable[str], see: str = "") -> NotFound:
    """A :class:`NotFound` that offers the nearest right names; `see` is a command that lists them all."""
    known = sorted(known)
    near = nearest(name, known)
    if near:
        help_ = f"did you mean {' or '.join(repr(n) for n in near)}?"
    elif known and len(known) <= 12:
        help_ = f"expected one of {', '.join(known)}"
    else:
        help_ = "nothing has a similar name"
    return NotFound(f"unknown {kind} {name!r}: {help_}" + (f" (see `{see}`)" if see else ""))
