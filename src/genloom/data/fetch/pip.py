"""Python packages, from wherever pip is configured to look: indexes (JSON or HTML), find-links, local folders.

pip itself only tells its configuration; it is asked to download, wheels alone, where our own request is not let in.
A source distribution is never given to pip, which would run its setup.py to read its name.
"""

from __future__ import annotations

import ast
import http.client
import importlib.util
import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.parse
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path

from genloom.data.fetch.clients import GETTING, Offer, ask, only_file
from genloom.data.fetch.download import bare, file_path, opened
from genloom.data.fetch.entry import Pip
from genloom.data.fetch.trouble import Failed, offline, shown

OFFICIAL = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2"
_PAGE = 64 << 20
_SDISTS = (".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz")


def client() -> list[str] | None:
    """The command that starts pip; None where there is none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]  # -P: not a pip.py in the folder one happens to stand in
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else None


def settings(listed: str, environment: Mapping[str, str]) -> dict[str, str]:
    """pip's settings for downloads by name, from what `pip config list` prints and PIP_... variables (which win)."""
    found: dict[str, str] = {}
    for section in ("global.", "download."):
        for line in listed.splitlines():
            key, equals, value = line.strip().partition("=")
            if equals and key.startswith(section):
                try:
                    found[key.removeprefix(section)] = str(ast.literal_eval(value))
                except (ValueError, SyntaxError):
                    found[key.removeprefix(section)] = value
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def offers(source: Pip, sha256: str | None) -> Iterator[Offer]:
    """The files of that version, best first: those with the wanted sha256, wheels for any machine, wheels, sdists.

    Places that cannot be read are passed over; raises Failed with their reasons where none has the version.
    """
    command = client()
    listed = ""
    if command is not None:
        try:
            listed = ask([*command, "config", "list"])
        except Failed:
            listed = ""
    config = settings(listed, os.environ)
    cafile = config.get("cert") or None
    reasons: list[str] = []
    found: dict[str, Offer] = {}
    refused = False
    for place in _places(config, source.name):
        try:
            for offer in _read(place, cafile):
                if matches(offer.filename, source.name, source.version) and (
                    not sha256 or offer.sha256 in ("", sha256)
                ):
                    found.setdefault(bare(offer.url), offer)
        except Failed as error:
            refused = refused or error.refused
            reasons.append(f"{shown(bare(place))} {error}")
    if not found:
        what = "no file with the pinned sha256" if sha256 else "no such version"
        raise Failed("; ".join(reasons) or f"{what} in any place that pip looks at", refused=refused)
    yield from sorted(found.values(), key=lambda o: _rank(o, sha256))


def download(source: Pip, folder: Path) -> Path:
    """The wheel, fetched by pip itself into an empty folder."""
    command = client()
    if command is None:
        raise Failed("pip is not installed")
    if offline():
        raise Failed("GENLOOM_OFFLINE forbids the network")
    flags = ["--no-deps", "--only-binary", ":all:", "--no-input", "--quiet", "--disable-pip-version-check"]
    ask([*command, "download", *flags, "--dest", str(folder), f"{source.name}=={source.version}"], seconds=GETTING)
    return only_file(folder, "pip")


def matches(filename: str, name: str, version: str) -> bool:
    """Whether a file of an index is that version of that package."""
    if filename.endswith(".whl"):
        pieces = filename[:-4].split("-")
        return len(pieces) >= 5 and _same(pieces[0], pieces[1], name, version)
    ending = next((e for e in _SDISTS if filename.endswith(e)), None)
    if ending is None:
        return False
    has, _, is_version = filename.removesuffix(ending).rpartition("-")
    return _same(has, is_version, name, version)


def _same(name: str, version: str, wanted: str, wanted_version: str) -> bool:
    return _normal(name) == _normal(wanted) and _release(version) == _release(wanted_version)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _release(version: str) -> str:
    return re.sub(r"(\.0)+$", "", version.lower().removeprefix("v").replace("_", "-"))


