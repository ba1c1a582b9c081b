"""One array that grows row by row, in a .npy file or in memory.

Rows are appended rather than written to a mapped file: on a full disk that would kill the process.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from genloom.runs.files import storage

_FLUSH = 32 << 20  # bytes after which appended rows are forced to disk


class Column:
    """Rows appended to a .npy file, or to a list where `path` is None."""

    def __init__(self, path: Path | None, dtype: Any, row: tuple[int, ...]) -> None:
        self.path, self.dtype, self.row = path, np.dtype(dtype), row
        self.row_bytes = self.dtype.itemsize * int(np.prod(row, dtype=np.int64))
        self.rows, self._unsynced = 0, 0
        self._blocks: list[np.ndarray] = []
        self._file: BinaryIO | None = None
        if path is not None:
            with storage(path):
                self._file = open(path, "r+b" if path.exists() else "w+b")  # noqa: SIM115
                self.rows = self._found()

    def _header(self, rows: int) -> bytes:
        """The same length for any number of rows: numpy leaves room for it to grow."""
        out = io.BytesIO()
        descr = np.lib.format.dtype_to_descr(self.dtype)
        np.lib.format.write_array_header_1_0(out, {"descr": descr, "fortran_order": False, "shape": (rows, *self.row)})
        return out.getvalue()

    def _found(self) -> int:
        """Whole rows that an earlier process left; the file is begun anew where it was for other rows."""
        assert self._file is not None
        header = self._header(0)
        if self._file.read(len(header)) == header:
            return (self._file.seek(0, os.SEEK_END) - len(header)) // max(1, self.row_bytes)
        self._file.seek(0)
        self._file.truncate()
        self._file.write(header)
        return 0

    def cut(self, rows: int) -> None:
        """Keeps the first `rows` rows."""
        self.rows = rows
        if self._file is not None:
            self._file.truncate(len(self._header(0)) + rows * self.row_bytes)
            self._file.seek(0, os.SEEK_END)

    def append(self, block: np.ndarray) -> None:
        block = np.ascontiguousarray(block, self.dtype)
        assert block.shape[1:] == self.row, (block.shape, self.row)
        self.rows += len(block)
        if self._file is None:
            self._blocks.append(block)
            return
        assert self.path is not None
        with storage(self.path):
            self._file.write(block.data if block.size else b"")
            self._unsynced += block.nbytes
            if self._unsynced >= _FLUSH:
                self._sync()

    def _sync(self) -> None:
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._unsynced = 0

    def finish(self) -> None:
        if self._file is not None and self.path is not None:
            with storage(self.path):
                self._file.seek(0)
                self._file.write(self._header(self.rows))
                self._sync()
                self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def array(self) -> np.ndarray:
        """The rows of a column in memory."""
        whole = np.concatenate(self._blocks) if self._blocks else np.empty((0, *self.row), self.dtype)
        self._blocks = [whole]
        return whole
