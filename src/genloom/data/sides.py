"""A folder with two sub-folders of pictures: the two forms of the same items, or two collections.

The folder may hold train/, val/ and test/ with the two in each. Pictures pair up by their names below the sub-folders,
whatever their endings.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from genloom.data.dataset import Dataset, image_dataset, unpaired_dataset
from genloom.data.folder import SPLITS, folder_card, report_unread, ruled, split_rows
from genloom.data.forms import FORMS, Pictures
from genloom.data.listing import Listing
from genloom.data.options import DataOptions
from genloom.data.pictures import COLOUR, decoded
from genloom.data.splits import KEY
from genloom.errors import BadData


@dataclass(frozen=True)
class Side:
    """One sub-folder: its pictures; keys: their names without what is above and without endings, by which they pair;
    parts: the split of each by the folder above, None where there is none."""

    name: str
    listing: Listing
    keys: list[str]
    parts: np.ndarray | None


def sides_of(listing: Listing, options: DataOptions) -> tuple[Side, Side] | None:
    """(what is given, what is made): the sub-folder that `options.pair` names first; None where it means no sub-folder.

    Raises BadData where it names something else than one of two sub-folders.
    """
    rest = [name.split("/") for name in listing.names]
    tops = {path[0].lower() if len(path) > 1 else "" for path in rest}
    parted = bool(tops & {"train", "training"}) and tops <= set(SPLITS)
    parts = np.array([SPLITS[path[0].lower()] for path in rest], np.int8) if parted else None
    rest = [path[1:] for path in rest] if parted else rest
    tops = {path[0] if len(path) > 1 else "" for path in rest}
    names, pair = sorted(tops - {""}), options.pair
    if (pair == "auto" and (len(names) != 2 or "" in tops)) or (pair in FORMS and pair not in names):
        if options.pairing == "unpaired":
            raise BadData(f"{listing.folder} holds one collection ({_named(names)}), and two are needed: put the "
                          "pictures of each into a sub-folder")  # fmt: skip
        return None
    if pair != "auto" and pair not in names:
        forms = ", ".join(FORMS)
        raise BadData(f"{listing.folder} has no sub-folder {pair!r} ({_named(names)}): name one of two sub-folders "
                      f"with --data.pair, or a form to be made of every picture: {forms}")  # fmt: skip
    if len(names) != 2 or "" in tops:
        more = "pictures beside them as well" if "" in tops else _named(names)
        raise BadData(f"{listing.folder}: two sub-folders of pictures are needed, what is given and what is made of "
                      f"it, and there are {more}")  # fmt: skip
    if dotted := [name for name in names if "." in name]:
        raise BadData(f"{listing.folder}: the two fields are called after the sub-folders, and {dotted[0]!r} holds a "
                      "dot: call it otherwise")  # fmt: skip
    given = names[0] if pair == "auto" else pair
    made = names[1] if given == names[0] else names[0]

    def side(name: str) -> Side:
        mine = [i for i, path in enumerate(rest) if path[0] == name]
        keys = [os.path.splitext("/".join(rest[i][1:]))[0] for i in mine]
        keys = keys if parts is None else [f"{parts[i]}/{key}" for i, key in zip(mine, keys, strict=True)]
        return Side(name, listing.take(mine), keys, None if parts is None else parts[mine])

    return side(str(given)), side(made)


def _named(names: Sequence[str]) -> str:
    return f"sub-folders: {', '.join(names[:5])}" if names else "no sub-folders"


def load_sides(folder: Path, options: DataOptions, sides: tuple[Side, Side]) -> Dataset:
    """The data set of two sub-folders. Raises BadData, with the names of files, for what does not pair up."""
    notes: list[str] = []
    given, made = sides
    if options.pairing != "unpaired":
        _check_names(folder, given, made)
    stores = {side.name: decoded(side.listing, options, notes) for side in sides}
    good = {}
    for side in sides:
        state = stores[side.name].columns["state"]
        good[side.name] = np.flatnonzero(state <= COLOUR)
        report_unread(side.listing, np.flatnonzero(state > COLOUR), options, notes)
        if len(good[side.name]) < 2:
            raise BadData(f"{folder / side.name} holds fewer than two pictures that can be read: add more")
    first, second = (stores[side.name].columns["images"].shape[1:3] for side in sides)
    if tuple(first) != tuple(second):
        raise BadData(f"{given.listing.path(0)} is one of pictures of {_shape(first)} and {made.listing.path(0)} of "
                      f"{_shape(second)}: bring both to one size with --data.size, such as {first[0]}")  # fmt: skip
    keys = {side.name: stores[side.name].columns["keys"].view(KEY)[:, 0] for side in sides}
    content = hashlib.sha256(b"".join(name.encode() + keys[name].tobytes() for name in sorted(keys))).digest()
    card = folder_card(folder, sum(map(len, good.values())))

    def rows(side: Side, chosen: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        names = [side.listing.names[i] for i in chosen]
        parts = None if side.parts is None else side.parts[chosen]
        none = np.zeros(len(chosen), np.int64)
        found = ruled(folder, names, side.listing.fingerprint, options, notes)
        found = found or split_rows(keys[side.name][chosen], none, parts, notes)
        first, second, third = (torch.from_numpy(chosen[part.numpy()]) for part in found)
        return first, second, third

    if options.pairing == "unpaired":
        notes.append(f"{given.name} and {made.name} are two collections without pairs")
        apart = {s.name: (Pictures(_images(stores[s.name].columns["images"])), rows(s, good[s.name])) for s in sides}
        return unpaired_dataset(folder.name, options, apart, card, notes, content)
    place = {key: i for i, key in enumerate(given.keys)}
    at = np.array([place[key] for key in made.keys])
    _check_sizes(given, made, at, [stores[side.name].columns["sizes"] for side in sides], options)
    both = good[made.name][np.isin(at[good[made.name]], good[given.name])]
    notes.append(f"{given.name} and {made.name} hold two forms of {len(both):,} items, by the names of their files")
    pictures = Pictures(_images(stores[given.name].columns["images"]), at=at)
    return image_dataset(folder.name, options, _images(stores[made.name].columns["images"]), None, (),
                         rows(made, both), card, notes, content=content, forms={given.name: lambda: pictures},
                         own=made.name)  # fmt: skip


def _images(stored: np.ndarray) -> torch.Tensor:
    images = torch.from_numpy(stored)
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def _shape(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]}"


def _check_names(folder: Path, given: Side, made: Side) -> None:
    """Raises BadData unless every picture has its partner."""
    for side, other in ((given, made), (made, given)):
        twice = sorted({key for key in side.keys if side.keys.count(key) > 1}) if len(set(side.keys)) < len(side.keys) \
            else []  # fmt: skip
        if twice:
            raise BadData(f"{folder / side.name} holds two pictures named {twice[0]}: they cannot both pair up")
        known = set(other.keys)
        if missing := [side.listing.names[i] for i, key in enumerate(side.keys) if key not in known]:
            some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise BadData(
                f"{folder}: {len(missing):,} of {len(side.keys):,} pictures in {side.name} have no partner of the same "
                f"name in {other.name}: {some}; name partners alike, or give --data.pairing unpaired"
            )


def _check_sizes(given: Side, made: Side, at: np.ndarray, sizes: Sequence[np.ndarray], options: DataOptions) -> None:
    """Raises BadData where two forms of an item were pictures of different sizes, unless both shrink alike to one."""
    one, two = sizes[0][at].astype(np.int64), sizes[1].astype(np.int64)
    alike = options.size is not None
    wrong = one[:, 0] * two[:, 1] != one[:, 1] * two[:, 0] if alike else (one != two).any(1)
    if wrong.any() and options.resize != "stretch":
        i = int(np.flatnonzero(wrong)[0])
        said = f"{given.listing.path(int(at[i]))} is {_shape(one[i])} and {made.listing.path(i)} is {_shape(two[i])}"
        cure = "--data.resize stretch" if alike else "--data.size"
        raise BadData(f"{said} ({int(wrong.sum()):,} pairs differ): the forms of an item must fit; give {cure}")
