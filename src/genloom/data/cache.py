"""Where files lie between runs: the user's cache, and the folder GENLOOM_DATA names.

A cache that cannot be written only costs time, except for data sets that are fetched, which need a place.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genloom.errors import Damaged, GenloomError
from genloom.runs.files import write_atomic


def cache_dir() -> Path:
    """GENLOOM_CACHE, or genloom/ in the user's cache folder (XDG_CACHE_HOME, else ~/.cache). May not exist yet."""
    if own := os.environ.get("GENLOOM_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genloom"


def data_dir() -> Path | None:
    """The folder in which GENLOOM_DATA keeps data sets, if it is set."""
    own = os.environ.get("GENLOOM_DATA")
    return Path(own) if own else None


def cached_array(key: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array stored under `key` (a file name's stem) in the cache, or else make(), which is then stored if possible.

    `key` must hold a hash of everything the array depends on.
    """
    path = cache_dir() / "arrays" / f"{key}.npy"
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        array = make()
    with contextlib.suppress(OSError, GenloomError):  # an unwritable cache only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda p: _save(p, array))
    return array


def _save(path: Path, array: np.ndarray) -> None:
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)


def unpack(content: bytes) -> bytes:
    """The content of a gzip file, or the content itself where it is none. Raises Damaged where it was cut short."""
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged(f"a gzip file is cut short or changed ({error}): fetch it again") from None
