"""From words to values, by the table of verbs. Flags may stand anywhere, as `--flag value` or `--flag=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genloom.cli.table import COMMON, groups, verbs
from genloom.cli.verb import Flag, Verb
from genloom.errors import BadValue, NotFound, nearest, unknown


@dataclass(frozen=True)
class Parsed:
    """A command: its verb, positional words, values of flags that were given, and the fields of a recipe to override.

    A field given without a value (`--data.flip`) holds None.
    """

    verb: Verb
    words: tuple[str, ...] = ()
    values: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    fields: Mapping[str, str | None] = field(default_factory=dict)

    def word(self, index: int) -> str | None:
        """The positional word at `index`, or None."""
        return self.words[index] if index < len(self.words) else None

    def on(self, name: str) -> bool:
        """Whether a switch was given."""
        return bool(self.values.get(name, False))


def find_verb(words: Sequence[str]) -> tuple[Verb, list[str]]:
    """The verb that `words` begin with, and the words after it. Raises NotFound with the nearest."""
    first, rest = words[0], list(words[1:])
    family = groups().get(first)
    if family is not None:
        if not rest or rest[0].startswith("-"):
            return next(iter(family.values())), rest
        if rest[0] not in family:
            raise unknown(f"`genloom {first}` command", rest[0], family, see=f"genloom {first} --help")
        return family[rest[0]], rest[1:]
    if first not in verbs():
        raise unknown("command", first, {name.partition(" ")[0] for name in verbs()}, see="genloom --help")
    return verbs()[first], rest


def parse(verb: Verb, arguments: Sequence[str]) -> Parsed:
    """Reads what follows the verb. Raises NotFound for unknown flags, BadValue for missing or surplus words."""
    known: dict[str, Flag] = {}
    for flag in (*verb.flags, *COMMON):
        known |= {form: flag for form in (flag.name, flag.short) if form}
    words: list[str] = []
    values: dict[str, str | int | float | bool] = {}
    fields: dict[str, str | None] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            break
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        name, equals, attached = word.partition("=")
        if name in known:
            flag = known[name]
            if flag.kind == "switch":
                if equals:
                    raise BadValue(f"{name} takes no value, got {attached!r}")
                values[flag.dest] = True
                continue
            given = attached if equals else _value(name, flag, rest)
            for _ in range(flag.words - 1):
                given += flag.joint + _value(name, flag, rest)
            converted = _typed(name, flag, given)
            if flag.many and flag.dest in values:
                converted = f"{values[flag.dest]}{flag.joint}{converted}"
            elif values.get(flag.dest, converted) != converted:
                raise BadValue(f"{name} is given twice, with different values")
            values[flag.dest] = converted
        elif verb.fields and name.startswith("--") and len(name) > 2:
            key = name[2:]
            if key in fields:
                raise BadValue(f"{name} is given twice")
            bare = not equals and (not rest or rest[0].startswith("--"))
            fields[key] = None if bare else attached if equals else rest.pop(0)
        else:
            near = [f"--{n}" for n in nearest(name.lstrip("-"), [form[2:] for form in known if form[:2] == "--"])]
            help_ = f"did you mean {' or '.join(near)}?" if near else "it has no such flag"
            raise NotFound(f"unknown flag {name}: {help_} (see `genloom {verb.name} --help`)")
    if not values.get("help"):
        _check_words(verb, words)
    return Parsed(verb, tuple(words), values, fields)


def _value(name: str, flag: Flag, rest: list[str]) -> str:
    if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
        raise BadValue(
            f"{name} expects {'a value' if flag.words == 1 else f'{flag.words} values'}: {name} {flag.value}"
        )
    return rest.pop(0)


def _typed(name: str, flag: Flag, text: str) -> str | int | float:
    if flag.kind == "text":
        return text
    expected = "a whole number" if flag.kind == "int" else "a number"
    try:
        number = float(text)
        whole = flag.kind == "float" or number == int(number)
    except (ValueError, OverflowError):
        whole = False
    if not whole:
        raise BadValue(f"{name}: expected {expected}, got {text!r}")
    if flag.kind == "float":
        return number
    return int(text) if text.lstrip("+-").isdecimal() else int(number)


def _check_words(verb: Verb, words: list[str]) -> None:
    missing = [a for a in verb.arguments[len(words) :] if a.required]
    if missing:
        example = f", as in `{verb.examples[0]}`" if verb.examples else ""
        raise BadValue(f"`genloom {verb.name}` needs {missing[0].name}: {missing[0].help}{example}")
    if len(words) > len(verb.arguments) and not (verb.arguments and verb.arguments[-1].many):
        surplus = words[len(verb.arguments)]
        takes = " ".join(a.name for a in verb.arguments) or "no arguments"
        raise BadValue(f"`genloom {verb.name}` takes {takes}, got {surplus!r} as well")
