"""Where results may go, checked before any work begins."""

from __future__ import annotations

import os
from pathlib import Path

from genloom.errors import BadValue, Storage
from genloom.modalities.registry import modality as kind_of


def check_writable(path: Path, flag: str) -> None:
    """Raises Storage where nothing could be written at `path`; creates nothing."""
    nearest = path if path.exists() else next(p for p in path.absolute().parents if os.path.lexists(p))
    if nearest != path and not nearest.is_dir():
        raise Storage(f"{flag} {path}: {nearest} is not a folder; choose another place")
    if not os.access(nearest, os.W_OK):
        raise Storage(f"{flag} {path}: {nearest} cannot be written; choose another place")


def check_out(out: str | Path, modality: str, folder: bool = True) -> Path:
    """`out` as a path that fits the modality and can be written. A final slash, a folder that exists or a name without
    an ending mean a folder of single items, where `folder` allows that. Raises BadValue or Storage."""
    path, kind = Path(out), kind_of(modality)
    kinds, folder = kind.writes, folder and kind.folder
    is_folder = os.fspath(out).endswith(("/", os.sep)) or path.is_dir() or not path.suffix
    allowed = " or ".join([*kinds, *(["a folder/"] if folder else [])])
    if is_folder and not folder:
        raise BadValue(f"--out {out}: this is written to {allowed}, not to a folder")
    if not is_folder and path.suffix.lower() not in kinds:
        raise BadValue(f"--out {out}: {kind.plural} are written to {allowed}, got {path.suffix!r}")
    check_writable(path, "--out")
    return path


def check_count(n: int, flag: str = "-n") -> int:
    """n, a whole number of at least 1. Raises BadValue."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise BadValue(f"{flag}: expected a whole number of at least 1, got {n!r}")
    return n
