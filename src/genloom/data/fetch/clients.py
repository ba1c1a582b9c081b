"""What pip, npm and apt have in common here: they are asked where a package file lies, and as a last resort to get it.

No client ever installs, builds or runs anything of a package.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genloom.data.fetch.trouble import Failed

ASKING, GETTING = 180.0, 7200.0  # seconds that a client may take


@dataclass(frozen=True)
class Offer:
    """A package file that an index names. sha256: as the index says, or empty; cafile: the client's certificates."""

    url: str
    filename: str
    sha256: str = ""
    cafile: str | None = None


def ask(command: Sequence[str], *, cwd: Path | None = None, seconds: float = ASKING) -> str:
    """What a client prints. Raises Failed with its own last words where it fails, or is not there."""
    try:
        done = subprocess.run(
            list(command),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            env={**os.environ, "LC_ALL": "C", "NO_COLOR": "1"},
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[0]).name} said nothing for {seconds:.0f} seconds") from None
    except OSError as error:
        raise Failed(f"{Path(command[0]).name} cannot be run ({error.strerror})") from None
    if done.returncode:
        raise Failed(_complaint(done.stderr or done.stdout) or f"{Path(command[0]).name} exits with {done.returncode}")
    return done.stdout


def _complaint(text: str) -> str:
    """The line of a client's output that says what is wrong, without its own "ERROR:"."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(npm )?(error|ERR!|E:|W: .*[Ff]ailed)", line, re.IGNORECASE)]
    errors = [line for line in errors if not re.search(r"complete log|npm (error|ERR!) code|debug-0\.log", line)]
    chosen = errors or lines[-1:]
    return re.sub(r"^(npm )?(error:?|ERR!|E:)\s*(\d+\s)?", "", chosen[0], flags=re.IGNORECASE) if chosen else ""


def only_file(folder: Path, client: str) -> Path:
    """The one file that a client put into an empty folder."""
    found = [p for p in sorted(folder.iterdir()) if p.is_file() and not p.is_symlink()]
    if len(found) != 1:
        raise Failed(f"{client} left {len(found)} files where one was expected")
    return found[0]
