"""Recordings of people speaking."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import torch

from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Apt, Archive, Entry, Folder, Package, Url
from genloom.data.listing import scan
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, github, one
from genloom.data.signals import Told, signal_dataset
from genloom.data.sounds import ENDINGS, shape_of, stored_sounds, usable
from genloom.data.splits import shuffled

_DIGITS = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
_VOICE = "usr/share/asterisk/sounds/en_US_f_Allison"


def _spoken_digits(options: DataOptions, card: Card) -> Dataset:
    """One second of each recording at 8 kHz; the digit is the class, and the speaker a second condition.

    Recordings numbered 0 to 4 test, as published, and 5 to 9 validate.
    """
    notes: list[str] = []
    listing = scan(folder_of(ENTRIES["spoken-digits"]), ENDINGS)
    options_ = replace(options, seconds=options.seconds or 1.0, rate=options.rate or 8000)
    shape = shape_of(listing, options_)
    store = stored_sounds(listing, shape, notes)
    good = usable(listing, store, shape, options, notes)
    digits, speakers, numbers = zip(*(name.removesuffix(".wav").split("_") for name in listing.names), strict=True)
    count = np.array(numbers, int)
    mixed = good[shuffled(len(good), "spoken digits")]
    parts = (mixed[count[mixed] >= 10], mixed[(count[mixed] >= 5) & (count[mixed] < 10)], mixed[count[mixed] < 5])
    first, second, third = (torch.from_numpy(part) for part in parts)
    told = {"label": Told.of(digits), "speaker": Told.of(speakers)}
    content = hashlib.sha256(repr(shape).encode() + store.columns["keys"][good].tobytes()).digest()
    return signal_dataset("spoken-digits", options, shape.field, store.columns["items"], told, (first, second, third),
                          card, notes, content)  # fmt: skip


ENTRIES = {
    "spoken-digits": Entry(
        "spoken-digits",
        Card(
            "Free Spoken Digit Dataset: six people say the digits",
            "https://github.com/Jakobovski/free-spoken-digit-dataset",
            "CC BY-SA 4.0",
            citations.SPOKEN_DIGITS,
            "3,000 recordings of 6 speakers, 8 kHz; 10 classes",
            "audio",
        ),
        (
            Archive(
                "recordings",
                (
                    Package(Folder("speech/free-spoken-digits"), None, {"*.wav": ""}),
                    Package(
                        Url(f"https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/{_DIGITS}"),
                        None,
                        {f"free-spoken-digit-dataset-{_DIGITS}/recordings/*.wav": ""},
                    ),
                ),
                "1801eae019c063377d98f831d3f93574f259475df7332bb0e3d1b080fb5e6959",
                21_128_848,
                0,
                3000,
            ),
        ),
        load=_spoken_digits,
    ),
    "asterisk-prompts": Entry(
        "asterisk-prompts",
        Card(
            "The prompts of the Asterisk telephone exchange, spoken by Allison Smith, with their text",
            "Debian's asterisk-core-sounds-en-wav; text: https://github.com/JessicaMulein/asterisk-custom-poly-sounds",
            "CC BY-SA 3.0",
            citations.ASTERISK,
            "568 recordings of one voice, 8 kHz, 25 minutes; 556 of them with their text",
            "speech",
        ),
        (
            Archive(
                "recordings",
                (
                    Package(Folder("speech/asterisk-core-sounds-en"), None, {"**.wav": "recordings/"}),
                    Package(
                        Apt("asterisk-core-sounds-en-wav"),
                        None,
                        {f"{_VOICE}/**.wav": "recordings/"},
                    ),
                ),
                "feb480fc3e47e5c570fa1eb9f7d331b14e8800bcb52e7df18ce97ae0360a96ea",
                24_484_548,
                18272864,
                568,
            ),
            one(
                "transcripts.txt",
                "ed538ba69c94d25434f8ee054a35b04863e2df1e51dab13989ed517dcb1cced2",
                27942,
                "speech/asterisk-core-sounds-en.txt",
                github(
                    "JessicaMulein/asterisk-custom-poly-sounds",
                    "06c217dd592f181b8a705111f6e1b136a12e70ef",
                    "core-sounds-en.txt",
                ),
            ),
        ),
    ),
}
