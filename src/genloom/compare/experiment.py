"""`genloom experiment`: studies that take many runs and end with one answer."""

from __future__ import annotations

from typing import Any

from genloom.errors import unknown

KINDS = ("collapse",)


def experiment(kind: str, *args: Any, **choices: Any) -> Any:
    """The experiment of this name with its own arguments: experiment("collapse", "vae", data="digits"). Raises
    NotFound."""
    if kind not in KINDS:
        raise unknown("experiment", kind, KINDS, see="genloom experiment --help")
    from genloom.compare.collapse import collapse

    return collapse(*args, **choices)
