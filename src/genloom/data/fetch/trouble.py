"""What the parts of a fetch share: a source that fails, being offline, and texts that may be shown."""

from __future__ import annotations

import os
import re
from typing import Protocol


class Failed(Exception):
    """One source did not deliver; the next one is tried. refused: another client might still be let in."""

    def __init__(self, reason: str, refused: bool = False) -> None:
        super().__init__(shown(reason))
        self.refused = refused


class Reporter(Protocol):
    """Is told what goes on. Called often; must not raise."""

    def note(self, line: str) -> None:
        """A line worth keeping."""

    def moved(self, what: str, done: int, total: int | None, seconds: float, new: int) -> None:
        """`done` bytes of `total` are here, `new` of them since `seconds` ago, when this transfer began."""


class Quiet:
    """A reporter that says nothing."""

    def note(self, line: str) -> None:
        """Says nothing."""

    def moved(self, what: str, done: int, total: int | None, seconds: float, new: int) -> None:
        """Says nothing."""


def offline() -> bool:
    """Whether GENLOOM_OFFLINE forbids the network."""
    return os.environ.get("GENLOOM_OFFLINE", "").lower() not in ("", "0", "no", "false")


def need_network(what: str) -> None:
    """Raises Failed where the network is forbidden."""
    if offline():
        raise Failed(f"{what} needs the network, which GENLOOM_OFFLINE forbids")


def timeout() -> float:
    """Seconds without a byte after which a server counts as silent: GENLOOM_TIMEOUT, else 30."""
    try:
        return max(0.1, float(os.environ.get("GENLOOM_TIMEOUT") or 30))
    except ValueError:
        return 30.0


def shown(text: str, limit: int = 240) -> str:
    """One line without the credentials that addresses may carry, cut to `limit` characters."""
    line = " ".join(re.sub(r"//[^/@\s'\"]*@", "//", text).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
