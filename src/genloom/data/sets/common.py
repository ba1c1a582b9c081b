"""What the entries of several kinds share: addresses of files at a commit, and a set's folder when it is first used."""

from __future__ import annotations

import sys
from pathlib import Path

from genloom.data.fetch.entry import Archive, Entry, File, Folder, Source, Url
from genloom.data.fetch.manifest import present
from genloom.data.fetch.obtain import obtain
from genloom.errors import NotFound

FIRST_USE = 64_000_000  # bytes up to which a free set is fetched when it is first used, without asking


def github(repo: str, commit: str, path: str) -> Url:
    """A file of a GitHub repository at a commit."""
    return Url(f"https://raw.githubusercontent.com/{repo}/{commit}/{path}")


def one(name: str, sha256: str, size: int, folder: str, *sources: Source, gzip: bool = False) -> File:
    """A file of a set. folder: its path below GENLOOM_DATA, looked at first; gzip: sources may deliver it packed."""
    return File(name, sha256, (Folder(folder), *sources), size, "gzip" if gzip else None)


def folder_of(entry: Entry) -> Path:
    """The folder of a set's files, complete and checked.

    A free set of at most FIRST_USE bytes is fetched now, with a line on stderr that says so. Raises NotFound with the
    command to give for larger ones and for those that ask for consent.
    """
    held = present(entry)
    if held is not None:
        return held
    if asks(entry):
        terms = " and has terms to agree to" if entry.restricted else ""
        raise NotFound(
            f"{entry.name} is not here yet{terms}: `genloom data fetch {entry.name}` brings it "
            f"({mega(download_size(entry))}, licence: {entry.card.licence})"
        )
    size = mega(download_size(entry))
    sys.stderr.write(f"fetching {entry.name}, this once: {size}, licence: {entry.card.licence}\n")
    return obtain(entry, consent=False)


def asks(entry: Entry) -> bool:
    """Whether a person must fetch the set by hand: it is large, or has terms to agree to."""
    return bool(entry.restricted) or max(entry.size, download_size(entry)) > FIRST_USE


def state(entry: Entry) -> str:
    """Whether a set is here, and if not, how it gets here."""
    if not entry.files:
        return "with genloom"
    if present(entry):
        return "here"
    how = "fetch, with consent" if entry.restricted else "fetch" if asks(entry) or not entry.load else "at first use"
    return f"{how}, {mega(download_size(entry))}"


def download_size(entry: Entry) -> int:
    """Bytes that travel, as far as they are known: of packages as they are packed, of files as they will lie there."""
    return sum((part.download or part.size) if isinstance(part, Archive) else part.size for part in entry.files)


def mega(size: int) -> str:
    """Bytes in megabytes, for a person."""
    return f"{size / 1e6:.0f} MB" if size >= 9.5e6 else f"{max(size, 50_000) / 1e6:.1f} MB"
