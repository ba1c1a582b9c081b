"""Every kind of item, in one table: what the rest of genloom asks of a modality, and the file that answers.

A further modality is a file with a `CODEC` (`codec.py` says what that is) and an entry here. No torch in this file, so
that the command line may read it; the codec's file is imported when it is first asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from genloom.errors import unknown

if TYPE_CHECKING:
    from genloom.modalities.codec import Codec


@dataclass(frozen=True)
class Modality:
    """What is known of a kind of item without looking at one.

    name: as in Field.modality; plural: in messages ("sounds").
    writes: endings of files that samples are written to, the first of them where nobody says otherwise; folder: whether
    a folder of single items may be asked for instead; reads: endings of files that data sets of it are made of.
    count: items that `genloom sample` draws; preview: items of a preview while training; previews: endings of the files
    a preview is written to, the first of them the one that is shown.
    module: the file with its CODEC; "" for texts, which tokenizers turn into items and back.
    tiled: whether a picture can stand for each item, as in sheets, walks and pairs of neighbours.
    """

    name: str
    plural: str
    writes: tuple[str, ...]
    reads: tuple[str, ...]
    count: int
    preview: int
    module: str = ""
    previews: tuple[str, ...] = (".png",)
    tiled: bool = True
    folder: bool = True

    @property
    def written(self) -> bool:
        """Whether items are texts: token ids that are read, streamed and prompted, not looked at."""
        return not self.module

    @property
    def codec(self) -> Codec:
        """What turns its items into files, pictures and clips. Texts have none: ask `written` first."""
        found: Codec = import_module(self.module).CODEC
        return found


MODALITIES: dict[str, Modality] = {
    m.name: m
    for m in (
        Modality(
            "image",
            "images",
            writes=(".png", ".npy"),
            reads=(),  # as many as Pillow opens: data/folder.py names them
            count=64,
            preview=64,
            module="genloom.modalities.image",
        ),
        Modality(
            "audio",
            "sounds",
            writes=(".wav", ".png", ".npy"),
            reads=(".wav",),
            count=16,
            preview=16,
            module="genloom.modalities.audio",
            previews=(".png", ".wav"),
        ),
        Modality(
            "video",
            "clips",
            writes=(".gif", ".mp4", ".png", ".npy"),
            reads=(".gif", ".mp4", ".npy"),
            count=16,
            preview=16,
            module="genloom.modalities.video",
            previews=(".png", ".gif"),
        ),
        Modality(
            "text",
            "texts",
            writes=(".txt", ".jsonl"),
            reads=(),  # any file of text: data/texts.py decides
            count=1,
            preview=1,
            previews=(".txt",),
            tiled=False,
        ),
        Modality(
            "music",
            "pieces of music",
            writes=(".mid", ".musicxml", ".wav", ".png", ".npy"),
            reads=(".mid", ".midi", ".abc", ".musicxml", ".mxl"),
            count=8,
            preview=2,
            module="genloom.modalities.music",
            previews=(".png", ".wav"),
        ),
        Modality(
            "molecule",
            "molecules",
            writes=(".smi", ".png", ".npy"),
            reads=(".smi",),
            count=16,
            preview=16,
            module="genloom.modalities.molecule",
            previews=(".png", ".smi"),
        ),
        Modality(
            "table",
            "tables",
            writes=(".csv", ".tsv", ".npy", ".png"),
            reads=(".csv", ".tsv"),
            count=100,
            preview=1000,
            module="genloom.modalities.table",
            tiled=False,
            folder=False,
        ),
        Modality(
            "vector",
            "points",
            writes=(".csv", ".npy", ".png"),
            reads=(),
            count=1000,
            preview=2000,
            module="genloom.modalities.vector",
            tiled=False,
            folder=False,
        ),
        Modality(
            "strokes",
            "drawings",
            writes=(".svg", ".png", ".ndjson", ".npy"),
            reads=(".ndjson", ".npz"),
            count=64,
            preview=64,
            module="genloom.modalities.strokes",
            previews=(".png", ".svg"),
        ),
    )
}


def learnt() -> str:
    """What recipes learn, in words: "images, sounds and texts"."""
    *most, last = (m.plural for m in MODALITIES.values())
    return f"{', '.join(most)} and {last}"


def modality(name: str) -> Modality:
    """The entry of that name. Raises NotFound with the nearest names."""
    if name not in MODALITIES:
        raise unknown("modality", name, MODALITIES)
    return MODALITIES[name]
