"""Frozen dataclasses to JSON and back: the only form in which configuration is kept."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from genloom.errors import Damaged

T = TypeVar("T")


def config_to_json(config: Any) -> dict[str, Any]:
    """A JSON-ready dict of a dataclass; tuples become lists."""
    return {k: _plain(v) for k, v in asdict(config).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def config_from_json(cls: type[T], data: Mapping[str, Any], where: str = "config.json") -> T:
    """The dataclass that `config_to_json` wrote. Raises Damaged for fields this version lacks; a field whose metadata
    say what it `was` called is found under that name too."""
    hints = get_type_hints(cls)
    known = {f.name: f.metadata.get("was", f.name) for f in fields(cls)}  # type: ignore[arg-type]
    earlier = {was: name for name, was in known.items()}
    data = {earlier.get(k, k): v for k, v in data.items()}
    if extra := sorted(set(data) - set(known)):
        raise Damaged(
            f"{where}: {cls.__name__} has no field {extra[0]!r}: it was written by another version of genloom"
        )
    return cls(**{k: _typed(hints[k], v, f"{where}: {k}") for k, v in data.items()})


def _typed(hint: Any, value: Any, where: str) -> Any:
    options = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        chosen = [o for o in options if o is not type(None)]
        return None if value is None else _typed(chosen[0], value, where)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return config_from_json(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple and isinstance(value, list):
        inner = [options[0]] * len(value) if len(options) == 2 and options[1] is Ellipsis else list(options)
        return tuple(_typed(h, v, where) for h, v in zip(inner, value, strict=True))
    return value
