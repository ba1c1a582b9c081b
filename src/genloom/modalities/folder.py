"""Folders of single items: what an earlier call left there is removed, but nobody else's files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from genloom.errors import Storage
from genloom.modalities.image import write_bytes

LIST = ".genloom.json"  # names of the files that we wrote into a folder


def number(i: int, count: int) -> str:
    """The name of item i of `count` without its ending: 0000, 0001, ..."""
    return f"{i:0{max(4, len(str(max(0, count - 1))))}d}"


def write_files(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Files by their names below the folder, each whole or not at all. Raises Storage where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Storage(f"cannot write folder {folder}: {error.strerror or error}: choose another place") from None
    before, names = _ours(folder), []
    for name, content in files:
        write_bytes(folder / name, content)
        names.append(name)
    for old in before - set(names):
        (folder / old).unlink(missing_ok=True)
    write_bytes(folder / LIST, json.dumps(names).encode())


def _ours(folder: Path) -> set[str]:
    """Names below the folder, and nothing that a changed list might say of other places."""
    try:
        found = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    names = found if isinstance(found, list) else []
    return {n for n in names if isinstance(n, str) and not Path(n).is_absolute() and ".." not in Path(n).parts}
