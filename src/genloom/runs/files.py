"""Files that are either whole or absent: written beside their place, flushed, then renamed into it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genloom.errors import Damaged, Storage


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turns what a disk can say (full, read-only, not allowed) into one line."""
    try:
        yield
    except OSError as e:
        why = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up"}.get(
            e.errno or 0, e.strerror or str(e)
        )
        raise Storage(f"cannot write {path}: {why}; nothing was overwritten") from e


def write_atomic(path: Path, write: Callable[[Path], None]) -> None:
    """Calls write(temporary path beside `path`), flushes it to disk and renames it to `path`. Raises Storage."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage(path):
        try:
            write(temporary)
            with open(temporary, "rb") as f:
                os.fsync(f.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes text (UTF-8) atomically."""
    write_atomic(path, lambda p: _write(p, text.encode()))


def write_json(path: Path, data: Any) -> None:
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def read_json(path: Path) -> Any:
    """The JSON in a file. Raises Damaged where it is missing or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise Damaged(f"{path} is missing: the run is incomplete; train it again or point to another run") from e
    except (ValueError, OSError) as e:
        raise Damaged(
            f"{path} cannot be read as JSON ({e}): it was cut short or edited; restore it or train again"
        ) from e


def sha256(path: Path) -> str:
    """The hash of a file's content, in hex."""
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def sync_directory(path: Path) -> None:
    """Makes renames inside a directory durable, where the platform can."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # Windows does not open directories
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
