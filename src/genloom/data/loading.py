"""From options to a data set: built-in ones by name, everything else by path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from genloom.data.answers import kind_of, load_answers
from genloom.data.arrayfile import dimensions
from genloom.data.arrays import load_array_file
from genloom.data.clips import ENDINGS as CLIPS
from genloom.data.clips import is_clips, load_clip_array, load_clips
from genloom.data.dataset import Card, Dataset
from genloom.data.drawings import is_drawings, load_drawings
from genloom.data.folder import ENDINGS as PICTURES
from genloom.data.folder import load_folder
from genloom.data.foreign import is_foreign, load_foreign
from genloom.data.foreign_store import is_kept, load_kept
from genloom.data.listing import Listing, of_files, scan
from genloom.data.molecules import ENDINGS as MOLECULES
from genloom.data.molecules import load_molecules
from genloom.data.music import ENDINGS as SCORES
from genloom.data.music import load_music
from genloom.data.options import DataOptions
from genloom.data.parts import ImageSplit
from genloom.data.sets.registry import ENTRIES, cards, load_set
from genloom.data.sides import load_sides, sides_of
from genloom.data.signals import SignalSplit
from genloom.data.sounds import ENDINGS as SOUNDS
from genloom.data.sounds import load_sounds
from genloom.data.tables import ENDINGS as TABLES
from genloom.data.tables import load_table
from genloom.data.texts import ENDINGS as TEXTS
from genloom.data.texts import load_texts, text_files
from genloom.errors import BadData, BadValue, NotFound, nearest, unknown

ARRAYS = frozenset((".npy", ".npz"))


def catalogue() -> dict[str, Card]:
    """The cards of all built-in data sets, by name."""
    return cards()


def load(options: DataOptions) -> Dataset:
    """The data set that `options` describe. Raises GenloomError in one line for what cannot be learnt from.

    A built-in name wins over a file of the same name; "./name" means the file.
    """
    found = _found(options)
    if options.pair is not None and sum(f.modality == "image" for f in found.spec.values()) < 2:
        raise BadValue(f"--data.pair {options.pair}: {found.name} holds no pictures, of which there could be two forms")
    return found


def _found(options: DataOptions) -> Dataset:
    if options.limit is not None and options.limit < 1:
        raise BadValue(f"--data.limit is a number of training items, 1 or more, got {options.limit}")
    if options.source in ENTRIES:
        if options.split is not None or options.fold is not None:
            raise BadValue(f"{options.source} comes with a split of its own: leave out --data.split and --data.fold")
        return load_set(options)
    if is_foreign(options.source):
        return load_foreign(options)
    path = Path(options.source).expanduser()
    if not options.source or not path.exists():
        raise _missing(options.source, path)
    try:
        return _load_path(path, options)
    except PermissionError as error:
        raise BadData(f"{error.filename or path} cannot be read: {error.strerror}: change its permissions") from None


def _load_path(path: Path, options: DataOptions) -> Dataset:
    ending = path.suffix.lower()
    if path.is_dir():
        if is_kept(path):
            return load_kept(path, options)
        held = scan(path, PICTURES | TEXTS | ARRAYS | SOUNDS | CLIPS | SCORES)
        if (signals := _signals(path, held, options)) is not None:
            return signals
        pictures, texts = held.only(PICTURES), text_files(held)
        if not len(pictures) and not len(texts):
            arrays = [path / name for name in held.only(ARRAYS).names]
            kinds = "give a folder of pictures, of sounds or of text files"
            hint = f"name the array itself: {arrays[0]}" if arrays else kinds
            raise BadData(f"{path} holds no pictures and no text files: {hint}")
        most = 2 * len(pictures) >= len(texts)  # pictures often come with a text file each, and a list of them
        if {"image": len(pictures) > 0, "text": not len(texts)}.get(options.read, most):
            sides = None if options.pair is None else sides_of(pictures, options)
            return load_folder(path, options, pictures) if sides is None else load_sides(path, options, sides)
        return load_texts(path, texts, options)
    if is_drawings(path):
        return load_drawings(path, options)
    if ending in (".npy", ".npz"):
        moving = options.read == "video" or (options.read == "auto" and dimensions(path) == 5)
        return load_clip_array(path, options) if moving else load_array_file(path, options)
    if ending in SOUNDS | {".mp4"}:
        what = "recording" if ending in SOUNDS else "clip"
        raise BadData(f"{path} is one {what}, and a model needs several: give a folder of them")
    if ending in MOLECULES and options.read != "text":
        return load_molecules(path, options)
    if ending in SCORES:
        raise BadData(f"{path} is one score, and a model needs several: give a folder of them")
    if ending in PICTURES:
        raise BadData(f"{path} is one picture, and a model needs several: give a folder of pictures")
    if options.read in ("answers", "preferences") or options.aligned is not None or _speaks(path, options):
        return load_answers(path, options)
    if ending in TABLES and options.read != "text":
        return load_table(path, options)
    return load_texts(path, of_files([path]), options)


def _speaks(path: Path, options: DataOptions) -> bool:
    """Whether a file's lines are prompts with answers, where nothing says what to read it as."""
    return options.read == "auto" and path.suffix.lower() == ".jsonl" and kind_of(path) != ""


