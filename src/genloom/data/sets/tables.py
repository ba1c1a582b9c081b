"""Tables: a row an item."""

from __future__ import annotations

from dataclasses import replace

from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one
from genloom.data.tables import load_table


def _adult(options: DataOptions, card: Card) -> Dataset:
    return replace(load_table(folder_of(ENTRIES["adult"]) / "adult.csv", options, card), name="adult")


ENTRIES = {
    "adult": Entry(
        "adult",
        Card(
            "Adult: rows of the United States census of 1994",
            "https://github.com/arx-deidentifier/arx, after the UCI repository",
            "Apache-2.0 as packed, CC BY 4.0 at UCI",
            citations.ADULT,
            "30,162 rows of 9 columns, separated by semicolons",
            "table",
        ),
        (
            one(
                "adult.csv",
                "c700df9304fbf3c4d4db5938bffc510561bd4a2dfad285a3feef9a20619391c5",
                2516935,
                "tables/adult.csv",
                github("arx-deidentifier/arx", "aacd487fb77b3af7970d5d6fa1b2f6cca1182b64", "data/adult.csv"),
            ),
        ),
        load=_adult,
    ),
}
