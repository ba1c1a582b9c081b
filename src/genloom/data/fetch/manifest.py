"""What a fetched set's folder says about itself: manifest.json, written last. Without it a set is not there.

{"format": 1, "name", "title", "licence", "citation", "source", "genloom", "fetched": ISO time,
 "parts": {name: key of what was wanted}, "sources": {name of a part: where it came from},
 "files": [{"name", "size", "sha256"}], "restricted", "consent": {"date", "text"} | null}
"""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from genloom import __version__
from genloom.data.cache import cache_dir
from genloom.data.fetch.entry import Archive, Entry, File, check_name
from genloom.data.fetch.trouble import Reporter
from genloom.errors import Busy, Damaged, NotFound
from genloom.runs.files import sha256, storage, write_json

NAME = "manifest.json"
WAIT = 3600.0  # seconds to wait for another process that fetches the same set


def sets_folder() -> Path:
    """Where all fetched sets lie."""
    return cache_dir() / "data"


def set_folder(name: str) -> Path:
    """Where the set of that name lies, or will. Raises BadValue for what is no name."""
    return sets_folder() / check_name(name)


def contents_hash(files: Mapping[str, str]) -> str:
    """One sha256 over files and their sha256, by relative name: what `entry.Archive.contents` pins."""
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(listed.encode()).hexdigest()


def part_key(part: File | Archive) -> str:
    """What decides whether a part that is here is still the one wanted; sources may change without fetching again."""
    if isinstance(part, File):
        return part.sha256
    if part.contents:
        return part.contents
    wanted = sorted((str(p.sha256), *sorted(p.members.items())) for p in part.packages)
    return hashlib.sha256(repr(wanted).encode()).hexdigest()


def read(name: str) -> dict[str, Any] | None:
    """The manifest of a set, or None where there is none that can be read."""
    try:
        found = json.loads((set_folder(name) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("format") == 1 else None


def present(entry: Entry) -> Path | None:
    """The folder of a set that is here, complete, and as the entry wants it; sizes are looked at, not contents."""
    found, folder = read(entry.name), set_folder(entry.name)
    if found is None or found.get("parts") != {part.name: part_key(part) for part in entry.files}:
        return None
    try:
        whole = all((folder / f["name"]).stat().st_size == f["size"] for f in found["files"])
    except (OSError, KeyError, TypeError):
        return None
    return folder if whole else None


def write(
    entry: Entry,
    hashes: Mapping[str, str],
    sources: Mapping[str, str],
    consent: Mapping[str, str] | None,
) -> None:
    """Makes the set complete. hashes: sha256 of every file by relative name; sources: by part, what delivered it."""
    folder = set_folder(entry.name)
    files = [{"name": n, "size": (folder / n).stat().st_size, "sha256": h} for n, h in sorted(hashes.items())]
    card = entry.card
    content = {
        "format": 1,
        "name": entry.name,
        "title": card.title,
        "licence": card.licence,
        "citation": card.citation,
        "source": card.source,
        "genloom": __version__,
        "fetched": now(),
        "parts": {part.name: part_key(part) for part in entry.files},
        "sources": dict(sources),
        "files": files,
        "restricted": entry.restricted,
        "consent": dict(consent) if consent else None,
    }
    write_json(folder / NAME, content)


def verify(name: str) -> dict[str, Any]:
    """Hashes every file of a set again and returns its manifest. Raises NotFound where it was not fetched, Damaged
    where a file is missing, cut short or changed."""
    found, folder = read(name), set_folder(name)
    if found is None:
        raise NotFound(f"{name} is not here: `genloom data fetch {name}` fetches it")
    bad = [f["name"] for f in found["files"] if not _is(folder / f["name"], f)]
    if bad:
        more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        raise Damaged(
            f"{folder / bad[0]}{more} changed since it was fetched, or is missing: "
            f"`genloom data fetch {name} --remove` and then `genloom data fetch {name}` bring it back"
        )
    return found


def _is(path: Path, said: Mapping[str, Any]) -> bool:
    try:
        return path.stat().st_size == said["size"] and sha256(path) == said["sha256"]
    except OSError:
        return False


def remove(name: str, report: Reporter) -> bool:
    """Deletes a set and what was downloaded of it; whether there was anything. The manifest goes first."""
    folder, downloads = set_folder(name), downloads_folder(name)
    if not folder.exists() and not downloads.exists():
        return False
    with lock(name, report), storage(folder):
        (folder / NAME).unlink(missing_ok=True)
        for place in (folder, downloads):
            if place.is_symlink():
                place.unlink()
            elif place.exists():
                shutil.rmtree(place)
    return True


def downloads_folder(name: str) -> Path:
    """Where packages and half files lie until a set is complete."""
    return cache_dir() / "downloads" / check_name(name)


class lock:
    """Holds a set for this process; waits for another that does. Raises Busy after an hour, Storage without a place."""

    def __init__(self, name: str, report: Reporter) -> None:
        self._name, self._report = name, report
        self._lock = FileLock(set_folder(name).with_name(f".{name}.lock"))

    def __enter__(self) -> None:
        place = Path(self._lock.lock_file)
        with storage(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                self._report.note(f"another process is fetching {self._name}: waiting for it")
                self._wait()

    def _wait(self) -> None:
        try:
            self._lock.acquire(timeout=WAIT)
        except Timeout:
            raise Busy(
                f"another process has been fetching {self._name} for an hour: end it, or wait and try again"
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def now() -> str:
    """The time, to the second, with its zone."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
