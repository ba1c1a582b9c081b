"""Every field of a configuration by its dotted name: listed, explained, overridden, written to JSON and read back.

The frozen dataclasses are the only source: names, types, defaults and the sentences of their docstrings come from them,
so the command line, the docs and a studio's forms can never disagree with the code.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from genloom.errors import BadValue, GenloomError, NotFound, nearest

T = TypeVar("T")
TRUE = {"true", "yes", "on", "1"}
FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True)
class FieldInfo:
    """One leaf of a configuration. path: dotted; type: its annotation; value: as it is; help: from the docstring."""

    path: str
    type: Any
    value: Any
    help: str


def leaves(config: Any, prefix: str = "") -> list[FieldInfo]:
    """All leaves of a (nested) dataclass instance, in the order they are written."""
    hints = get_type_hints(type(config))
    texts = documented(type(config))
    found: list[FieldInfo] = []
    for f in fields(config):
        value, path = getattr(config, f.name), f"{prefix}{f.name}"
        if is_dataclass(value):
            found += leaves(value, f"{path}.")
        else:
            found.append(FieldInfo(path, hints[f.name], value, texts.get(f.name, "")))
    return found


def documented(cls: type) -> dict[str, str]:
    """The sentence a dataclass's docstring gives to each field, written as `name: text` or `name, name: text`.

    A field begins a line or follows a full stop or semicolon; its text ends at the next field or empty line.
    """
    one = "|".join(re.escape(f.name) for f in fields(cls)) or "$^"
    text = cls.__doc__ or ""
    heads = list(re.finditer(rf"(?:^|\n|[;.)]\s)\s*((?:{one})(?:(?:, | and )(?:{one}))*): ", text))
    found: dict[str, str] = {}
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        body = re.split(r"\n[ \t]*\n", text[head.end() : after.start() + 1 if after else len(text)])[0]
        for name in re.split(r", | and ", head.group(1)):
            found.setdefault(name, " ".join(body.split()).rstrip(";. "))
    return found


def type_name(annotation: Any) -> str:
    """How a value is written, for help and errors: INT, FLOAT, true|false, nano|small, INT,INT."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "|".join(map(str, args))
    if origin in (Union, types.UnionType):
        return "|".join("none" if a is type(None) else type_name(a) for a in args)
    if origin in (tuple, list):
        if not args:
            return "VALUE,..."
        return f"{type_name(args[0])},..." if args[-1] is Ellipsis or origin is list else ",".join(map(type_name, args))
    if annotation is bool:
        return "true|false"
    return {int: "INT", float: "FLOAT", str: "TEXT"}.get(annotation, "JSON")


