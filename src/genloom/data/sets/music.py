"""Music as notes."""

from __future__ import annotations

from genloom.data.dataset import Card
from genloom.data.fetch.entry import Entry
from genloom.data.sets import citations
from genloom.data.sets.common import github, one

ENTRIES = {
    "chorales": Entry(
        "chorales",
        Card(
            "Bach's chorales, four voices in steps of a sixteenth",
            "https://github.com/czhuang/JSB-Chorales-dataset",
            "none stated; the music is in the public domain",
            citations.CHORALES,
            "229 + 76 + 77 chorales, lists of four MIDI notes a step",
            "music",
        ),
        (
            one(
                "jsb-chorales-16th.json",
                "8730aca7b64e7d29493733d1cf19fad4a5b351d8f1845e57dac27728104fd39f",
                1741172,
                "music/jsb-chorales-16th.json",
                github(
                    "czhuang/JSB-Chorales-dataset",
                    "9a7f733ddb4ed91f48da64ac7f0f621c34aadd4d",
                    "jsb-chorales-16th.json",
                ),
            ),
        ),
    ),
}
