"""A recipe as a TOML file: a registered recipe by name, and what is different.

    recipe = "flow"
    size = "nano"          # optional
    [config]
    width = 64
    [config.optimizer]
    lr = 0.002
    [train]
    batch = 64

Keys are the dotted names of fields, as `genloom recipes NAME` lists them. TOML has no null: "none" says it. A file
names a registered recipe, never another file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomli_w

from genloom.errors import BadValue, GenloomError, NotFound, nearest
from genloom.recipes import fields, registry
from genloom.runs.files import write_text

ENDING = ".toml"


class RecipeFile(NamedTuple):
    """name: the registered recipe it starts from; size: of that recipe, None for its first; overrides: values by full
    dotted path, of the types that the fields want."""

    name: str
    size: str | None
    overrides: dict[str, Any]


def is_file(word: str | os.PathLike[str]) -> bool:
    """Whether a word means a recipe file rather than a registered recipe."""
    return os.fspath(word).lower().endswith(ENDING)


def read(path: str | os.PathLike[str], size: str | None = None) -> RecipeFile:
    """The recipe file at `path`, checked: the recipe is known, the fields are its own and the values fit.

    size: takes the place of the file's own. Raises NotFound where there is no such file, recipe or field, BadValue for
    broken TOML and for values that do not fit; each names the file.
    """
    path = Path(path).expanduser()
    table = _table(path)
    name = table.pop("recipe", None)
    if not isinstance(name, str):
        known = ", ".join(e.name for e in registry.entries())
        raise BadValue(
            f'{path} does not say which recipe it starts from: begin it with recipe = "NAME", one of {known}'
        )
    if is_file(name):
        raise BadValue(f"{path} starts from another file, {name}: name a registered recipe (see `genloom recipes`)")
    said = table.pop("size", None)
    if said is not None and not isinstance(said, str):
        raise BadValue(f"{path}: size is a name in quotes, got {said!r} (see `genloom recipes`)")
    try:
        base = registry.get(name, size or said)
        infos = {info.path: info for info in fields.leaves(base)}
        given = _flat(table, infos)
        changed = registry.override(base, given, see=f"genloom recipes {name}")
        paths = {fields.resolve(key, infos) for key in given}
    except GenloomError as error:
        raise type(error)(f"{path}: {re.sub(r'--(?=[a-z])', '', str(error))}") from None
    values = {info.path: info.value for info in fields.leaves(changed) if info.path in paths}
    return RecipeFile(name, size or said, values)


def write(
    path: str | os.PathLike[str],
    name: str,
    overrides: Mapping[str, Any],
    size: str | None = None,
    comment: str = "",
) -> Path:
    """Writes a recipe file that `read` reads, atomically. overrides: by full dotted path; comment: lines above it.

    Raises BadValue where the name does not end in .toml, Storage where it cannot be written.
    """
    path = Path(path).expanduser()
    if not is_file(path):
        raise BadValue(f"{path} is no name for a recipe file: end it in {ENDING}")
    table: dict[str, Any] = {"recipe": name, **({} if size is None else {"size": size})}
    for dotted, value in overrides.items():
        inner = table
        *groups, last = dotted.split(".")
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = _plain(value)
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, head + tomli_w.dumps(table))
    return path


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        beside = [p.name for p in path.parent.glob(f"*{ENDING}")] if path.parent.is_dir() else []
        near = nearest(path.name, beside, 1)
        cure = f"did you mean {path.parent / near[0]}?" if near else "give a recipe file that exists"
        raise NotFound(f"there is no recipe file {path}: {cure}") from None
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadValue(f"{path} is not text in UTF-8: save it as a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise BadValue(f"{path} is not valid TOML: {error}; correct that line") from None


def _flat(table: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"config": {"width": 64}} -> {"config.width": 64}; a table that is itself the value of a field stays one."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and path not in known:
            found |= _flat(value, known, f"{path}.")
        else:
            found[path] = value
    return found


def _plain(value: Any) -> Any:
    """A field's value as TOML writes it."""
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value


def resolve(word: str, size: str | None = None) -> tuple[str, registry.Recipe]:
    """The name and the configuration that `word` means: a registered recipe, or a recipe file (a path ending in .toml),
    whose name is that of the recipe it starts from. `size` goes before the file's own.

    Raises NotFound, BadValue.
    """
    if not is_file(word):
        return word, registry.get(word, size)
    found = read(word, size)
    return found.name, registry.override(registry.get(found.name, found.size), found.overrides)
