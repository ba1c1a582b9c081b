"""The tar inside its packing: gzip, xz, bzip2, none, or the ar archive that a deb is; as a stream."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Protocol

from genloom.errors import Damaged


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@contextmanager
def unpacked(path: Path, magic: bytes) -> Iterator[tuple[Readable, bool]]:
    """The tar inside a packed file, as a stream; whether it lies there plain."""
    with open(path, "rb") as file, _packing(file, magic) as (stream, plain):
        yield stream, plain


@contextmanager
def _packing(file: IO[bytes], magic: bytes) -> Iterator[tuple[Readable, bool]]:
    opened: AbstractContextManager[Readable]
    if magic[:2] == b"\x1f\x8b":
        opened = gzip.GzipFile(fileobj=file)
    elif magic[:6] == b"\xfd7zXZ\0":
        opened = lzma.LZMAFile(file)  # noqa: SIM115
    elif magic[:3] == b"BZh":
        opened = bz2.BZ2File(file)
    else:
        opened = nullcontext(file)
    with opened as stream:
        yield stream, stream is file


@contextmanager
def data_of_deb(path: Path) -> Iterator[tuple[Readable, bool]]:
    """The data.tar inside a deb (an ar archive). One packed with zstd is opened by dpkg-deb, if that is there."""
    with open(path, "rb") as file:
        file.seek(8)
        while len(header := file.read(60)) == 60 and header[58:] == b"`\n":
            name, size = header[:16].decode("ascii", "replace").strip().rstrip("/"), int(header[48:58])
            if name.startswith("data.tar"):
                break
            file.seek(size + size % 2, io.SEEK_CUR)
        else:
            raise EOFError("it holds no data.tar")
        if not name.endswith(".zst"):
            part = _Part(file, size)
            with _packing(part, file.peek(8)[:8]) as (stream, plain):  # type: ignore[arg-type]
                yield stream, plain
            return
    program = shutil.which("dpkg-deb")
    if program is None:
        raise Damaged(f"{path} is packed with zstd, which needs dpkg-deb: install dpkg, or use another source")
    with subprocess.Popen(
        [program, "--fsys-tarfile", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout, True
            if process.wait():
                raise EOFError("dpkg-deb cannot read it")
        finally:
            process.kill()


class _Part(io.RawIOBase):
    """`size` bytes of an open file from where it stands, as a file of their own. Ending early is an error."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = self._file.read(self._left if size is None or size < 0 else min(size, self._left))
        if not chunk and self._left and size:
            raise EOFError("the end is missing")
        self._left -= len(chunk)
        return chunk
