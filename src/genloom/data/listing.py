"""The files of a folder: names, sizes and times in sorted order, read with one look at each directory.

A name takes about 100 bytes of memory: ten million files are a gigabyte of names.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_NO_STAT = (-1, 0)  # a link that leads nowhere


@dataclass(frozen=True)
class Listing:
    """names: relative to `folder`, with "/", sorted; sizes in bytes and times (last change, ns), int64 (N,)."""

    folder: Path
    names: list[str]
    sizes: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def path(self, i: int) -> str:
        return os.path.join(self.folder, self.names[i])

    def only(self, endings: frozenset[str]) -> Listing:
        """The files with these endings (".png")."""
        keep = [i for i, name in enumerate(self.names) if os.path.splitext(name)[1].lower() in endings]
        return self.take(keep)

    def take(self, keep: list[int]) -> Listing:
        """The files at these places."""
        if len(keep) == len(self):
            return self
        return Listing(self.folder, [self.names[i] for i in keep], self.sizes[keep], self.times[keep])

    @property
    def fingerprint(self) -> str:
        """A hash of names, sizes and times: another one means that a file came, went or was written."""
        digest = hashlib.sha256(self.sizes.tobytes() + self.times.tobytes())
        for i in range(0, len(self.names), 4096):
            digest.update(os.fsencode("\0".join(self.names[i : i + 4096]) + "\0"))
        return digest.hexdigest()


def scan(folder: Path, endings: frozenset[str]) -> Listing:
    """Files with these endings in the folder and below it; hidden files and folders, and folders "__...", are left out.

    Links to folders are not followed, and sub-folders that may not be read are passed over. Raises OSError where the
    folder itself cannot be read.
    """
    found: list[tuple[str, int, int]] = []
    todo = [""]
    while todo:
        prefix = todo.pop()
        with contextlib.suppress(OSError) if prefix else contextlib.nullcontext():
            for entry in _entries(os.path.join(folder, prefix)):
                name = entry.name
                if name.startswith("."):
                    continue
                if os.path.splitext(name)[1].lower() in endings and not entry.is_dir():
                    found.append((prefix + name, *_stat(entry)))
                elif not name.startswith("__") and entry.is_dir(follow_symlinks=False):
                    todo.append(f"{prefix}{name}/")
    found.sort()
    numbers = np.array([(size, time) for _, size, time in found], np.int64).reshape(-1, 2)
    return Listing(folder, [name for name, _, _ in found], numbers[:, 0].copy(), numbers[:, 1].copy())


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _stat(entry: os.DirEntry[str]) -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:
        return _NO_STAT
    return found.st_size, found.st_mtime_ns


def of_files(paths: list[Path]) -> Listing:
    """A listing of certain files, by their full paths, in the order given."""
    folder = paths[0].parent if paths else Path()
    numbers = []
    for path in paths:
        try:
            found = path.stat()
            numbers.append((found.st_size, found.st_mtime_ns))
        except OSError:
            numbers.append(_NO_STAT)
    columns = np.array(numbers, np.int64).reshape(-1, 2)
    return Listing(folder, [os.path.relpath(p, folder) for p in paths], columns[:, 0].copy(), columns[:, 1].copy())
