"""Other libraries' items kept once, as arrays or texts, and mapped from there.

    foreign/KEY/about.json     name, card, classes, notes; written last
    foreign/KEY/images.npy     uint8 (N, H, W) or (N, H, W, 3), with labels.npy, parts.npy (0 train, 1 validation, 2
                               test) and keys.npy (hashes of the content); or train.txt, validation.txt, test.txt

KEY is a hash of the content. Items are read and written one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genloom.data.cache import cache_dir
from genloom.data.column import Column
from genloom.data.corpus import Files, cut, look
from genloom.data.dataset import Card, Dataset, image_dataset
from genloom.data.foreign_items import PARTS, Columns, Item, columns_of, is_table, pairs, parts_of, rows
from genloom.data.options import DataOptions
from genloom.data.shape import describe_policy, fit, fit_array, parse_size
from genloom.data.splits import KEY, Rows, by_content, content_key
from genloom.data.texts import text_dataset
from genloom.errors import BadData, Storage
from genloom.runs.files import read_json, storage, write_json

ABOUT = "about.json"
KIND = "foreign items"
_MAP_FROM = 64 << 20  # bytes from which pictures stay on disk
_USUAL = (64, 64)  # height and width where the pictures have different ones and nobody names any


def is_kept(path: Path) -> bool:
    """Whether a folder is one that `keep` made."""
    if not (path / ABOUT).is_file():
        return False
    try:
        return json.loads((path / ABOUT).read_text(encoding="utf-8")).get("kind") == KIND
    except (OSError, ValueError, AttributeError):
        return False


def load_kept(folder: Path, options: DataOptions) -> Dataset:
    """The data set that `keep` wrote to `folder`."""
    about = read_json(folder / ABOUT)
    notes, card, name = list(about["notes"]), Card(**about["card"]), str(about["name"])
    if about["modality"] == "text":
        files = [file for part in PARTS if (file := look(folder / f"{part}.txt"))]
        corpus: Any = cut(files, 0.8, 0.1)
        if len(files) > 1:
            by_name = {file.path.stem: file for file in files}
            corpus = Files(tuple((by_name[p],) if p in by_name else () for p in PARTS))  # type: ignore[arg-type]
        else:
            notes.append("the first 80 % train, the next 10 % validate, the last 10 % test")
        return text_dataset(name, options, corpus, card, notes)
    held = {n: np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("labels", "parts", "keys")}
    large = (folder / "images.npy").stat().st_size >= _MAP_FROM
    stored = torch.from_numpy(np.load(folder / "images.npy", mmap_mode="c" if large else None, allow_pickle=False))
    images = stored[:, None] if stored.ndim == 3 else stored.permute(0, 3, 1, 2)
    images = fit_array(images, options, notes)
    classes = tuple(about["classes"])
    labels = torch.from_numpy(held["labels"]) if len(classes) > 1 else None
    strata = held["labels"] if labels is not None else np.zeros(len(images), np.int8)
    parts = _split(held["parts"], held["keys"], strata, notes)
    content = hashlib.sha256(repr(tuple(images.shape[1:])).encode() + held["keys"].tobytes()).digest()
    return image_dataset(name, options, images, labels, classes, parts, card, notes, content=content)


def _split(parts: np.ndarray, keys: np.ndarray, strata: np.ndarray, notes: list[str]) -> Rows:
    """The source's own splits; what is missing is taken from its training items, by content."""
    train, validation, test = (np.flatnonzero(parts == p) for p in range(3))
    shares = (0.0 if len(validation) else 0.1, 0.0 if len(test) else 0.1)
    own = [PARTS[p] for p in range(1, 3) if (parts == p).any()]
    if own:
        notes.append(f"the data set's own {' and '.join(own)} split is kept")
    if not any(shares):
        return torch.from_numpy(train), torch.from_numpy(validation), torch.from_numpy(test)
    first, second, third = (train[r.numpy()] for r in by_content(keys[train], strata[train], notes, shares))
    return (
        torch.from_numpy(first),
        torch.from_numpy(validation if len(validation) else second),
        torch.from_numpy(test if len(test) else third),
    )


class _Wider(Exception):
    """An item does not fit what was taken from the first ones: begin again with this layout."""


