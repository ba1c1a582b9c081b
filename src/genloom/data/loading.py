"""From options to a data set: built-in ones by name, everything else by path."""

from __future__ import annotations

from genloom.data.builtin import BUILT_IN
from genloom.data.dataset import Card, Dataset
from genloom.data.options import DataOptions
from genloom.errors import BadValue, unknown


def catalogue() -> dict[str, Card]:
    """The cards of all built-in data sets, by name."""
    return {name: entry.card for name, entry in BUILT_IN.items()}


def load(options: DataOptions) -> Dataset:
    """The data set that `options` describe. Raises GenloomError in one line for what cannot be learnt from."""
    if options.limit is not None and options.limit < 1:
        raise BadValue(f"--data.limit is a number of training items, 1 or more, got {options.limit}")
    if options.source in BUILT_IN:
        entry = BUILT_IN[options.source]
        return entry.load(options, entry.card)
    raise unknown("data set", options.source, BUILT_IN, see="genloom data list")