def shown(value: Any) -> str:
    """A value as a person would type it: 'none', 'true', '0.9,0.99'."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        if not value:
            return "()"
        nested = any(isinstance(v, tuple | list) for v in value)
        return json.dumps(value) if nested else ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Wrong(Exception):
    """A value that does not fit its annotation."""


def parse(annotation: Any, value: Any, name: str) -> Any:
    """`value` (text from a command line, or a Python value) as `annotation` wants it. Raises BadValue naming `name`."""
    try:
        return _convert(annotation, value)
    except _Wrong:
        arrived = "no value" if value is None else repr(shown(value) if isinstance(value, str) else value)
        raise BadValue(f"{name}: expected {_expected(annotation)}, got {arrived}") from None


def _expected(annotation: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join("none" if a is type(None) else _expected(a) for a in args)
    if annotation in words:
        return words[annotation]
    return f"a value like {type_name(annotation)}"


def _convert(annotation: Any, value: Any) -> Any:
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return _loads(value) if isinstance(value, str) else value
    if origin is Literal:
        for choice in args:
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise _Wrong
    if origin in (Union, types.UnionType):
        if type(None) in args and (value is None or (isinstance(value, str) and value.lower() == "none")):
            return None
        for choice in args:
            try:
                return _convert(choice, value)
            except _Wrong:
                continue
        raise _Wrong
    if origin in (tuple, list):
        return _sequence(origin, args, value)
    converters: dict[Any, Callable[[Any], Any]] = {type(None): _none, bool: _bool, int: _int, float: _float, str: _str}
    if annotation in converters:
        return converters[annotation](value)
    return _json(value)


def _sequence(origin: Any, args: tuple[Any, ...], value: Any) -> Any:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("(") and text.endswith(")"):
            text = f"[{text[1:-1].rstrip(', ')}]"
        value = _loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, list | tuple):
        raise _Wrong
    if not args:
        return origin(value)
    if origin is list or args[-1] is Ellipsis:
        return origin(_convert(args[0], v) for v in value)
    if len(args) != len(value):
        raise _Wrong
    return tuple(_convert(a, v) for a, v in zip(args, value, strict=True))


def _none(value: Any) -> None:
    if value is not None:
        raise _Wrong


def _bool(value: Any) -> bool:
    text = str(value).lower()
    if text not in TRUE | FALSE:
        raise _Wrong
    return text in TRUE


def _int(value: Any) -> int:
    if isinstance(value, bool):
        raise _Wrong
    number = _float(value)
    if number != int(number):
        raise _Wrong
    return int(value) if isinstance(value, int) else int(number)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Wrong
    try:
        number = float(value)
    except ValueError:
        raise _Wrong from None
    if not math.isfinite(number):
        raise _Wrong
    return number


def _str(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Wrong
    return value if isinstance(value, str) else shown(value)


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise _Wrong from None


def _json(value: Any) -> Any:
    return _loads(value) if isinstance(value, str) else value


def resolve(name: str, paths: Iterable[str], flags: Iterable[str] = (), see: str = "", prefix: str = "") -> str:
    """The full dotted path that `name` means: itself, or the one path that ends in it after a dot.

    Raises NotFound with the nearest paths (and `flags`, names that are no fields), BadValue where several fit.
    """
    paths, name = list(paths), name.replace("-", "_")
    if name in paths:
        return name
    ends = [p for p in paths if p.endswith(f".{name}")]
    shortest = [p for p in ends if p.count(".") == min(e.count(".") for e in ends)]
    if len(shortest) == 1:
        return shortest[0]
    if shortest:
        raise BadValue(
            f"--{prefix}{name} could mean {' or '.join(f'--{prefix}{p}' for p in shortest)}: write one of them"
        )
    by_form = {form: p for p in paths for form in (p, p.partition(".")[2], p.rpartition(".")[2])}
    near = list(dict.fromkeys(prefix + by_form[n] if n in by_form else n for n in nearest(name, [*by_form, *flags])))
    help_ = f"did you mean {' or '.join('--' + n for n in near)}?" if near else "no field or flag has a similar name"
    raise NotFound(f"unknown field --{prefix}{name}: {help_}" + (f" (see `{see}`)" if see else ""))


def override(config: T, values: Mapping[str, Any], flags: Iterable[str] = (), see: str = "", prefix: str = "") -> T:
    """`config` with leaves replaced: {"config.width": 64, "optimizer.lr": "1e-3"}; texts are parsed by annotation.

    flags: other names to offer where a field is unknown; prefix: what errors put before a name.
    Raises NotFound with the nearest names, BadValue saying what was expected.
    """
    infos = {info.path: info for info in leaves(config)}
    chosen: dict[str, tuple[str, Any]] = {}
    for name, value in values.items():
        path = resolve(name, infos, flags, see, prefix)
        value = True if value is None and infos[path].type is bool else value
        parsed = parse(infos[path].type, value, f"--{prefix}{path}")
        if path in chosen and chosen[path][1] != parsed:
            raise BadValue(f"--{path} is given twice, as --{chosen[path][0]} and as --{name}: keep one")
        chosen[path] = (name, parsed)
    return _put(config, {path: value for path, (_, value) in chosen.items()})


def _put(config: Any, values: Mapping[str, Any]) -> Any:
    groups: dict[str, dict[str, Any]] = {}
    changes: dict[str, Any] = {}
    for path, value in values.items():
        first, _, rest = path.partition(".")
        if rest:
            groups.setdefault(first, {})[rest] = value
        else:
            changes[first] = value
    for first, inner in groups.items():
        changes[first] = _put(getattr(config, first), inner)
    try:
        return replace(config, **changes)
    except (ValueError, TypeError, AssertionError) as error:
        if isinstance(error, GenloomError):
            raise
        raise BadValue(" ".join(f"{', '.join(f'--{c}' for c in changes)}: {error}".split())) from error
