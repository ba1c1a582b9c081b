"""What verbs return: small objects that print well in a terminal, show inline in a notebook, and turn into JSON."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def cell(value: Any) -> str:
    """A value as a table shows it: short numbers, yes/no, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)


def size_text(count: float) -> str:
    """A count of bytes as people read it: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError


def aligned(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A plain table: a header, then rows, columns padded to the widest cell."""
    table = (
        [list(columns), *([cell(v) for v in row] for row in rows)]
        if any(columns)
        else [[cell(v) for v in row] for row in rows]
    )
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))] if table else []
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in table)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """The same as an HTML table."""
    head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell(v))}</td>" for v in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null. Paths become text, tuples lists."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | bool) or value is None else str(value)


@dataclass(frozen=True)
class Table:
    """Rows under named columns. key: the name of the list in JSON; notes: lines below; more: further JSON entries."""

    key: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """{key: [{column: value}]} and what `more` holds."""
        return {self.key: [dict(zip(self.columns, row, strict=True)) for row in self.rows], **self.more}

    def __str__(self) -> str:
        body = aligned(self.columns, self.rows) if self.rows else ""
        return "\n".join([*([body] if body else []), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self.columns, self.rows) + "".join(f"<p>{html.escape(n)}</p>" for n in self.notes)


@dataclass(frozen=True)
class Facts:
    """Names and values, one a line. data: the JSON form; picture: PNG bytes that a notebook shows below."""

    title: str
    facts: tuple[tuple[str, Any], ...]
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    picture: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        """The data as JSON holds it."""
        return dict(self.data)

    def __getitem__(self, name: str) -> Any:
        return self.data[name]

    def __str__(self) -> str:
        return "\n".join([*([self.title] if self.title else []), aligned(("", ""), self.facts), *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = html_table(("", ""), self.facts)
        image = ""
        if self.picture:
            image = f'<img src="data:image/png;base64,{base64.b64encode(self.picture).decode()}" alt="samples">'
        return f"<p><b>{html.escape(self.title)}</b></p>{rows}{image}" + "".join(
            f"<p>{html.escape(n)}</p>" for n in self.notes
        )


@dataclass(frozen=True)
class Picture:
    """Images: `images` uint8 (n, h, w) or (n, h, w, 3); `png` a grid of them; `path` where they were written.

    Of what are no images, `images` is what their .npy files hold; clips: what can be played, as a notebook shows it.
    """

    path: Path
    images: Any
    png: bytes
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    clips: tuple[Any, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Where the images are and how they were made; not the pixels."""
        return {"path": str(self.path), **self.data}

    def __str__(self) -> str:
        return "\n".join([str(self.path), *self.notes])

    def __repr__(self) -> str:
        return f"Picture({str(self.path)!r}, images {getattr(self.images, 'shape', None)})"

    def _repr_png_(self) -> bytes:
        return self.png

    def _repr_html_(self) -> str | None:
        if not self.clips:
            return None  # a notebook then takes the picture
        from genloom.report.pictures import playable

        encoded = base64.b64encode(self.png).decode()
        return f'<img src="data:image/png;base64,{encoded}" alt="samples"><br>' + "".join(map(playable, self.clips))

    @property
    def image(self) -> Any:
        """The grid as a PIL image."""
        import io

        from PIL import Image

        return Image.open(io.BytesIO(self.png))


@dataclass(frozen=True)
class Texts:
    """Texts that a model wrote; `path` is None where they were written to no file."""

    texts: tuple[str, ...]
    path: Path | None
    data: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The texts and how they were made."""
        return {"path": str(self.path) if self.path else None, "texts": list(self.texts), **self.data}

    def __str__(self) -> str:
        return "\n".join([str(self.path) if self.path else f"\n{'-' * 40}\n".join(self.texts), *self.notes])

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        # indented code: a fence could be closed by the text itself
        return "\n\n---\n\n".join("\n".join(f"    {line}" for line in text.split("\n")) for text in self.texts)
