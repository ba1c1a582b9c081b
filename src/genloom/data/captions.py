"""Captions of pictures: read from files beside them, turned into word ids, and split so that some pairs of words meet
in no training item.

A caption may have parts, set apart by commas ("red heart, twitter, love"): in training all but the first can be left
out at random (`options.drop_parts`), so that short prompts are as familiar as long ones.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genloom.core import Field, Step
from genloom.data.options import DataOptions
from genloom.errors import BadData, BadValue
from genloom.modalities.words import COMMA, PAD, WordTokenizer, split_words

NAME = "caption"  # of the field
LONGEST = 32  # words of a caption that are kept
FILES = ("captions.jsonl", "metadata.jsonl", "captions.csv", "metadata.csv")
_FILE = ("file", "file_name", "filename", "image", "picture", "path")
_TEXT = ("text", "caption", "prompt", "title", "description")


@dataclass(frozen=True)
class Captioned:
    """What `encode` makes of captions: the field, ids int64 (N, L) of every picture, and their words."""

    field: Field
    ids: Tensor
    tokenizer: WordTokenizer


def caption_file(folder: Path) -> Path | None:
    """The folder's list of captions, if it has one."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def captions_of(folder: Path, names: Sequence[str], notes: list[str]) -> list[str] | None:
    """A caption for each picture (paths relative to `folder`), "" where it has none; None without any such file.

    From captions.jsonl, metadata.jsonl, captions.csv or metadata.csv with a file and a text in each row, or from a .txt
    file beside each picture. Rows that name no picture are skipped by name and counted. Raises BadData where all
    captions are empty or a list cannot be read.
    """
    listed = caption_file(folder)
    found = _beside(folder, names) if listed is None else _listed(listed, names, notes)
    if listed is None and not found:
        return None
    captions = [" ".join(found.get(name, "").split()) for name in names]
    bare = [name for name, caption in zip(names, captions, strict=True) if not caption]
    if len(bare) == len(names):
        where = "the .txt files beside the pictures" if listed is None else listed.name
        raise BadData(
            f'{folder}: no picture has a caption in {where}: rows are like {{"file": "a.png", "text": "a dog"}}'
        )
    if bare:
        notes.append(f"{len(bare):,} of {len(names):,} pictures have no caption and learn without one: {_some(bare)}")
    return captions


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _beside(folder: Path, names: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in names:
        path = folder / f"{os.path.splitext(name)[0]}.txt"
        if path.is_file():
            found[name] = _text(path)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}: change its permissions or remove it") from None


def _listed(path: Path, names: Sequence[str], notes: list[str]) -> dict[str, str]:
    known, found = set(names), dict[str, str]()
    missing: list[str] = []
    more = 0
    for number, row in enumerate(_rows(path), 1):
        file = next((row[k] for k in _FILE if row.get(k)), None)
        text = next((row[k] for k in _TEXT if row.get(k) is not None), None)
        if file is None or text is None:
            raise BadData(f"{path}, row {number}: expected a file and a text, got {', '.join(map(str, row)) or 'none'}")
        name = Path(str(file)).as_posix()
        if name not in known:
            missing.append(name)
        elif name in found:
            more += 1
        else:
            found[name] = str(text)
    if missing:
        notes.append(
            f"{len(missing):,} captions in {path.name} name no readable picture and are skipped: {_some(missing)}"
        )
    if more:
        notes.append(f"{more:,} further captions of pictures that have one already are not used")
    return found


