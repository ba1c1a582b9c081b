"""Music as notes."""

from __future__ import annotations

import json

import numpy as np

from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry
from genloom.data.music import music_dataset
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one
from genloom.errors import BadValue
from genloom.modalities.notes import Ids, grid_ids

_VOICES = 4
_BEATS = 80.0  # quarter notes a minute, at which they are played


def load_chorales(options: DataOptions, card: Card) -> Dataset:
    """The canonical parts (229, 76 and 77 chorales), soprano first at every sixteenth."""
    if options.voices not in (None, _VOICES):
        raise BadValue(f"--data.voices {options.voices}: the chorales have {_VOICES}; leave it out")
    file = folder_of(ENTRIES["chorales"]) / "jsb-chorales-16th.json"
    held = json.loads(file.read_text(encoding="utf-8"))
    parts = [[_ids(piece) for piece in held[part]] for part in ("train", "valid", "test")]
    notes = ["Boulanger-Lewandowski's parts; a repeated note cannot be told from a long one"]
    return music_dataset("chorales", options, parts, _VOICES, _BEATS, card, notes)


def _ids(piece: list[list[int]]) -> Ids:
    """Steps of up to four pitches, highest first; missing voices rest."""
    steps = [(step + [-1] * _VOICES)[:_VOICES] for step in piece]
    return grid_ids(np.array(steps, np.int16))


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
        load=load_chorales,
    ),
}
