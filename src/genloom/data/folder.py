"""A person's folder of pictures: any size, aspect and mode; sub-folders are classes, or the splits themselves.

Pictures are decoded once, in the order of their names, into a store (`data/store.py`) that is mapped from then on; the
next time files are only looked at, not read. What cannot be read is skipped by name and counted. The content of a
picture decides its split, so copies stay together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genloom.data.captions import caption_file, captions_of
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.decode import decode
from genloom.data.listing import Listing, scan
from genloom.data.options import DataOptions
from genloom.data.pictures import COLOUR, decoded
from genloom.data.shape import describe_policy
from genloom.data.splits import KEY, Rows, by_content
from genloom.data.splitting import read_split, rows_of, split_path
from genloom.data.store import Draft, Source, Store, obtain
from genloom.errors import BadData

__all__ = ["ENDINGS", "decode", "files_below", "load_folder"]

ENDINGS = frozenset(
    f".{e}"
    for group in ("png jpg jpeg jfif webp bmp gif tif tiff", "ppm pgm pbm pnm tga ico jp2 avif dib pcx")
    for e in group.split()
)
SPLITS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "dev": 1,
    "test": 2,
    "testing": 2,
}


def files_below(folder: Path, endings: frozenset[str]) -> list[Path]:
    """Files with these endings in the folder and below it, hidden ones left out, sorted by relative path."""
    return [folder / name for name in scan(folder, endings).names]


def load_folder(folder: Path, options: DataOptions, listing: Listing | None = None) -> Dataset:
    """The data set of all pictures in `folder`. Raises BadData where there are none, or just one, that can be read."""
    notes: list[str] = []
    listing = scan(folder, ENDINGS) if listing is None else listing
    if not len(listing):
        raise BadData(f"{folder} holds no pictures (.png, .jpg, .webp, ...): give a folder of pictures")
    store = decoded(listing, options, notes)
    state = store.columns["state"]
    good = np.flatnonzero(state <= COLOUR)
    report_unread(listing, np.flatnonzero(state > COLOUR), options, notes)
    if len(good) < 2:
        raise BadData(f"{folder} holds one picture that can be read, and a model needs several: add more")
    _say_shape(store, good, options, notes)
    names = [listing.names[i] for i in good] if len(good) < len(listing) else listing.names
    splits, labels, classes = _arrange(names, notes)
    keys = store.columns["keys"].view(KEY)[:, 0][good]
    rows = ruled(folder, names, listing.fingerprint, options, notes) or split_rows(keys, labels, splits, notes)
    captions = _captions(folder, listing, good, options, notes)
    images = store.columns["images"]
    every = np.zeros(len(listing), labels.dtype)
    every[good] = labels
    found = torch.from_numpy(images)
    return image_dataset(
        folder.name,
        options,
        found[:, None] if images.ndim == 3 else found.permute(0, 3, 1, 2),
        torch.from_numpy(every) if len(classes) > 1 else None,
        classes,
        tuple(torch.from_numpy(good[part.numpy()]) for part in rows),  # type: ignore[arg-type]
        folder_card(folder, len(good)),
        notes,
        content=hashlib.sha256(repr(images.shape[1:]).encode() + keys.tobytes()).digest(),
        captions=captions,
    )


def _captions(
    folder: Path, listing: Listing, good: np.ndarray, options: DataOptions, notes: list[str]
) -> list[str] | None:
    """A caption for every file of the listing, where they are asked for; a word about them where they are not."""
    if not options.captions:
        if (file := caption_file(folder)) is not None:
            notes.append(f"captions in {file.name} are not used: --data.captions true tells them to the model")
        return None
    found = captions_of(folder, [listing.names[i] for i in good], notes)
    if found is None:
        return None
    captions = [""] * len(listing)
    for i, caption in zip(good.tolist(), found, strict=True):
        captions[i] = caption
    return captions


def folder_card(folder: Path, count: int) -> Card:
    items = f"{count:,} images in a folder"
    card = read_card(folder)
    return (
        Card(folder.name, str(folder), "the owner's", "", items)
        if card is None
        else replace(card, items=card.items or items)
    )


def report_unread(listing: Listing, bad: np.ndarray, options: DataOptions, notes: list[str]) -> None:
    """Names what could not be read; refuses where everything could not, or where options.strict."""
    if not len(bad):
        return
    names = ", ".join(listing.names[i] for i in bad[:5]) + (", ..." if len(bad) > 5 else "")
    said = f"{len(bad)} of {len(listing)} pictures cannot be read: {names}"
    if len(bad) == len(listing):
        raise BadData(f"{listing.folder}: {said}; give pictures that open in a viewer")
    if options.strict:
        raise BadData(f"{listing.folder}: {said}; mend or remove them, or leave out --data.strict")
    notes.append(f"{said}; skipped")


def _say_shape(store: Store, good: np.ndarray, options: DataOptions, notes: list[str]) -> None:
    """How sizes and colours were changed."""
    height, width = store.columns["images"].shape[1:3]
    sizes = store.columns["sizes"][good].astype(np.int64)
    if (sizes != (height, width)).any():
        both = sizes[:, 0] << 32 | sizes[:, 1]
        low, high = ((int(v) >> 32, int(v) & 0xFFFFFFFF) for v in (both.min(), both.max()))
        span = f"{low[0]}x{low[1]}" + (f" to {high[0]}x{high[1]}" if low != high else "")
        notes.append(
            f"{describe_policy(options, height, width)}, from {span}; --data.size and --data.resize change that"
        )
    if options.channels == "grey" and (store.columns["state"] == COLOUR).any():
        notes.append("colours turned to grey (ITU-R 601)")


def _arrange(names: list[str], notes: list[str]) -> tuple[np.ndarray | None, np.ndarray, tuple[str, ...]]:
    """(split of every picture or None, class of every picture, names of classes) from the names of sub-folders."""
    parts = [name.split("/", 2)[:-1] for name in names]  # the two outermost folders
    splits = None
    tops = {p[0].lower() if p else "" for p in parts}
    if tops & {"train", "training"} and tops <= set(SPLITS):
        splits = np.fromiter((SPLITS[p[0].lower()] for p in parts), np.int8, len(parts))
        parts = [p[1:] for p in parts]
        notes.append(f"the sub-folders {', '.join(sorted(tops))} are the splits")
    classes = sorted({p[0] if p else "" for p in parts})
    if len(classes) > 1 and classes[0] == "":
        notes.append("pictures lie beside the sub-folders as well as in them: the sub-folders are not taken as classes")
    if len(classes) < 2 or classes[0] == "":
        return splits, np.zeros(len(names), np.int64), ()
    number = {name: i for i, name in enumerate(classes)}
    return splits, np.fromiter((number[p[0]] for p in parts), np.int64, len(parts)), tuple(classes)


def split_rows(keys: np.ndarray, labels: np.ndarray, splits: np.ndarray | None, notes: list[str]) -> Rows:
    """Rows by the sub-folders where they name splits; what they do not name is cut from the training part."""
    if splits is None:
        return by_content(keys, labels, notes)
    parts = [np.flatnonzero(splits == s) for s in range(3)]
    if len(parts[1]) == 0:
        inner = by_content(keys[parts[0]], labels[parts[0]], notes, shares=(0.1, 0.0))
        parts[1], parts[0] = parts[0][inner[1].numpy()], parts[0][inner[0].numpy()]
    if len(parts[2]) == 0:
        parts[2] = parts[1]
        notes.append("no test sub-folder: the validation items are the test items too")
    first, second, third = (torch.from_numpy(p) for p in parts)
    return first, second, third


def ruled(folder: Path, names: list[str], files: str, options: DataOptions, notes: list[str]) -> Rows | None:
    """Rows by a recorded rule, if there is one. They are kept in a store: a rule by content reads every file."""
    file = None if options.split is None else Path(options.split).expanduser()
    path = split_path(folder) if file is None else file
    if not path.exists() or not _is_closed(path):
        return rows_of(folder, names, file, options.fold, notes)

    def make(draft: Draft) -> Mapping[str, Any]:
        said: list[str] = []
        rows = rows_of(folder, names, file, options.fold, said)
        assert rows is not None
        columns = ("train", "validation", "test")
        draft.begin({}, dict.fromkeys(columns, (np.int64, ())), 0, resume=False)
        draft.append(**{name: part.numpy() for name, part in zip(columns, rows, strict=True)})
        return {"notes": said}

    rule = hashlib.sha256(path.read_bytes()).hexdigest()
    chosen = hashlib.sha256(json.dumps(names).encode()).hexdigest()  # a file that broke is no longer among them
    shaping = {"rule": rule, "fold": options.fold, "name": path.name, "names": chosen}
    store = obtain(Source("rows", folder, files, shaping), make, notes)
    notes += store.about["notes"]
    first, second, third = (torch.from_numpy(store.columns[n]) for n in ("train", "validation", "test"))
    return first, second, third


def _is_closed(path: Path) -> bool:
    """Whether the rule depends on nothing but its own file and the items: not on a table of groups."""
    group = read_split(path).rule.group
    return group is None or group.kind != "table"
