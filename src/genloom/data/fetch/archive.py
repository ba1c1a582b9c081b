"""Taking chosen files out of an archive that somebody else made: zip, wheel, tar and its packings, Debian's deb.

Nothing of an archive is trusted: names must stay below the folder, links may not lead out of it, and what comes out is
counted while it is unpacked, against limits on bytes, members and ratio, whatever the headers say.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from genloom.data.fetch.packing import Readable, data_of_deb, unpacked
from genloom.errors import Damaged
from genloom.runs.files import storage

_CHUNK = 1 << 18
_LIKE = "it is not unpacked; remove it, and fetch from another source"


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold. ratio: unpacked to packed bytes, looked at from `free` unpacked bytes on."""

    total: int = 16 << 30
    members: int = 1_000_000
    ratio: float = 300.0
    free: int = 64 << 20


class _Counter:
    """Counts what comes out of `path`; raises Damaged as soon as it is too much."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._packed = max(1, path.stat().st_size)
        self._bytes = self._members = 0

    def add(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._limits.total:
            raise Damaged(f"{self._path} unpacks to more than {self._limits.total:,} bytes: {_LIKE}")
        if self._bytes > self._limits.free and self._bytes > self._limits.ratio * self._packed:
            raise Damaged(f"{self._path} unpacks to more than {self._limits.ratio:.0f} times its size: {_LIKE}")

    def member(self) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise Damaged(f"{self._path} holds more than {self._limits.members:,} members: {_LIKE}")


class _Counted:
    """A stream of unpacked bytes, counted as they are read; `tail` keeps the end."""

    def __init__(self, stream: Readable, counter: _Counter) -> None:
        self._stream, self._counter = stream, counter
        self.tail = b""

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(_CHUNK if size < 0 else size)
        self._counter.add(len(chunk))
        self.tail = (self.tail + chunk)[-512:] if len(chunk) < 512 else chunk[-512:]
        return chunk


@dataclass(frozen=True)
class Wanted:
    """Which members are wanted and where they go: the rules of `entry.Package.members`."""

    rules: tuple[tuple[str, re.Pattern[str], str, str], ...]

    @classmethod
    def of(cls, members: Mapping[str, str]) -> Wanted:
        return cls(tuple((p, _pattern(p), _fixed(p), target) for p, target in members.items()))

    def target(self, name: str) -> tuple[str, str] | None:
        """(the pattern that wants it, the relative path it goes to), or None."""
        for pattern, expression, fixed, target in self.rules:
            if expression.fullmatch(name):
                if target and not target.endswith("/"):
                    return pattern, target
                return pattern, target + name[len(fixed) :]
        return None


def _pattern(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*|\*|\?)", pattern)
    meaning = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece) or re.escape(piece) for piece in pieces), re.DOTALL)


def _fixed(pattern: str) -> str:
    """The folder before the first wildcard; of a plain name, its folder."""
    head = re.split(r"[*?]", pattern)[0]
    return head[: head.rfind("/") + 1]


def extract(
    path: Path, members: Mapping[str, str], into: Path, *, strip: bool = False, limits: Limits = Limits()
) -> dict[str, str]:
    """Unpacks the wanted members of the archive at `path` below the folder `into`; their sha256 by relative path.

    members: see `entry.Package`; those that nothing answers to are absent from the result. strip: the first folder of
    every name is dropped (npm's package/, an sdist's name-version/). Raises Damaged for archives that are cut short,
    changed or hostile, Storage where the disk is full.
    """
    work = _Extraction(path, Wanted.of(members), into, strip, _Counter(path, limits))
    try:
        with open(path, "rb") as file:
            magic = file.read(8)
        if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            work.from_zip()
        elif magic == b"!<arch>\n":
            with data_of_deb(path) as (stream, plain):
                work.from_tar(stream, plain)
        else:
            with unpacked(path, magic) as (stream, plain):
                work.from_tar(stream, plain)
    except (EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise Damaged(f"{path} is cut short or changed ({error}): remove it and fetch it again") from None
    except (RuntimeError, NotImplementedError) as error:  # zipfile's words for encryption and rare packings
        raise Damaged(f"{path} cannot be unpacked ({error}): {_LIKE}") from None
    return work.written


class _Extraction:
    """One archive being unpacked; `written`: sha256 by relative path."""

    def __init__(self, path: Path, wanted: Wanted, into: Path, strip: bool, counter: _Counter) -> None:
        self._path, self._wanted, self._into, self._strip, self._counter = path, wanted, into, strip, counter
        self.written: dict[str, str] = {}
        self._links: list[tuple[str, str]] = []
        self._places: dict[str, str] = {}

    def from_zip(self) -> None:
        with zipfile.ZipFile(self._path) as archive:
            for info in archive.infolist():
                self._counter.member()
                name = self._name(info.orig_filename)  # filename hides NUL and backslashes
                mode = info.external_attr >> 16
                if stat.S_ISLNK(mode) or (stat.S_IFMT(mode) and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)):
                    if self._wanted.target(name):
                        raise self._bad(f"{name!r} is a link or a device")
                elif not info.is_dir() and (target := self._target(name)):
                    with archive.open(info) as stream:
                        self._write(name, target, _Counted(stream, self._counter))

    def from_tar(self, stream: Readable, plain: bool) -> None:
        """plain: no packing around it whose checksum would tell of a missing end."""
        counted = _Counted(stream, self._counter)
        with tarfile.open(fileobj=_as_file(counted), mode="r|") as archive:
            for info in archive:
                self._counter.member()
                name = self._name(info.name)
                if info.isdir() or not (target := self._target(name)):
                    continue
                if info.issym() or info.islnk():
                    self._links.append((target, self._linked(name, info)))
                elif not info.isreg() or info.issparse():
                    raise self._bad(f"{name!r} is a device or another special file")
                else:
                    content = archive.extractfile(info)
                    assert content is not None
                    self._write(name, target, content)
        while counted.read(_CHUNK):  # to the end, so that the packing's checksum is compared
            pass
        if plain and counted.tail.strip(b"\0"):
            raise EOFError("the end is missing")
        self._follow()

    def _name(self, name: str) -> str:
        """The member's name below the archive's root. Raises Damaged for what could lead elsewhere."""
        if "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
            raise self._bad(f"a member is called {name!r}")
        if name.startswith("/") or ".." in name.split("/"):
            raise self._bad(f"{name!r} leads out of the folder")
        clean = PurePosixPath(name).as_posix()
        if self._strip:
            clean = clean.partition("/")[2]
        return "" if clean == "." else clean

    def _target(self, name: str) -> str | None:
        hit = self._wanted.target(name)
        if hit is None:
            return None
        if hit[1] in self.written or any(hit[1] == target for target, _ in self._links):
            raise self._bad(f"{name!r} is there twice")
        return hit[1]

    def _linked(self, name: str, info: tarfile.TarInfo) -> str:
        """The member a link means. Raises Damaged where it leads out."""
        if info.islnk():
            return self._name(info.linkname)
        here = list(PurePosixPath(name).parent.parts)
        if info.linkname.startswith("/"):
            raise self._bad(f"{name!r} is a link to {info.linkname!r}, which leads out of the folder")
        for part in info.linkname.split("/"):
            if part == "..":
                if not here:
                    raise self._bad(f"{name!r} is a link to {info.linkname!r}, which leads out of the folder")
                here.pop()
            elif part not in ("", "."):
                here.append(part)
        return "/".join(here)

    def _follow(self) -> None:
        """Links become copies of the files they mean, which must be wanted too."""
        for target, meant in self._links:
            source = self._places.get(meant)
            if source is None:
                raise self._bad(f"a link means {meant!r}, which is no wanted file")
            self._counter.add((self._into / source).stat().st_size)
            with storage(self._into / target):
                (self._into / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._into / source, self._into / target)
            self.written[target] = self.written[source]

    def _write(self, name: str, target: str, stream: Readable) -> None:
        place, digest = self._into / target, hashlib.sha256()
        with storage(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            file = open(place, "wb")  # noqa: SIM115
        with file:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                with storage(place):
                    file.write(chunk)
            with storage(place):
                file.flush()
        self.written[target] = digest.hexdigest()
        self._places[name] = target

    def _bad(self, what: str) -> Damaged:
        return Damaged(f"{self._path}: {what}: {_LIKE}")


def _as_file(stream: _Counted) -> IO[bytes]:
    """tarfile's streaming mode asks only for read()."""
    return stream  # type: ignore[return-value]
