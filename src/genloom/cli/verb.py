"""What a verb of the command line is made of: flags, arguments, and what help says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "int", "float", "switch"]


@dataclass(frozen=True)
class Flag:
    """One flag. name: "--seed" (its value arrives as `seed`); kind: what its value is; default: as documented;
    short: "-n"; metavar: how help names the value; key: where the value arrives, if not under the flag's own name;
    many: may be given several times; the texts arrive as one, joined by `joint`; words: how many it takes each time,
    joined likewise."""

    name: str
    kind: Kind
    help: str
    default: str = ""
    short: str = ""
    metavar: str = ""
    key: str = ""
    many: bool = False
    joint: str = ";"
    words: int = 1

    @property
    def dest(self) -> str:
        return self.key or self.name.lstrip("-").replace("-", "_")

    @property
    def value(self) -> str:
        """What stands for the value in help: INT, DIR; empty for a switch."""
        return "" if self.kind == "switch" else self.metavar or self.kind.upper()


@dataclass(frozen=True)
class Argument:
    """A positional argument; `required` ones are asked for in one line when missing; the last may come `many` times."""

    name: str
    help: str
    required: bool = True
    many: bool = False


@dataclass(frozen=True)
class Verb:
    """A verb, of one word or two ("data show"). summary: one line; about: what a person should know; fields: whether
    fields of a recipe or of data may follow."""

    name: str
    summary: str
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()
    examples: tuple[str, ...] = ()
    about: str = ""
    fields: bool = False