def keep(found: Any, options: DataOptions = DataOptions(), *, name: str = "", card: Card | None = None) -> Path:
    """Writes the items of a data set, or of a mapping of its splits, into the cache and returns their folder.

    Pictures keep their size where all share one and options name none; else they are brought to the options' size, or
    64x64. Raises BadData where there is nothing to learn from, Storage where the cache cannot be written.
    """
    notes: list[str] = []
    name = name or name_of(found)
    parts = parts_of(found, name, notes)
    first = parts[0]
    columns = columns_of(first, name, notes) if is_table(first) else None
    root = cache_dir() / "foreign"
    with storage(root):
        root.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".part-", dir=root))
    try:
        if columns is not None and columns.modality == "text":
            about = _keep_texts(draft, parts, columns, name, notes)
        else:
            about = _keep_images(draft, parts, columns, options, name, notes)
        written = card or card_of(first, name)
        about["card"] = asdict(replace(written, items=written.items or about.pop("said"), modality=about["modality"]))
        about.pop("said", None)
        digest = _digest(draft, about)
        write_json(draft / ABOUT, {"kind": KIND, "name": name, **about, "notes": notes})
        target = root / digest
        with storage(target):
            if not is_kept(target):
                shutil.rmtree(target, ignore_errors=True)
                os.replace(draft, target)
        return target
    except OSError as error:
        raise Storage(f"cannot write {root}: {error.strerror or error}: make room or set GENLOOM_CACHE") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _keep_images(
    folder: Path, parts: Mapping[int, Any], columns: Columns | None, options: DataOptions, name: str, notes: list[str]
) -> dict[str, Any]:
    size = parse_size(options.size)
    layout: tuple[tuple[int, int] | None, bool, bool] = (size, False, False)  # size, colour, floats from -1
    for _ in range(6):  # each restart widens one of the three, size at most twice
        try:
            counts, labelled, bad = _write_images(folder, parts, columns, options, layout, name)
            break
        except _Wider as wider:
            layout = wider.args[0]
    if bad:
        if options.strict:
            raise BadData(f"{name}: {len(bad)} items cannot be read; the first: {bad[0]}")
        notes.append(f"{len(bad)} items cannot be read and are left out; the first: {bad[0]}")
    if sum(counts) < 2:
        raise BadData(f"{name} holds {sum(counts)} readable images, and a model needs several" + _first(bad))
    if layout[0] is not None and size is None and labelled["varied"]:
        notes.append(describe_policy(options, *layout[0]) + ": the originals have different sizes")
    if layout[2]:
        notes.append("floats in [-1, 1] became bytes")
    names = columns.classes if columns else tuple(map(str, getattr(parts[0], "classes", None) or ()))
    labels = np.load(folder / "labels.npy")
    if (labels < 0).any():
        if (labels >= 0).any():
            notes.append(f"{int((labels < 0).sum()):,} items have no class: the classes are not used")
        names = ()
    elif len(names) <= labels.max():
        names = tuple(str(i) for i in range(int(labels.max()) + 1))
    return {"modality": "image", "classes": list(names), "said": f"{sum(counts):,} images"}


def _write_images(
    folder: Path,
    parts: Mapping[int, Any],
    columns: Columns | None,
    options: DataOptions,
    layout: tuple[tuple[int, int] | None, bool, bool],
    name: str,
) -> tuple[list[int], dict[str, bool], list[str]]:
    """One pass over all items. Raises _Wider with another layout where an item needs one."""
    size, colour, signed = layout
    for file in folder.iterdir():
        file.unlink()
    writer: dict[str, Column] = {}
    counts, bad, varied = [0, 0, 0], [], False
    try:
        for part in sorted(parts):
            for number, item in enumerate(_read(parts[part], columns)):
                try:
                    if isinstance(item, Exception):
                        raise item
                    array = _bytes(item, signed, (layout[0], colour), name)
                except (_Wider, BadData):
                    raise
                except Exception as error:
                    bad.append(f"{PARTS[part]} item {number}: {' '.join(str(error).split())[:100]}")
                    continue
                here = (array.shape[0], array.shape[1])
                if not writer and size is None:
                    size = here
                if array.ndim == 3 and not colour:
                    if writer:
                        raise _Wider((layout[0], True, signed))
                    colour = True
                if here != size:
                    if parse_size(options.size) is None and layout[0] is None:
                        raise _Wider((_USUAL, colour, signed))
                    varied = True
                    assert size is not None
                    array = np.asarray(fit(Image.fromarray(array), *size, options.resize))
                if array.ndim == 2 and colour:
                    array = np.repeat(array[:, :, None], 3, 2)
                if not writer:
                    kinds = {"images": (np.uint8, array.shape), "labels": (np.int64, ()), "parts": (np.int8, ()),
                             "keys": (KEY, ())}  # fmt: skip
                    writer = {n: Column(folder / f"{n}.npy", *kind) for n, kind in kinds.items()}
                key = content_key(np.ascontiguousarray(array[None] if array.ndim == 2 else array.transpose(2, 0, 1)))
                label = -1 if item.label is None else item.label
                row = {"images": array, "labels": label, "parts": part, "keys": key}
                for n, column in writer.items():
                    column.append(np.asarray([row[n]], column.dtype))
                counts[part] += 1
        for column in writer.values():
            column.finish()
    finally:
        for column in writer.values():
            column.close()
    return counts, {"varied": varied}, bad


