"""Data sets of torchvision and Hugging Face `datasets`, and any map-style data set of PyTorch.

    hf:NAME[:CONFIG]    what datasets.load_dataset resolves      hf:FOLDER    what save_to_disk wrote
    torchvision:NAME    a class of torchvision.datasets

Items are read once, with the transforms the data set has, and kept in the cache (`data/foreign_store.py`), so that a
run can be resumed without the other library. foreign/named/HASH.json says under which key a name was kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from genloom.data.cache import cache_dir
from genloom.data.dataset import Card, Dataset
from genloom.data.foreign_items import is_map_style, is_table
from genloom.data.foreign_store import card_of, is_kept, keep, load_kept
from genloom.data.options import DataOptions
from genloom.errors import BadData, NotFound, unknown
from genloom.runs.files import read_json, storage, write_json

PREFIXES = ("hf:", "torchvision:")


def is_foreign(source: str) -> bool:
    """Whether a source names another library's data set."""
    return source.startswith(PREFIXES)


def placed(source: str) -> str:
    """A foreign source with a relative folder made absolute, so that a run can be resumed from anywhere."""
    prefix, _, rest = source.partition(":")
    path = Path(rest).expanduser()
    return f"{prefix}:{path.absolute()}" if prefix == "hf" and path.is_dir() else source


def source_of(data: Any, options: DataOptions = DataOptions()) -> str:
    """What `DataOptions.source` says of `data`: a name or path as it is; a data set in memory is kept first.

    Raises BadData for objects that are no data sets.
    """
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    if not isinstance(data, Mapping) and not is_table(data) and not is_map_style(data):
        kind = f"{type(data).__module__}.{type(data).__name__}"
        raise BadData(f"data is a name, a path, or a data set that gives items by number, got {kind}")
    return str(keep(data, options))


def load_foreign(options: DataOptions) -> Dataset:
    """The data set that `options.source` names. Raises NotFound where the library or the data set is missing."""
    known = cache_dir() / "foreign" / "named" / f"{_hash(options.source, options.size, options.resize)}.json"
    folder = Path(options.source.partition(":")[2]).expanduser()
    if not folder.is_dir() and known.exists():  # a name means what it meant, without a network too
        kept = cache_dir() / "foreign" / str(read_json(known)["key"])
        if is_kept(kept):
            return load_kept(kept, options)
    library, _, name = options.source.partition(":")
    found, card = _hugging_face(name) if library == "hf" else _torchvision(name)
    path = keep(found, options, name=Path(name).name if folder.is_dir() else name, card=card)
    with storage(known):
        known.parent.mkdir(parents=True, exist_ok=True)
        write_json(known, {"source": options.source, "key": path.name})
    return load_kept(path, options)


def _hash(*what: Any) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:32]


def _hugging_face(name: str) -> tuple[Any, Card | None]:
    """The data set of a folder or name, and its card where it has one. Raises NotFound."""
    try:
        library = import_module("datasets")
    except ImportError:
        raise NotFound(f'hf:{name} needs the package datasets: pip install "genloom[hub]"') from None
    path = Path(name).expanduser()
    try:
        if path.is_dir() and any((path / f).exists() for f in ("dataset_info.json", "dataset_dict.json")):
            found = library.load_from_disk(str(path))
        else:
            dataset, _, config = name.partition(":")
            found = library.load_dataset(dataset, config or None)
    except Exception as error:  # the library raises errors of a dozen kinds, of its own and of its network clients
        raise NotFound(f"hf:{name} cannot be loaded: {_one_line(error)}") from None
    first = next(iter(found.values())) if isinstance(found, Mapping) else found
    card = card_of(first, path.name if path.is_dir() else name)
    source = f"saved by datasets in {path}" if path.is_dir() else f"huggingface.co/datasets/{name.partition(':')[0]}"
    return found, replace(card, source=card.source if card.source.startswith("http") else source)


def _torchvision(name: str) -> tuple[Any, Card]:
    """Both or all splits of a class of torchvision.datasets, downloaded into the cache. Raises NotFound."""
    try:
        library = import_module("torchvision.datasets")
    except ImportError:
        raise NotFound(f"torchvision:{name} needs the package torchvision: pip install torchvision") from None
    names = [n for n in getattr(library, "__all__", dir(library)) if not n.startswith("_")]
    if name not in names:
        raise unknown("data set of torchvision", name, names)
    make = getattr(library, name)
    takes = inspect.signature(make).parameters
    given: dict[str, Any] = {"root": str(cache_dir() / "torchvision")}
    if "download" in takes:
        given["download"] = True
    found: dict[str, Any] = {}
    try:
        if "train" in takes:
            found = {"train": make(train=True, **given), "test": make(train=False, **given)}
        elif "split" in takes:
            for split in ("train", "val", "valid", "test"):
                with contextlib.suppress(ValueError):  # how torchvision says that there is no such split
                    found[split] = make(split=split, **given)
        if not found:
            found = {"train": make(**given)}
    except Exception as error:
        raise NotFound(f"torchvision:{name} cannot be loaded: {_one_line(error)}") from None
    licence = "unknown: see the data set's own page"
    return found, Card(name, f"torchvision.datasets.{name}", licence, "", "")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
