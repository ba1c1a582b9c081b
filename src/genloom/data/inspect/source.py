"""What is to be inspected: a folder of pictures, an array or a set with a name as an album; texts as documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from genloom.data.card import card_path
from genloom.data.dataset import Card, Dataset
from genloom.data.folder import ENDINGS as PICTURES
from genloom.data.folder import SPLITS, files_below
from genloom.data.inspect.duplicates import Progress
from genloom.data.inspect.pictures import Album, Seen, gather, look_at_all, solidly, thumbnails
from genloom.data.loading import load
from genloom.data.options import DataOptions
from genloom.data.parts import ImageSplit, Split
from genloom.data.splitting import PARTS, places, read_split, split_path
from genloom.data.texts import ENDINGS as TEXTS
from genloom.errors import BadData

MADE_BY_GENLOOM = ("genloom-split.json", "genloom-card.toml")
_BLOCK = 512


@dataclass(frozen=True)
class Document:
    """A text file, or a part of a set with a name. split: "train", ..., or "" where it is in none yet."""

    name: str
    split: str
    path: Path | None = None
    text: str = ""


@dataclass(frozen=True)
class Material:
    """What was found at a path or under a name. album or documents: one of them; card: of a set with a name; title."""

    title: str
    origin: str
    album: Album | None = None
    documents: tuple[Document, ...] = ()
    card: Card | None = None
    card_file: Path | None = None
    split_by: str = ""


def material(source: str, limit: int, progress: Progress) -> Material:
    """Everything at `source`: a path, or the name of a set. Raises as `load` does, and BadData where there is nothing.

    limit: the most pictures that are looked at; an even sample where there are more.
    """
    path = Path(source).expanduser()
    named = not path.exists() or _is_name(source)
    if not named and path.is_dir():
        pictures = files_below(path, PICTURES)
        texts = [f for f in files_below(path, TEXTS) if f.name not in MADE_BY_GENLOOM]
        if not pictures and not texts:
            arrays = files_below(path, frozenset((".npy", ".npz")))
            hint = f"name the array itself: {arrays[0]}" if arrays else "give a folder of pictures or of text files"
            raise BadData(f"{path} holds no pictures and no text files: {hint}")
        if 2 * len(pictures) >= len(texts):
            album, rule = _folder(path, pictures, limit, progress)
            return Material(path.name, str(path), album, card_file=card_path(path), split_by=rule)
        documents, rule = _documents(path, texts)
        return Material(path.name, str(path), documents=documents, card_file=card_path(path), split_by=rule)
    if not named and path.suffix.lower() not in (".npy", ".npz"):
        if path.suffix.lower() in PICTURES:
            raise BadData(f"{path} is one picture: give a folder of pictures")
        return Material(path.name, str(path), documents=(Document(path.name, "", path),), card_file=card_path(path))
    dataset = load(DataOptions(source=source))
    origin = source if named else str(path)
    card, card_file = (dataset.card, None) if named else (None, card_path(path))
    if isinstance(dataset.train, ImageSplit):
        album = _album(dataset, origin, limit, progress)
        return Material(dataset.name, origin, album, card=card, card_file=card_file, split_by="genloom's own split")
    return Material(dataset.name, origin, documents=_windows(dataset), card=card, split_by="genloom's own split")


def _is_name(source: str) -> bool:
    from genloom.data.loading import catalogue

    return source in catalogue()


def by_folders(names: list[str]) -> tuple[np.ndarray, list[str]]:
    """Splits (n,) into PARTS by the names of the outermost sub-folders, -1 where they name none; and what is left of
    the names."""
    tops = {name.split("/", 1)[0].lower() if "/" in name else "" for name in names}
    if not (tops & {"train", "training"} and tops <= set(SPLITS)):
        return np.full(len(names), -1, np.int64), names
    splits = np.array([SPLITS[name.split("/", 1)[0].lower()] for name in names], np.int64)
    return splits, [name.split("/", 1)[1] for name in names]


def _splits(folder: Path, names: list[str]) -> tuple[np.ndarray, list[str], str]:
    """(split of every item, names without their split's folder, by what); a recorded rule wins over sub-folders."""
    splits, rest = by_folders(names)
    said = "the sub-folders" if (splits >= 0).any() else ""
    rule = split_path(folder)
    if rule.exists():
        recorded = read_split(rule)
        part, _ = places(folder, names, recorded.rule, rule.parent)
        if recorded.rule.by == "folds":  # the first fold validates
            part = np.where(part < 0, 2, np.where(part == 1, 1, 0))
        return part, rest, f"the rule in {rule.name}"
    return splits, rest, said


def _folder(folder: Path, paths: list[Path], limit: int, progress: Progress) -> tuple[Album, str]:
    total = len(paths)
    if total > limit:
        paths = [paths[i] for i in np.linspace(0, total - 1, limit).astype(np.int64)]
    names = [path.relative_to(folder).as_posix() for path in paths]
    splits, rest, said = _splits(folder, names)
    tops = [name.split("/", 1)[0] if "/" in name else "" for name in rest]
    classes = tuple(sorted(set(tops)))
    labels = np.full(len(names), -1, np.int64)
    if len(classes) > 1 and classes[0]:
        number = {name: i for i, name in enumerate(classes)}
        labels = np.array([number[top] for top in tops], np.int64)
    else:
        classes = ()

    def picture(i: int) -> Image.Image:
        with Image.open(paths[i]) as opened:
            opened.draft("RGB", (256, 256)) if opened.mode == "RGB" else None
            return solidly(opened)

    seen = look_at_all(paths)
    album = gather(seen, names, labels, splits, classes, PARTS, total, picture, str(folder), progress)
    return album, said


def _album(dataset: Dataset, origin: str, limit: int, progress: Progress) -> Album:
    """The album of pictures that lie in memory already, as train, validation and test."""
    parts = [(i, part) for i, part in enumerate((dataset.train, dataset.validation, dataset.test))]
    parts = [(i, p) for i, p in parts if isinstance(p, ImageSplit)]
    total = sum(len(p) for _, p in parts)
    share = min(1.0, limit / max(1, total))
    rows = {i: np.linspace(0, len(p) - 1, max(1, int(len(p) * share))).astype(np.int64) for i, p in parts}
    names = [f"{PARTS[i]} {row}" for i, _ in parts for row in rows[i]]
    splits = np.concatenate([np.full(len(rows[i]), i, np.int64) for i, _ in parts])
    field = dataset.spec.get("label")
    classes = field.classes if field is not None else ()
    labels = [p.labels for _, p in parts if isinstance(p, ImageSplit)]
    given = [
        np.full(len(rows[i]), -1, np.int64) if label is None else label.numpy()[rows[i]]
        for (i, _), label in zip(parts, labels, strict=True)
    ]
    where = [(p, int(row)) for i, p in parts for row in rows[i]]

    def picture(i: int) -> Image.Image:
        part, row = where[i]
        return _picture(part.raw(torch.tensor([row]))["image"][0].numpy())

    return gather(
        _each((p, rows[i]) for i, p in parts),
        names,
        np.concatenate(given),
        splits,
        tuple(classes),
        PARTS,
        total,
        picture,
        origin,
        progress,
    )


def _picture(image_CHW: np.ndarray) -> Image.Image:
    return Image.fromarray(image_CHW[0] if len(image_CHW) == 1 else np.ascontiguousarray(image_CHW.transpose(1, 2, 0)))


def _each(parts: Iterable[tuple[Split, np.ndarray]]) -> Iterator[Seen]:
    for part, rows in parts:
        for start in range(0, len(rows), _BLOCK):
            for image in part.raw(torch.from_numpy(rows[start : start + _BLOCK]))["image"].numpy():
                shown = _picture(image)
                key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
                grey, colour = thumbnails(shown)
                yield Seen("", image.size, shown.size, shown.mode, "array", key, grey, colour)


def _documents(folder: Path, paths: list[Path]) -> tuple[tuple[Document, ...], str]:
    names = [path.relative_to(folder).as_posix() for path in paths]
    splits, _, said = _splits(folder, names)
    return tuple(
        Document(name, PARTS[split] if split >= 0 else "", path)
        for name, path, split in zip(names, paths, splits.tolist(), strict=True)
    ), said


def _windows(dataset: Dataset) -> tuple[Document, ...]:
    """The three parts of a text with a name, as three documents."""
    assert dataset.tokenizer is not None
    found = []
    for name in PARTS:
        ids = getattr(dataset, name).ids
        if name == "test" and len(ids) == len(dataset.validation.ids) and bool((ids == dataset.validation.ids).all()):  # type: ignore[attr-defined]
            continue  # the same text stands for both
        found.append(Document(name, name, text=dataset.tokenizer.decode(ids.tolist())))
    return tuple(found)