def _bytes(item: Item, signed: bool, more: tuple[tuple[int, int] | None, bool], name: str) -> np.ndarray:
    """The pixels as uint8; floats from 0 to 1, or `signed` from -1. Raises _Wider, BadData."""
    array = item.content
    assert isinstance(array, np.ndarray)
    if array.dtype == np.uint8:
        return array
    if not np.isfinite(array).all():
        raise ValueError("values that are not finite")
    low, high = float(array.min()), float(array.max())
    if low < -1.001 or high > 1.001:
        raise BadData(
            f"{name}: expected floats in [0, 1] or [-1, 1], got {low:.3g} to {high:.3g}: leave the normalisation "
            "out of its transform, models bring items into their own range"
        )
    if low < 0 and not signed:
        raise _Wider((*more, True))
    scaled = (array + 1) * 127.5 if signed else array * 255.0
    return np.round(np.clip(scaled, 0, 255)).astype(np.uint8)


def _read(found: Any, columns: Columns | None) -> Iterator[Item | Exception]:
    return pairs(found) if columns is None else rows(found, columns)


def _first(bad: list[str]) -> str:
    return f"; the first that cannot be read: {bad[0]}" if bad else ""


def _keep_texts(
    folder: Path, parts: Mapping[int, Any], columns: Columns, name: str, notes: list[str]
) -> dict[str, Any]:
    """Texts, one file a part, rows joined by line ends. Where a source has splits and lacks one of validation and test,
    the last tenth of its training rows takes its place."""
    characters, lacking = 0, [p for p in (1, 2) if p not in parts] if len(parts) > 1 else []
    for part, table in sorted(parts.items()):
        count = len(table)
        held = count // 10 if part == 0 else 0
        starts = {lacking[i]: count - held * (len(lacking) - i) for i in range(len(lacking))} if held else {}
        with contextlib.ExitStack() as stack:
            files = {p: stack.enter_context(open(folder / f"{PARTS[p]}.txt", "w", encoding="utf-8", newline="\n"))
                     for p in (part, *(starts if part == 0 else ()))}  # fmt: skip
            for number, item in enumerate(rows(table, columns)):
                if isinstance(item, Exception):
                    raise BadData(f"{name}: row {number} cannot be read: {' '.join(str(item).split())[:100]}")
                text = item.content if isinstance(item.content, str) else ""
                home = max((p for p, start in starts.items() if part == 0 and number >= start), default=part)
                files[home].write(text if text.endswith("\n") else f"{text}\n")
                characters += len(text)
        notes += [f"the last rows of the training text are the {PARTS[p]} text" for p in starts if part == 0]
    if not characters:
        raise BadData(f"{name} holds no text in the column {columns.item!r}")
    return {"modality": "text", "classes": [], "said": f"{characters:,} characters"}


def _digest(folder: Path, about: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps([about["modality"], about["classes"]]).encode())
    for file in sorted(folder.iterdir()):
        with open(file, "rb") as opened:
            digest.update(file.name.encode() + hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:32]


def name_of(found: Any) -> str:
    first = next(iter(found.values()), found) if isinstance(found, Mapping) else found
    said = getattr(getattr(first, "info", None), "dataset_name", None) if is_table(first) else None
    while hasattr(first, "dataset") and not is_table(first):  # torch.utils.data.Subset and its like
        first = first.dataset
    return str(said or type(first).__name__).lower()


def card_of(found: Any, name: str) -> Card:
    """What the object says of itself."""
    info = getattr(found, "info", None) if is_table(found) else None
    said = {k: str(getattr(info, k, "") or "").strip() for k in ("description", "homepage", "license", "citation")}
    title = said["description"].splitlines()[0][:100] if said["description"] else name
    kind = "a data set of Hugging Face datasets" if is_table(found) else f"{type(found).__module__}, in Python"
    licence = said["license"] or "unknown: ask where it comes from"
    return Card(title, said["homepage"] or kind, licence, said["citation"], "")
