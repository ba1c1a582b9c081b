"""Texts that end: a tokenizer with an id that ends a text and fills the rest of its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from genloom.errors import BadData


class Inner(Protocol):
    """A tokenizer (`genloom.modalities.text.Tokenizer`)."""

    @property
    def size(self) -> int: ...

    def encode(self, text: str) -> list[int]: ...

    def piece(self, token: int) -> bytes: ...

    def to_json(self) -> dict[str, Any]: ...


@runtime_checkable
class Ends(Protocol):
    """A tokenizer whose texts have an end."""

    @property
    def end(self) -> int:
        """The id that ends a text; it stands for no characters."""


class EndedTokenizer:
    """`inner`, and an id that ends a text: one behind its last id, or that of `end`, a line feed of `inner`, whose
    texts are then single lines."""

    def __init__(self, inner: Inner, end: int | None = None) -> None:
        self.inner, self.end = inner, inner.size if end is None else end

    @classmethod
    def of_lines(cls, inner: Inner) -> EndedTokenizer:
        """For models that know no end, but lines. Raises BadData for one that knows neither."""
        ids = inner.encode("\n")
        if len(ids) != 1 or inner.piece(ids[0]) != b"\n":
            raise BadData(
                "this tokenizer has no id for the end of a text, nor for that of a line, so answers could not end: "
                "start from a run that was trained on several lines"
            )
        return cls(inner, ids[0])

    @property
    def size(self) -> int:
        return max(self.inner.size, self.end + 1)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without an end."""
        return self.inner.encode(text if self.end == self.inner.size else " ".join(text.split("\n")))

    def piece(self, token: int) -> bytes:
        return b"" if token == self.end else self.inner.piece(token)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; ends are left out."""
        return b"".join(self.piece(int(i)) for i in ids).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "ended", "inner": self.inner.to_json(), "end": self.end}


def ended(tokenizer: Any, known: bool = False) -> Any:
    """The tokenizer itself where its texts have an end, otherwise with one more id. known: of a finished model, which
    can learn no further id: its line feed ends a text. Raises BadData."""
    if isinstance(tokenizer, Ends):
        return tokenizer
    return EndedTokenizer.of_lines(tokenizer) if known else EndedTokenizer(tokenizer)


def rows_of(texts: Sequence[list[int]], length: int, end: int) -> Tensor:
    """Ids of texts as rows (N, length): each cut to length - 1, followed by `end` to the end of the row."""
    rows = torch.full((len(texts), length), end, dtype=torch.int64)
    for row, ids in zip(rows, texts, strict=True):
        cut = ids[: length - 1]
        row[: len(cut)] = torch.tensor(cut, dtype=torch.int64)
    return rows


def lengths(ids_BL: Tensor, end: int) -> Tensor:
    """How many tokens of each row are the text's, the first end included, (B,); L where there is none."""
    return ((ids_BL == end).long().cumsum(1).cumsum(1) <= 1).sum(1)


def closed(ids_BL: Tensor, end: int) -> Tensor:
    """The rows with `end` everywhere behind the first one."""
    behind = (ids_BL == end).cumsum(1).cumsum(1) > 1
    return ids_BL.masked_fill(behind, end)