def _rows(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a .jsonl or .csv file, keys in lower case. Raises BadData."""
    text = _text(path)
    rows: list[Mapping[str, Any]] = []
    if path.suffix == ".csv":
        for row in csv.DictReader(io.StringIO(text, newline="")):
            rows.append({str(k).strip().lower(): v for k, v in row.items()})
        return rows
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            rows.append({str(k).lower(): v for k, v in row.items()})
        except (ValueError, AttributeError):
            raise BadData(f"{path}, line {number}: expected an object like {{'file': ..., 'text': ...}}") from None
    return rows


def told_captions(
    name: str,
    options: DataOptions,
    captions: Sequence[str] | None,
    labels: Tensor | None,
    classes: Sequence[str],
    notes: list[str],
) -> Sequence[str] | None:
    """The captions a model is told, None where `options` ask for none; the names of the classes where there are no
    others. Raises BadData where there is neither, BadValue where options need captions that they do not ask for."""
    if not options.captions:
        if options.hold_out or options.drop_parts:
            field = "hold_out" if options.hold_out else "drop_parts"
            raise BadValue(f"--data.{field} goes by captions: give --data.captions true as well")
        return None
    if captions is None and labels is not None:
        notes.append(f"the names of the classes are the captions: {_some(classes)}")
        return [classes[i] for i in labels.tolist()]
    if captions is None:
        raise BadData(
            f"{name} holds no captions: put a {FILES[0]} beside the pictures (a file and a text in each row), or a "
            ".txt file beside each; or leave out --data.captions"
        )
    return captions


def encode(captions: Sequence[str], train: Tensor, notes: list[str]) -> Captioned:
    """The captions as rows of word ids; the words are those of the training items (rows `train`)."""
    learnt = [captions[i] for i in train.tolist()]
    longest = max((len(split_words(text)) for text in learnt), default=0)
    length = max(1, min(LONGEST, longest))
    if longest > LONGEST:
        notes.append(f"captions are cut after {LONGEST} words and marks, the longest has {longest}")
    tokenizer = WordTokenizer.learn(learnt)
    if not tokenizer.words:
        raise BadData("no training item has a caption: give captions, or leave out --data.captions")
    ids = torch.stack([tokenizer.row(text, length) for text in captions])
    return Captioned(Field("text", (length,), vocabulary=tokenizer.size, role="condition"), ids, tokenizer)


def parse_held_out(text: str) -> tuple[tuple[str, ...], ...]:
    """ "green heart; blue circle" -> (("green", "heart"), ("blue", "circle")). Raises BadValue for single words."""
    groups = tuple(tuple(split_words(part)) for part in text.replace(",", ";").split(";") if part.strip())
    for group in groups:
        if len(group) < 2:
            raise BadValue(f'--data.hold_out: expected words that meet, like "green heart; blue circle", got {text!r}')
    return groups


def meets(caption: str, groups: Sequence[tuple[str, ...]]) -> bool:
    """Whether the caption holds all words of one of the groups."""
    words = set(split_words(caption))
    return any(words.issuperset(group) for group in groups)


def hold_out(
    rows: tuple[Tensor, Tensor, Tensor], captions: Sequence[str], options: DataOptions, notes: list[str]
) -> tuple[Tensor, Tensor, Tensor]:
    """The rows with every item whose caption holds all words of a group of `options.hold_out` moved to the test part.

    Raises BadValue where a word or a group occurs nowhere, so that its absence from training would prove nothing.
    """
    groups = parse_held_out(options.hold_out)
    if not groups:
        return rows
    for group in groups:
        if not any(meets(captions[i], [group]) for part in rows for i in part.tolist()):
            raise BadValue(f"--data.hold_out: no caption holds {' and '.join(group)} together: leave that out")
    kept, moved = [], []
    for part in rows:
        chosen = torch.tensor([meets(captions[i], groups) for i in part.tolist()], dtype=torch.bool)
        kept.append(part[~chosen])
        moved.append(part[chosen])
    words = {word for i in kept[0].tolist() for word in split_words(captions[i])}
    if absent := sorted({word for group in groups for word in group} - words):
        raise BadValue(f"--data.hold_out leaves no training caption with {absent[0]!r}: hold out fewer")
    notes.append(f"{sum(map(len, moved)):,} items are in the test part because their captions hold {options.hold_out}")
    return kept[0], kept[1], torch.cat([kept[2], *moved])


def crossings(options: DataOptions) -> list[tuple[str, ...]]:
    """All combinations of the held-out groups' words, place by place: of "green heart; blue circle" also "green circle"
    and "blue heart". Groups of another length than the first are left out."""
    groups = parse_held_out(options.hold_out)
    alike = [group for group in groups if len(group) == len(groups[0])]
    return list(itertools.product(*(dict.fromkeys(words) for words in zip(*alike, strict=True)))) if alike else []


def drop_parts(ids_BL: Tensor, share: float, step: Step) -> Tensor:
    """Captions with each part but the first left out with probability `share`, by a draw from `step`."""
    length = ids_BL.shape[1]
    part = (ids_BL == COMMA).long().cumsum(1)  # a comma belongs to the part it begins
    out_BL = step.rand(len(ids_BL), length).to(ids_BL.device).gather(1, part.clamp_max(length - 1)) < share
    gone = out_BL & (part > 0)
    order = gone.to(torch.uint8).sort(dim=1, stable=True).indices  # what stays keeps its order
    return ids_BL.masked_fill(gone, PAD).gather(1, order)
