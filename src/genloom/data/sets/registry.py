"""All data sets by name."""

from __future__ import annotations

from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import (
    emoji,
    images,
    molecules,
    music,
    points,
    solids,
    speech,
    stacked,
    strokes,
    tables,
    text,
    video,
    weights,
)
from genloom.errors import BadData, unknown
from genloom.modalities.registry import MODALITIES, learnt

_ORDER = ("mnist", "digits", "fashion-mnist", "python-stdlib", "tinyshakespeare")  # what every page begins with
_ALL = {
    name: entry
    for kind in (
        images,
        stacked,
        solids,
        emoji,
        text,
        molecules,
        music,
        speech,
        video,
        strokes,
        tables,
        points,
        weights,
    )
    for name, entry in kind.ENTRIES.items()
}
ENTRIES: dict[str, Entry] = {name: _ALL[name] for name in (*_ORDER, *(n for n in _ALL if n not in _ORDER))}
LEARNT = tuple(MODALITIES)  # what recipes learn so far


def find(name: str) -> Entry:
    """The data set of that name. Raises NotFound with the nearest names."""
    if name not in ENTRIES:
        raise unknown("data set", name, ENTRIES, see="genloom data list")
    return ENTRIES[name]


def cards() -> dict[str, Card]:
    """The cards of all data sets, by name."""
    return {name: entry.card for name, entry in ENTRIES.items()}


def load_set(options: DataOptions) -> Dataset:
    """The data set that options.source names, fetched first if it is small and free. Raises BadData for one that no
    recipe can learn yet, NotFound with the command that fetches it where it is large or restricted."""
    entry = find(options.source)
    if entry.load is None:
        raise BadData(
            f"{entry.name} holds {entry.card.modality}, and genloom's recipes learn {learnt()} so far: "
            f"`genloom data fetch {entry.name}` fetches its files for your own use"
        )
    made: Dataset = entry.load(options, entry.card)
    return made
