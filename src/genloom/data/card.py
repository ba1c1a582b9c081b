"""The card of a person's own data: `genloom-card.toml` in the data folder says whose they are and on what terms.

    title = "Leaves of our garden"
    source = "photographed in the garden of the institute"
    licence = "CC BY 4.0"
    consent = "no people are shown"
    collected = "May 2026"
    contact = "garden@example.org"
    citation = ""

Every line may be left out; `genloom data report` names what is still empty.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from genloom.data.dataset import Card
from genloom.errors import BadData, unknown

CARD = "genloom-card.toml"
# What each line is for, in the order a person would fill them.
FIELDS = {
    "title": "a name for the data",
    "source": "where the items come from",
    "licence": "on what terms they may be used",
    "consent": "whether the people shown, heard or named agreed, or why nobody had to be asked",
    "collected": "when and how they were collected",
    "contact": "whom to ask",
    "citation": "what to cite, as BibTeX",
    "items": "what an item is, in words",
}
ASKED = ("source", "licence", "consent", "collected", "contact")  # what a report misses when it is empty
_ALSO = {"license": "licence", "name": "title", "url": "source"}
_LONGEST = 1 << 20  # bytes; a card is read by people


def card_path(data: Path) -> Path:
    """Where the card of a folder or file lies: in the folder, or beside the file as NAME.genloom-card.toml."""
    return data / CARD if data.is_dir() else data.with_name(f"{data.name}.{CARD}")


def read_card(folder: Path) -> Card | None:
    """The card in (or, of a single file, beside) `folder`; None where there is none.

    A title that is left out is the folder's name, and a licence "the owner's". Raises BadData for a card that is not
    TOML or holds other things than text, NotFound for a line it does not know.
    """
    path = card_path(folder)
    fields = read_fields(path)
    if fields is None:
        return None
    fields = {"title": folder.name, "source": str(folder), "licence": "the owner's", "citation": "", "items": ""} | {
        name: value for name, value in fields.items() if value
    }
    return Card(**fields)


def read_fields(path: Path) -> dict[str, str] | None:
    """The lines of a card by name, as they stand; None where there is no such file. Raises as `read_card`."""
    try:
        if path.stat().st_size > _LONGEST:
            raise BadData(f"{path} is larger than a card can be (1 MiB): is it another file?")
        held: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f'{path} is not TOML ({error}): write lines like  licence = "CC BY 4.0"') from None
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}: change its permissions") from None
    fields = {}
    for name, value in held.items():
        known = _ALSO.get(name.lower(), name.lower())
        if known not in FIELDS:
            raise unknown(f"line in {path}", name, FIELDS)
        if not isinstance(value, str):
            raise BadData(f'{path}: expected text in quotes for {name}, got {value!r}: write {name} = "{value}"')
        fields[known] = " ".join(value.split()) if known != "citation" else value.strip()
    return fields


def template(title: str) -> str:
    """An empty card to fill, each line with what it is for."""
    quoted = title.replace("\\", "\\\\").replace('"', '\\"')
    lines = [f'{name} = "{quoted if name == "title" else ""}"  # {help_}' for name, help_ in FIELDS.items()]
    return "\n".join(lines) + "\n"
