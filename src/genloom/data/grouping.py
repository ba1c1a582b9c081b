"""What keeps items together in a split: a person, a scene, a day, named by a folder, a pattern or a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from genloom.errors import BadData, BadValue, NotFound


@dataclass(frozen=True)
class Group:
    """What keeps items together. kind: "folder" (value: "" the innermost folder's name, "2" the second from above),
    "pattern" (value: a regular expression whose captures name the group) or "table" (value: a CSV file; column)."""

    kind: Literal["folder", "pattern", "table"]
    value: str = ""
    column: str = ""

    def __str__(self) -> str:
        if self.kind == "folder":
            return f"folder:{self.value}" if self.value else "folder"
        return f"{self.value}:{self.column}" if self.kind == "table" else self.value


def parse_group(text: str) -> Group:
    """ "folder", "folder:2", "people.csv:person", or a regular expression with a capture. Raises BadValue."""
    if match := re.fullmatch(r"(?i)folder(?::([1-9]\d?))?", text):
        return Group("folder", match[1] or "")
    if match := re.fullmatch(r"(?i)(.+\.(?:csv|tsv)):([^:]+)", text):
        return Group("table", match[1], match[2].strip())
    try:
        captures = re.compile(text).groups
    except re.error as error:
        raise BadValue(f"--group {text!r} is no regular expression ({error})") from None
    if not captures:
        raise BadValue(
            f"--group {text!r} captures nothing: put what names the group in brackets, as in '(person\\d+)_', or give "
            f"folder or TABLE.csv:COLUMN"
        )
    return Group("pattern", text)


def groups_of(paths: Sequence[str], group: Group, base: Path) -> list[str]:
    """The group of every path. Raises BadData naming items that have none."""
    if group.kind == "folder":
        found = [_folder(path, group.value) for path in paths]
        cure = "put every item in such a folder"
    elif group.kind == "pattern":
        pattern = re.compile(group.value)
        matches = [pattern.search(path) for path in paths]
        found = [None if m is None else "|".join(g or "" for g in m.groups()) for m in matches]
        cure = "widen the pattern"
    else:
        table = _table(base / group.value, group.column)
        found = [table.get(path) or table.get(PurePosixPath(path).name) for path in paths]
        cure = f"add them to {group.value}"
    missing = [path for path, name in zip(paths, found, strict=True) if not name]
    if missing:
        names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise BadData(f"{len(missing):,} of {len(paths):,} items belong to no group ({group}): {names}: {cure}")
    return [name for name in found if name]


def _folder(path: str, level: str) -> str | None:
    parts = path.split("/")[:-1]
    at = int(level) - 1 if level else len(parts) - 1
    return parts[at] if 0 <= at < len(parts) else None


def _table(path: Path, column: str) -> dict[str, str]:
    """What a CSV file says of each item: its first column (or "file", "path", ...) names items."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            names = list(reader.fieldnames or ())
            if column not in names:
                raise BadValue(f"{path} has no column {column!r}: it has {', '.join(map(repr, names)) or 'none'}")
            first = next((n for n in names if n.strip().lower() in ("file", "path", "filename", "image")), names[0])
            return {(row[first] or "").replace("\\", "/"): (row[column] or "").strip() for row in reader}
    except FileNotFoundError:
        raise NotFound(f"there is no table {path}, which names the groups of this split: put it back") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadData(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8") from None
