"""Molecules as SMILES."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genloom.data.dataset import Card, Dataset
from genloom.data.fetch.entry import Entry, Pip
from genloom.data.molecules import molecule_dataset
from genloom.data.options import DataOptions
from genloom.data.sets import citations
from genloom.data.sets.common import folder_of, one
from genloom.data.texts import Texts, text_dataset

_EVERY = 100  # every such line of the training file validates


def load_molsets(options: DataOptions, card: Card) -> Dataset:
    """Every hundredth of MOSES' training molecules validates; its test molecules test. As lines of text where
    options.read says so."""
    folder = folder_of(ENTRIES["molsets"])
    notes = [
        f"every {_EVERY}th line of the training file validates",
        f"molecules of scaffolds that training lacks: {folder / 'test_scaffolds.csv'}",
    ]
    if options.read != "text":
        files = {"train": [folder / "train.csv"], "test": [folder / "test.csv"]}
        pinned = "".join(sha for sha, _ in _PINNED.values())
        return molecule_dataset("molsets", folder, options, files, pinned, False, card, notes, _EVERY)
    train, validation = (part.decode("ascii") for part in lines_apart(_lines(folder / "train.csv"), _EVERY))
    texts = Texts(train, validation, _lines(folder / "test.csv").decode("ascii"))
    return text_dataset("molsets", options, texts, card, ["one molecule a line", *notes])


def lines_apart(content: bytes, every: int) -> tuple[bytes, bytes]:
    """Lines that each end in a newline -> (all but every `every`th, every `every`th), without a list of lines."""
    held = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero(held == ord("\n"))
    chosen = np.zeros(len(held), bool)
    starts = np.concatenate([[0], ends[:-1] + 1])
    for i in range(every - 1, len(ends), every):
        chosen[starts[i] : ends[i] + 1] = True
    return held[~chosen].tobytes(), held[chosen].tobytes()


def _lines(path: Path) -> bytes:
    """The lines of a file with one column, without its header."""
    content = path.read_bytes()
    return content[content.index(b"\n") + 1 :]


_PINNED = {
    "train.csv": ("cc9d6e8e9534e25a7a36361529ae739ddda8036e9072b2fc5cea6930a0592144", 58408794),
    "test.csv": ("0248e682a9c29ca7649184dd88a4edc83f48f0e84af6b923990069c3da4501b6", 6490097),
    "test_scaffolds.csv": ("86c298db856515f4b31a90805de16a580c60a6adcc0ad700ae180d88ba0b9bce", 6551982),
}

ENTRIES = {
    "molsets": Entry(
        "molsets",
        Card(
            "MOSES: drug-like molecules out of ZINC, as SMILES",
            "https://github.com/molecularsets/moses",
            "MIT",
            citations.MOLSETS,
            "1,568,817 + 15,846 + 176,074 molecules, and 176,225 of other scaffolds",
            "molecule",
        ),
        tuple(
            one(
                name,
                sha256,
                size,
                f"molecules/{name}",
                Pip("molsets", "0.3.1", f"moses/dataset/data/{name}.gz"),
                gzip=True,
            )
            for name, (sha256, size) in _PINNED.items()
        ),
        load=load_molsets,
    ),
}