def _rank(offer: Offer, sha256: str | None) -> tuple[int, int, int]:
    kind = 0 if offer.filename.endswith("-none-any.whl") else 1 if offer.filename.endswith(".whl") else 2
    return (int(not (sha256 and offer.sha256 == sha256)), kind, int(not offer.url.startswith("file:")))


def _places(config: Mapping[str, str], name: str) -> Iterator[str]:
    """Addresses of pages and folders that may list the package's files."""
    for text in config.get("find-links", "").split():
        yield _address(text)
    if config.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        return
    for index in [config.get("index-url") or OFFICIAL, *config.get("extra-index-url", "").split()]:
        yield f"{_address(index).rstrip('/')}/{_normal(name)}/"


def _address(text: str) -> str:
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE) or text.startswith("file:"):
        return text
    return Path(os.path.expandvars(text)).expanduser().absolute().as_uri()


def _read(place: str, cafile: str | None) -> list[Offer]:
    """The files that a page or folder lists, with absolute addresses."""
    if place.startswith("file:"):
        path = file_path(place)
        if path.is_dir() and (path / "index.html").is_file():
            path = path / "index.html"
        if path.is_dir():
            return [Offer(p.as_uri(), p.name) for p in sorted(path.iterdir()) if p.is_file()]
        try:
            return page(path.read_text(encoding="utf-8", errors="replace"), path.as_uri(), cafile)
        except OSError:
            return []
    if offline():
        raise Failed("is on the network, which GENLOOM_OFFLINE forbids")
    try:
        with opened(place, {"Accept": _ACCEPT, "User-Agent": "genloom"}, {}, cafile) as answer:
            content, kind = answer.read(_PAGE), answer.headers.get_content_type()
            # relative links follow the address that answered; credentials stay with the host they were given for
            base = answer.url if bare(place) != answer.url else place
    except urllib.error.HTTPError as error:
        raise Failed(f"answers {error.code} {error.reason}", refused=error.code not in (404, 410)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Failed(f"cannot be read ({getattr(error, 'reason', error)})", refused=True) from None
    if kind.endswith("json"):
        return _json_page(content, base, cafile)
    return page(content.decode("utf-8", "replace"), base, cafile)


def _json_page(content: bytes, base: str, cafile: str | None) -> list[Offer]:
    try:
        files = json.loads(content)["files"]
        return [
            Offer(_join(base, f["url"]), f["filename"], (f.get("hashes") or {}).get("sha256", ""), cafile)
            for f in files
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Failed("sends a page that is no package index") from None


class _Links(HTMLParser):
    """The links of a page of PEP 503."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.base = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if href and tag == "a":
            self.links.append(href)
        if href and tag == "base":
            self.base = self.base or href


def page(text: str, base: str, cafile: str | None = None) -> list[Offer]:
    """The files that an HTML page links to."""
    links = _Links()
    links.feed(text)
    found = []
    for link in links.links:
        address, _, fragment = _join(urllib.parse.urljoin(base, links.base), link).partition("#")
        hashes = urllib.parse.parse_qs(fragment).get("sha256", [""])
        name = urllib.parse.unquote(urllib.parse.urlsplit(address).path.rpartition("/")[2])
        found.append(Offer(address, name, hashes[0], cafile))
    return found


def _join(base: str, link: str) -> str:
    """An absolute address; one on the same host takes the base's credentials along."""
    joined = urllib.parse.urljoin(base, link)
    ours, theirs = urllib.parse.urlsplit(base), urllib.parse.urlsplit(joined)
    if (
        ours.username
        and not theirs.username
        and (ours.scheme, ours.hostname, ours.port)
        == (
            theirs.scheme,
            theirs.hostname,
            theirs.port,
        )
    ):
        return urllib.parse.urlunsplit(theirs._replace(netloc=ours.netloc))
    return joined
