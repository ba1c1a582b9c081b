"""Where items come from: built-in sets, a person's own folders and files; their splits, digests and cards.

`options` is importable without torch; the rest loads when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from genloom.data.options import DataOptions

if TYPE_CHECKING:
    from genloom.data.dataset import Card, Dataset, augment
    from genloom.data.loading import catalogue, describe, load
    from genloom.data.parts import Split

__all__ = ["Card", "DataOptions", "Dataset", "Split", "augment", "catalogue", "describe", "load"]

_FROM = {"Card": "dataset", "Dataset": "dataset", "Split": "parts", "augment": "dataset"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "fetch":  # a package that is also the verb `genloom data fetch`
        return import_module("genloom.data.fetch")
    if name not in __all__:
        raise AttributeError(f"module 'genloom.data' has no attribute {name!r}")
    return getattr(import_module(f"genloom.data.{_FROM.get(name, 'loading')}"), name)
