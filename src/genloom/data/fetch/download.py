"""One file from one address into the cache: goes on where it stopped, tries again once, checks the sha256."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genloom.data.fetch.trouble import Failed, Reporter, need_network, shown, timeout
from genloom.errors import Storage
from genloom.runs.files import storage, write_json

_CHUNK = 1 << 18
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
BACKOFF = 1.0  # seconds before the second try


class _Again(Exception):
    """A trouble that may pass."""


@dataclass(frozen=True)
class _Wanted:
    """What is asked for, of whom, and what may come: the arguments of `download`."""

    url: str
    headers: Mapping[str, str]
    cafile: str | None
    label: str
    limit: int


class _TooMuch(Failed):
    """What comes is another file."""


def download(
    url: str,
    target: Path,
    report: Reporter,
    *,
    sha256: str | None = None,
    unpack: bool = False,
    headers: Mapping[str, str] | None = None,
    cafile: str | None = None,
    label: str = "",
    limit: int = 0,
) -> Path:
    """`target`, holding the content of `url` (http, https or file). What arrived before is asked for no second time.

    sha256: of the content; with `unpack`, of what a gzip file holds. headers go to that host alone, not to where it
    redirects. label: what the reporter calls it. limit: bytes after which what comes cannot be the file. Raises Failed
    where it cannot be had or is another file than sha256 says, Storage where the disk is full or cannot be written.
    """
    if target.exists() and (sha256 is None or hash_of(target, unpack) == sha256):
        return target
    with storage(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for last in (False, True):
        resumed = part.exists()
        _complete(_Wanted(url, headers or {}, cafile, label or target.name, limit), part, report)
        if sha256 is None or hash_of(part, unpack) == sha256:
            with storage(target):
                os.replace(part, target)
            _note(part).unlink(missing_ok=True)
            return target
        _forget(part)
        if last or not resumed:  # a beginning that belongs to another file is thrown away once
            break
    raise Failed("sends another file than the published one (its sha256 differs)")


def _complete(wanted: _Wanted, part: Path, report: Reporter) -> None:
    """Fills `part` up. After a trouble that may pass, tries again; once more for each try that brought something."""
    if urllib.parse.urlsplit(wanted.url).scheme == "file":
        _copy(wanted.url, part)
        return
    need_network("it")
    tries = 2
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _transfer(wanted, part, report)
        except _TooMuch:
            _forget(part)
            raise
        except _Again as error:
            tries -= 1
            if part.exists() and part.stat().st_size > before:
                tries = max(tries, 1)
            if not tries:
                raise Failed(str(error), refused=True) from None
            report.note(f"{wanted.label}: {shown(str(error))}; trying again")
            time.sleep(BACKOFF)


def _copy(url: str, part: Path) -> None:
    place = file_path(url)
    try:
        size = place.stat().st_size
    except OSError as error:
        raise Failed(f"{place}: {error.strerror}") from None
    _room(part, size)
    with storage(part):
        shutil.copyfile(place, part)


def _transfer(wanted: _Wanted, part: Path, report: Reporter) -> None:
    have = part.stat().st_size if part.exists() else 0
    before = _read_note(part)
    if have and before.get("url") != bare(wanted.url):  # another source's beginning
        _forget(part)
        have, before = 0, {}
    asked = {"User-Agent": "genloom", "Accept-Encoding": "identity"}
    if have:
        asked["Range"] = f"bytes={have}-"
        if before.get("validator"):
            asked["If-Range"] = before["validator"]
    try:
        with opened(wanted.url, asked, wanted.headers, wanted.cafile) as answer:
            status, got = answer.status, answer.headers
            resumes = status == 206 and (got.get("Content-Range") or f"bytes {have}-").startswith(f"bytes {have}-")
            if status == 206 and not resumes:
                _forget(part)
                raise _Again("answers with another part of the file than was asked for")
            have = have if resumes else 0
            length = got.get("Content-Length")
            total = have + int(length) if length and length.isdecimal() else None
            _room(part, (total or 0) - have)
            tag = got.get("ETag") or ""
            validator = tag if tag and not tag.startswith("W/") else got.get("Last-Modified")
            with storage(part):
                write_json(_note(part), {"url": bare(wanted.url), "validator": validator})
            _receive(answer, wanted, part, have, total, report)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing, or the beginning is too long: the check of the content decides
            return
        said = f"answers {error.code} {error.reason}"
        if error.code in _TRANSIENT:
            raise _Again(said) from None
        raise Failed(said, refused=error.code not in (404, 410)) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLError):
            raise Failed(f"cannot be trusted ({error.reason})", refused=True) from None
        raise _Again(f"cannot be reached ({error.reason})") from None
    except (http.client.HTTPException, OSError) as error:
        raise _Again(f"broke off ({error or type(error).__name__})") from None
    except ValueError as error:  # an address that is none
        raise Failed(str(error)) from None


def _receive(answer: Any, wanted: _Wanted, part: Path, have: int, total: int | None, report: Reporter) -> None:
    begin, done = time.monotonic(), have
    with storage(part):
        file = open(part, "ab" if have else "wb")  # noqa: SIM115
    with contextlib.closing(file):
        while chunk := answer.read1(_CHUNK):
            with storage(part):
                file.write(chunk)
                file.flush()
            done += len(chunk)
            if wanted.limit and done > wanted.limit:
                raise _TooMuch(f"sends more than the {wanted.limit:,} bytes that the file can have")
            report.moved(wanted.label, done, total, time.monotonic() - begin, done - have)
    if total is not None and done < total:
        raise _Again(f"broke off after {done:,} of {total:,} bytes")


def opened(url: str, asked: Mapping[str, str], private: Mapping[str, str], cafile: str | None = None) -> Any:
    """The answer to a GET. Credentials in the address and `private` headers stay with the host they are for."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"cannot fetch by {parts.scheme or 'no scheme'}")
    request = urllib.request.Request(bare(url), headers=dict(asked))
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    for name, value in private.items():
        request.add_unredirected_header(name, value)
    try:
        context = ssl.create_default_context(cafile=cafile) if parts.scheme == "https" else None
    except OSError as error:
        raise ValueError(f"the certificates {cafile} cannot be read ({error})") from None
    return urllib.request.urlopen(request, timeout=timeout(), context=context)


def bare(url: str) -> str:
    """The address without credentials."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def file_path(url: str) -> Path:
    """The path that a file: address means."""
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(url).path))


def _room(part: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(part.parent).free
    except OSError:
        return
    if needed > free:
        raise Storage(
            f"{part.parent} has room for {free:,} bytes, and {needed:,} are needed: make room, "
            "or set GENLOOM_CACHE to another disk"
        )


def hash_of(path: Path, unpack: bool = False) -> str:
    """The sha256 of a file; with `unpack`, of what a gzip file holds, empty where that is damaged."""
    with storage(path), open(path, "rb") as file:
        if not unpack or file.read(2) != b"\x1f\x8b":
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        digest = hashlib.sha256()
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return ""
        return digest.hexdigest()


def _note(part: Path) -> Path:
    """Beside a part: where it comes from, and what tells whether the file there is still the same."""
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> dict[str, Any]:
    try:
        found = json.loads(_note(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _forget(part: Path) -> None:
    with storage(part):
        part.unlink(missing_ok=True)
        _note(part).unlink(missing_ok=True)
