"""Text files read piece by piece: what a text is, how long it is, and which part of it trains.

A corpus yields (part, piece of text), with parts 0, 1 and 2 for train, validation and test. The pieces of a part, put
together, are its text.
"""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from genloom.data.splits import KEY_BYTES

_PIECE = 1 << 20  # characters, or bytes of a file
_BINARY_WITHIN = 1 << 16  # bytes at the start of a file in which a zero byte means that it is no text


@dataclass(frozen=True)
class TextFile:
    """A file that is text. encoding: of Python; length: in characters, line ends as "\\n"; key: a hash of the text."""

    path: Path
    encoding: str
    length: int
    key: bytes

    def pieces(self) -> Iterator[str]:
        return _read(self.path, self.encoding)


def look(path: Path) -> TextFile | None:
    """What the file is, read once or twice from end to end; None where it cannot be read or is no text."""
    try:
        with open(path, "rb") as file:
            if b"\0" in file.read(_BINARY_WITHIN):
                return None
        try:
            return _measured(path, "utf-8-sig")
        except UnicodeDecodeError:
            return _measured(path, "latin-1")
    except OSError:
        return None


def _measured(path: Path, encoding: str) -> TextFile:
    length, digest = 0, hashlib.blake2b(digest_size=KEY_BYTES)
    for piece in _read(path, encoding):
        length += len(piece)
        digest.update(piece.encode("utf-8", "replace"))
    return TextFile(path, encoding, length, digest.digest())


def _read(path: Path, encoding: str) -> Iterator[str]:
    """The text of a file in pieces, "\\r\\n" as "\\n". Raises UnicodeDecodeError, OSError."""
    decoder = codecs.getincrementaldecoder(encoding)()
    held = ""  # a carriage return at the end of a piece waits for what follows
    with open(path, "rb") as file:
        while True:
            raw = file.read(_PIECE)
            text = held + decoder.decode(raw, final=not raw)
            held = "\r" if raw and text.endswith("\r") else ""
            text = (text[:-1] if held else text).replace("\r\n", "\n")
            if text:
                yield text
            if not raw:
                return


@dataclass(frozen=True)
class Texts:
    """The three parts of a text that is in memory, before they are tokens."""

    train: str
    validation: str
    test: str

    @property
    def lengths(self) -> tuple[int, int, int]:
        return len(self.train), len(self.validation), len(self.test)

    def pieces(self, parts: Sequence[int]) -> Iterator[tuple[int, str]]:
        """The text of these parts, in this order."""
        for part in parts:
            text = (self.train, self.validation, self.test)[part]
            for i in range(0, len(text), _PIECE):
                yield part, text[i : i + _PIECE]


@dataclass(frozen=True)
class Files:
    """Whole files in each part, joined by line ends."""

    parts: tuple[tuple[TextFile, ...], tuple[TextFile, ...], tuple[TextFile, ...]]

    @property
    def lengths(self) -> tuple[int, int, int]:
        first, second, third = (sum(f.length for f in files) + max(0, len(files) - 1) for files in self.parts)
        return first, second, third

    def pieces(self, parts: Sequence[int]) -> Iterator[tuple[int, str]]:
        for part in parts:
            for piece in _joined(self.parts[part]):
                yield part, piece


@dataclass(frozen=True)
class Cut:
    """Files joined by line ends, and the whole cut at two places (in characters)."""

    files: tuple[TextFile, ...]
    places: tuple[int, int]

    @property
    def lengths(self) -> tuple[int, int, int]:
        total = sum(f.length for f in self.files) + max(0, len(self.files) - 1)
        return self.places[0], self.places[1] - self.places[0], total - self.places[1]

    def pieces(self, parts: Sequence[int]) -> Iterator[tuple[int, str]]:
        """`parts` must ascend: the files are read once."""
        at, last = 0, (0, *self.places)
        for piece in _joined(self.files):
            start = 0
            while start < len(piece):
                part = sum(at >= place for place in self.places)
                stop = len(piece) if part == 2 else min(len(piece), start + last[part + 1] - at)
                if part in parts:
                    yield part, piece[start:stop]
                at, start = at + stop - start, stop
            if sum(at >= place for place in self.places) > max(parts):
                return


Corpus = Texts | Files | Cut


def _joined(files: Sequence[TextFile]) -> Iterator[str]:
    for i, file in enumerate(files):
        if i:
            yield "\n"
        yield from file.pieces()


def by_position(text: str, train: float, validation: float) -> Texts:
    """One text cut in three: its first `train` share, then `validation`, then the rest."""
    first, second = _cuts(len(text), train, validation)
    return Texts(text[:first], text[first:second], text[second:])


def cut(files: Sequence[TextFile], train: float, validation: float) -> Cut:
    """The same for files that stay on disk."""
    kept = tuple(files)
    return Cut(kept, _cuts(sum(f.length for f in kept) + max(0, len(kept) - 1), train, validation))


def _cuts(length: int, train: float, validation: float) -> tuple[int, int]:
    return int(length * train), int(length * (train + validation))
