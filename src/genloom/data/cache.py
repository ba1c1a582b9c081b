"""Where files lie between runs: the user's cache, the folder GENLOOM_DATA names, and official addresses.

Everything that arrives is checked against a sha256 before it is used. A cache that cannot be written only costs time,
except for downloads, which need a place.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genloom.errors import Damaged, GenloomError, NotFound, Storage
from genloom.runs.files import write_atomic

_CHUNK = 1 << 18


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


def find(places: list[Path], sha256: str) -> bytes | None:
    """The unpacked content of the first of `places` whose sha256 it has; None where there is none of them.

    Raises Damaged where only files with another content are there.
    """
    wrong = None
    for place in places:
        try:
            content = unpack(place.read_bytes())
        except (OSError, Damaged) as error:
            wrong = place if isinstance(error, Damaged) else wrong
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        wrong = place
    if wrong is not None:
        raise Damaged(f"{wrong} is not the published file (another sha256): remove it, or put the right one there")
    return None


def fetch(url: str, name: str, sha256: str, hint: str) -> bytes:
    """The unpacked content at `url`, kept as `name` in the cache.

    An interrupted download goes on where it stopped. sha256: of the unpacked content. Raises NotFound with `hint` where
    the address cannot be reached, Damaged where something else came, Storage where the cache cannot be written.
    """
    target = cache_dir() / "downloads" / name
    with contextlib.suppress(Damaged):
        found = find([target], sha256)
        if found is not None:
            return found
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Storage(
            f"cannot write {target.parent}: {error.strerror}: set GENLOOM_CACHE to a writable folder"
        ) from None
    for _ in (0, 1):  # a part that does not belong to this file is thrown away once
        _download(url, part, hint)
        with contextlib.suppress(Damaged):
            content = find([part], sha256)
            if content is not None:
                os.replace(part, target)
                return content
        part.unlink(missing_ok=True)
    raise Damaged(f"what {url} sends is not the published file (another sha256): {hint}")


def _download(url: str, part: Path, hint: str) -> None:
    """Appends to `part` what is missing of `url`."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "genloom", **({"Range": f"bytes={have}-"} if have else {})}
    )
    try:
        with (
            urllib.request.urlopen(request, timeout=30) as answer,
            open(part, "ab" if have and answer.status == 206 else "wb") as file,
        ):
            while chunk := answer.read(_CHUNK):
                _write(file, chunk, part)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing; the check of the content decides
            return
        raise NotFound(f"{url} answers {error.code} {error.reason}: {hint}") from None
    except OSError as error:
        raise NotFound(f"{url} cannot be reached ({getattr(error, 'reason', error)}): {hint}") from None


def _write(file: object, chunk: bytes, part: Path) -> None:
    try:
        file.write(chunk)  # type: ignore[attr-defined]
    except OSError as error:
        raise Storage(f"cannot write {part}: {error.strerror}: make room or set GENLOOM_CACHE") from None
