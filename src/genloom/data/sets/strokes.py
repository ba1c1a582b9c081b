"""Drawings as movements of a pen."""

from __future__ import annotations

from genloom.data.dataset import Card
from genloom.data.fetch.entry import Entry
from genloom.data.sets import citations
from genloom.data.sets.common import github, one

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
    ),
}
