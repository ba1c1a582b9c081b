"""genloom: learn generative models from your own data, know how good they are, ship them so that others can trust them.

    import genloom
    trained = genloom.train("flow", data="./my-photos", budget="5m")
    genloom.sample(trained.run, n=64)          # a picture, shown inline in a notebook

Every command of the command line is a function here, with the same name and defaults. They are imported when first
used, so that `import genloom` itself is instant.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

_VERBS = {
    "train": "train",
    "sample": "sample",
    "complete": "complete",
    "revise": "revise",
    "stream": "sample",
    "evaluate": "evaluate",
    "interpolate": "latent",
    "arithmetic": "arithmetic",
    "traverse": "traverse",
    "reconstruct": "latent",
    "translate": "translate",
    "edit": "edit",
    "search": "search",
    "anomaly": "anomaly",
    "import_model": "exchange",
    "export_model": "exchange",
    "merge": "exchange",
    "tune": "compare.tune",
    "collapse": "compare.collapse",
    "experiment": "compare.experiment",
    "doctor": "doctor",
    "cite": "cite",
    "demo": "demo",
}
_PACKAGES = {  # verbs that share their name with a package, and where they are: the package can be called
    "runs": "verbs.catalogue",
    "recipes": "verbs.catalogue",
    "data": "verbs.catalogue",
    "compare": "compare.contest",
    "report": "verbs.report",
}

_NAMED = {"import": "import_model", "export": "export_model"}  # verbs that are words of Python, and its opposite

_INSIDE = {"data": {"report": "verbs.inspect", "split": "verbs.inspect"}}  # verbs that belong to a package

__all__ = ["__version__", *_VERBS, *_PACKAGES]


class _Callable(ModuleType):
    """A package that is also the verb of its name: genloom.runs() lists runs, genloom.runs.Run is the class."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"genloom.{_PACKAGES[name]}"), name)(*args, **keywords)

    def __getattr__(self, name: str) -> Any:
        """genloom.data.report, asked for when the package itself has nothing of that name."""
        module = _INSIDE.get(self.__name__.rpartition(".")[2], {}).get(name)
        if module is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"genloom.{module}"), name)


class _Genloom(ModuleType):
    """This module; the import system sets imported packages on it, wherever that import stands."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _PACKAGES and isinstance(value, ModuleType):
            value.__class__ = _Callable
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    """The verb `name`, imported on first use."""
    if name in _PACKAGES:
        return import_module(f"genloom.{name}")
    if name in _VERBS:
        module = _VERBS[name]
        return getattr(import_module(f"genloom.{module}" if "." in module else f"genloom.verbs.{module}"), name)
    raise AttributeError(f"module 'genloom' has no attribute {name!r}")


sys.modules[__name__].__class__ = _Genloom
