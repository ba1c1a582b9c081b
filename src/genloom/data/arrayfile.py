"""Arrays inside .npy and .npz files, mapped or read block by block. Nothing is ever unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from genloom.errors import BadData


@dataclass(frozen=True)
class InFile:
    """An array in the file `path`. whole: all of it, mapped or in memory; None where it is packed and too large, and
    has to be read as the member `member` of a zip file."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    whole: np.ndarray | None
    member: str = ""

    @property
    def bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The rows in order, about `size` bytes at a time. Raises BadData where the file breaks off."""
        n = self.shape[0]
        step = max(1, size // max(1, self.bytes // max(1, n)))
        if self.whole is not None:
            for start in range(0, n, step):
                yield self.whole[start : start + step]
            return
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                _header(file)
                for start in range(0, n, step):
                    shape = (min(step, n - start), *self.shape[1:])
                    raw = file.read(self.dtype.itemsize * int(np.prod(shape)))
                    yield np.frombuffer(bytearray(raw), self.dtype).reshape(shape)
        except Exception as error:  # zip and zlib have a dozen ways to say that a file is broken
            raise _broken(self.path, error) from None


def read_file(path: Path, wanted: set[str], map_from: int) -> dict[str, InFile]:
    """The arrays of a file by name in lower case; a .npy file's one array is "images".

    wanted: which of a .npz file's arrays; a single array counts as "images" whatever its name. map_from: bytes from
    which arrays are left on disk. Raises BadData for files that are none.
    """
    try:
        if path.suffix.lower() == ".npy":
            # copy on write: torch asks for writable memory
            whole = np.load(path, mmap_mode="c" if path.stat().st_size >= map_from else None, allow_pickle=False)
            return {"images": InFile(path, whole.shape, whole.dtype, whole)}
        with np.load(path, allow_pickle=False) as file:
            chosen = [name for name in file.files if name.lower() in wanted or len(file.files) == 1]
            if not chosen:
                have = ", ".join(map(repr, file.files)) or "nothing"
                raise BadData(f"{path} holds {have}: name the images 'images'")
            held = {name.lower(): _member(path, file, name, map_from) for name in chosen}
            return held if len(file.files) > 1 or chosen[0].lower() in wanted else {"images": held[chosen[0].lower()]}
    except (BadData, PermissionError):
        raise
    except MemoryError:
        raise BadData(f"{path} needs more memory than there is: save it as .npy, which stays on disk") from None
    except Exception as error:  # so has numpy
        raise _broken(path, error) from None


def dimensions(path: Path) -> int | None:
    """How many dimensions a .npy file's array has; None for other files, and where it cannot be read."""
    try:
        with path.open("rb") as file:
            return len(_header(file)[0]) if path.suffix.lower() == ".npy" else None
    except (OSError, ValueError):
        return None


def find(held: Mapping[str, InFile], names: tuple[str, ...]) -> InFile | None:
    """The first of these names that there is."""
    return next((held[n] for n in names if n in held), None)


def _member(path: Path, file: np.lib.npyio.NpzFile, name: str, map_from: int) -> InFile:
    with zipfile.ZipFile(path) as archive:
        inner = name if name in archive.namelist() else f"{name}.npy"
        if archive.getinfo(inner).file_size >= map_from:
            with archive.open(inner) as packed:
                shape, by_columns, dtype = _header(packed)
            if not by_columns and not dtype.hasobject:
                return InFile(path, shape, dtype, None, inner)
    whole = file[name]
    return InFile(path, whole.shape, whole.dtype, whole)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, whether columns come first, type) at the start of a .npy file."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    found: tuple[tuple[int, ...], bool, np.dtype] = read(file)
    return found


def _broken(path: Path, error: Exception) -> BadData:
    if "pickle" in str(error).lower() and "object" in str(error).lower():
        return BadData(f"{path} holds Python objects: save numbers of one shape (n, height, width)")
    said = " ".join(str(error).split())[:120]
    return BadData(f"{path} cannot be read as a numpy file: {said}; save it again")
