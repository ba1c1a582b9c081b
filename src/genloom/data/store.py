"""Arrays that need not fit into memory: made once from a person's files, then mapped from the cache.

    stores/KEY/about.json   what it was made from and what its maker noted; written last
    stores/KEY/NAME.npy     a column: its rows were appended block by block
    stores/KEY.part/        a store in the making; whoever asks for it next goes on where the last process stopped

KEY is a hash of the files (names, sizes, times) and of the options that shape items. A store is renamed into place when
it is whole, so nobody sees half of one. Where the cache cannot be written, columns stay in memory if they fit.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from filelock import FileLock, Timeout

from genloom.data.cache import cache_dir
from genloom.data.column import Column
from genloom.errors import GenloomError, Storage
from genloom.runs.files import storage, sync_directory, write_json

VERSION = 1  # rises when what a store holds changes: old ones are then left alone
ABOUT, DRAFT = "about.json", "draft.json"
_SPARE = 64 << 20  # bytes that a disk keeps free

Columns = Mapping[str, tuple[Any, tuple[int, ...]]]
"""name -> (dtype, shape of a row)"""


@dataclass(frozen=True)
class Source:
    """What a store is made from. kind: "pictures", ...; path: the person's folder or file; files: a hash of its
    files' names, sizes and times; shaping: JSON-ready options that decide what the rows look like."""

    kind: str
    path: Path
    files: str
    shaping: Mapping[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> str:
        return str(self.path.resolve())

    @property
    def key(self) -> str:
        said = json.dumps([VERSION, self.kind, self.place, self.files, dict(self.shaping)], sort_keys=True)
        return f"{self.kind}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


@dataclass(frozen=True)
class Store:
    """columns: arrays by name, mapped from disk (private: writes would stay in this process); about: the maker's
    notes; path: where it lies, None in memory."""

    columns: Mapping[str, np.ndarray]
    about: Mapping[str, Any]
    path: Path | None


class Draft:
    """A store in the making. folder: None keeps it in memory. kept: what an earlier process said in `begin`."""

    def __init__(self, source: Source, folder: Path | None) -> None:
        self.source, self.folder = source, folder
        self.columns: dict[str, Column] = {}
        self.kept: dict[str, Any] | None = None
        self._total, self._told = 0, time.monotonic() + 1  # who waits longer than two seconds is told
        if folder is not None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                self.kept = json.loads((folder / DRAFT).read_text(encoding="utf-8"))["said"]

    def begin(self, said: Mapping[str, Any], columns: Columns, rows: int, *, resume: bool = True) -> int:
        """Makes room for about `rows` rows of these columns; returns how many rows there are already.

        Those of an earlier process count where it said the same; otherwise all begins anew. Raises Storage, with the
        numbers, where disk or memory are too small.
        """
        self.close()
        self._total = rows
        needed = rows * sum(np.dtype(d).itemsize * int(np.prod(r, dtype=np.int64)) for d, r in columns.values())
        if self.folder is None:
            free = psutil.virtual_memory().available // 2
            if needed > free:
                raise Storage(f"{_size(needed)} would have to stay in memory, where {_size(free)} may be used")
            self.columns = {name: Column(None, *kind) for name, kind in columns.items()}
            return 0
        with storage(self.folder):
            if not resume or self.kept != dict(said):
                _remove(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            there = sum(f.stat().st_size for f in self.folder.iterdir())
            free = shutil.disk_usage(self.folder).free
        if needed - there > free - _SPARE:
            _remove(self.folder)
            raise Storage(
                f"{self.source.path} takes {_size(needed)} in the cache, and {cache_dir()} has {_size(free)} free: "
                f"make room, or set GENLOOM_CACHE to a folder on a larger disk"
            )
        head = {"kind": self.source.kind, "source": self.source.place, "files": self.source.files}
        write_json(self.folder / DRAFT, {**head, "said": dict(said)})
        self.kept = dict(said)
        self.columns = {name: Column(self.folder / f"{name}.npy", *kind) for name, kind in columns.items()}
        done = min(c.rows for c in self.columns.values())
        for column in self.columns.values():
            column.cut(done)
        return done

    def append(self, **blocks: np.ndarray) -> None:
        """Adds rows to the columns of these names."""
        for name, block in blocks.items():
            self.columns[name].append(block)
        now = time.monotonic()
        if self._total and now - self._told > 1 and sys.stderr.isatty():
            done = max(c.rows for c in self.columns.values())
            sys.stderr.write(f"\r{self.source.path}: {done:,} of {self._total:,} items read\x1b[K")
            sys.stderr.flush()
            self._told = now

    def finish(self, about: Mapping[str, Any]) -> Store:
        """Writes what is left; the folder is then a store but for its name."""
        for column in self.columns.values():
            column.finish()
        if self.folder is None:
            return Store({name: c.array() for name, c in self.columns.items()}, dict(about), None)
        counts = {name: c.rows for name, c in self.columns.items()}
        head = {"store": VERSION, "kind": self.source.kind, "source": self.source.place, "files": self.source.files}
        with storage(self.folder):
            write_json(self.folder / ABOUT, {**head, "rows": counts, "about": dict(about)})
            (self.folder / DRAFT).unlink(missing_ok=True)
            sync_directory(self.folder)
        return Store({}, dict(about), self.folder)

    def close(self) -> None:
        for column in self.columns.values():
            column.close()
        if self._told < time.monotonic() and self._total and sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")


def obtain(
    source: Source,
    make: Callable[[Draft], Mapping[str, Any]],
    notes: list[str],
    usable: Callable[[Store], bool] = lambda store: True,
) -> Store:
    """The store made from `source`, mapped; make(draft) fills it the first time and returns its `about`.

    One process makes it, others wait. A store that is not `usable` is made anew. Older stores of the same path, whose
    files have changed since, are removed. Raises Storage where neither disk nor memory hold it.
    """
    target = cache_dir() / "stores" / source.key
    found = _open(target)
    if found is not None and usable(found):
        return found
    try:
        with _locked(target):
            found = _open(target)
            if found is not None and usable(found):
                return found
            _remove(target)
            draft = Draft(source, target.with_name(f"{target.name}.part"))
            try:
                draft.finish(make(draft))
            finally:
                draft.close()
            assert draft.folder is not None
            with storage(target):
                os.replace(draft.folder, target)
                sync_directory(target.parent)
            _forget_older(source, target.parent)
        found = _open(target)
        if found is not None:
            return found
        raise Storage(f"cannot read {target} that was just written: check the disk")
    except Storage as why:
        _remove(target.with_name(f"{target.name}.part"))
        draft = Draft(source, None)
        try:
            store = draft.finish(make(draft))
        except Storage as also:
            raise Storage(f"{why}; {also}") from None
        notes.append(f"the cache could not be used ({why}): kept in memory")
        return store


def _open(folder: Path) -> Store | None:
    """The store in `folder`, or None where there is none that is whole."""
    try:
        said = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        columns = {name: _map(folder / f"{name}.npy", rows) for name, rows in said["rows"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None
    return Store(columns, said["about"], folder)


def _map(path: Path, rows: int) -> np.ndarray:
    """Copy on write: torch asks for memory that could be written, and the file stays as it is."""
    array = np.load(path, mmap_mode="c" if rows else None, allow_pickle=False)
    if len(array) != rows:
        raise ValueError(f"{path} holds {len(array)} rows instead of {rows}")
    return array


@contextlib.contextmanager
def _locked(target: Path, timeout: float = -1) -> Iterator[None]:
    """Raises Storage where no lock can be made, Timeout where it is held."""
    with storage(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{target}.lock", timeout=timeout)
    try:
        lock.acquire()
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        raise Storage(f"cannot write {target.parent}: {getattr(error, 'strerror', None) or error}") from error
    try:
        yield
    finally:
        lock.release()


def _forget_older(source: Source, stores: Path) -> None:
    """Removes stores, and half ones that nobody works on, of the same path whose files are no longer the same."""
    for said in (*stores.glob(f"{source.kind}-*/{ABOUT}"), *stores.glob(f"{source.kind}-*.part/{DRAFT}")):
        with contextlib.suppress(OSError, ValueError, AttributeError, Timeout, GenloomError):
            held = json.loads(said.read_text(encoding="utf-8"))
            if held.get("source") == source.place and held.get("files") != source.files:
                target = stores / said.parent.name.removesuffix(".part")
                with _locked(target, timeout=0):
                    _remove(said.parent)
                Path(f"{target}.lock").unlink(missing_ok=True)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