def _signals(path: Path, held: Listing, options: DataOptions) -> Dataset | None:
    """Music, sounds or clips, where they are what a folder holds most of, or what is asked for."""
    scores = held.only(SCORES)
    if options.read == "music" or (options.read == "auto" and 2 * len(scores) > len(held)):
        return load_music(path, options, scores)
    sounds, clips, pictures = held.only(SOUNDS), held.only(CLIPS), held.only(PICTURES)
    if options.read == "audio" or (options.read == "auto" and len(sounds) > max(len(pictures), len(clips))):
        return load_sounds(path, options, sounds)
    films = held.only(frozenset((".mp4",)))
    if options.read == "video" or (
        options.read == "auto" and (len(films) > len(pictures) or (len(clips) == len(pictures) and is_clips(clips)))
    ):
        return load_clips(path, options, clips)
    return None


def _missing(source: str, path: Path) -> NotFound:
    """What is like it: built-in names, and what lies beside the path."""
    if os.sep not in source and not path.suffix:
        near = [p.name for p in _beside(path)]
        if hit := nearest(source, near, 1):
            known = unknown("data set", source, ENTRIES, see="genloom data list")
            return NotFound(f"{known}; there is a ./{hit[0]} here")
        return unknown("data set", source, ENTRIES, see="genloom data list")
    near = nearest(path.name, [p.name for p in _beside(path)], 1)
    if near:
        return NotFound(f"there is no {source}: did you mean {path.parent / near[0]}?")
    if path.parent.exists():
        return NotFound(f"there is no {source}: give an existing file or folder")
    where = path.parent
    while not where.exists() and where != where.parent:
        where = where.parent
    return NotFound(f"there is no {source}: {where} exists, but not what follows; give an existing file or folder")


def _beside(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())
    except OSError:
        return []


def describe(dataset: Dataset) -> dict[str, Any]:
    """A data set in plain words and numbers, ready for JSON: what `genloom data show` prints."""
    fields = {}
    for name, field in dataset.spec.items():
        said: dict[str, Any] = {"modality": field.modality, "role": field.role}
        if field.domain:
            said["domain"] = field.domain
        if field.shape:
            said["shape"] = list(field.shape)
        if field.vocabulary:
            said["vocabulary"] = field.vocabulary
        if field.classes:
            said["classes"] = list(field.classes)
        fields[name] = said
    out: dict[str, Any] = {
        "name": dataset.name,
        "title": dataset.card.title,
        "source": dataset.card.source,
        "licence": dataset.card.licence,
        "fields": fields,
        "items": {s: getattr(dataset, s).items for s in ("train", "validation", "test")},
        "digest": dataset.digest,
        "notes": list(dataset.notes),
    }
    if isinstance(dataset.train, ImageSplit | SignalSplit) and dataset.train.labels is not None:
        counts = dataset.train.labels.bincount(minlength=len(dataset.spec["label"].classes)).tolist()
        out["train_classes"] = dict(zip(dataset.spec["label"].classes, counts, strict=True))
    return out
