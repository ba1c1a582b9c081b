"""Drawings as movements of a pen."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.dataset import Card, Dataset
from genloom.data.drawings import load_drawings
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one


def _omniglot(options: DataOptions, card: Card) -> Dataset:
    """The published parts; offsets are whole numbers."""
    return replace(load_drawings(folder_of(ENTRIES["omniglot"]) / "omniglot.npz", options, card), name="omniglot")


ENTRIES = {
    "omniglot": Entry(
        "omniglot",
        Card(
            "Omniglot: characters of fifty alphabets, as strokes",
            "https://github.com/hardmaru/sketch-rnn-datasets; drawings: https://github.com/brendenlake/omniglot",
            "MIT",
            citations.OMNIGLOT,
            "30,000 + 1,000 + 1,000 drawings of (dx, dy, pen), in an .npz that holds pickles",
            "strokes",
        ),
        (
            one(
                "omniglot.npz",
                "bd5277621a8c577919491dfa729a59a8b5c216cff9e4fda9cef532db29f120c7",
                2280239,
                "strokes/omniglot.npz",
                github(
                    "hardmaru/sketch-rnn-datasets",
                    "7c854dee76090aa18c321c7af2cede815bbd475e",
                    "omniglot/omniglot.npz",
                ),
            ),
        ),
        load=_omniglot,
    ),
}
