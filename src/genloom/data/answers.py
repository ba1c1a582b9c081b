"""Prompts with answers: instructions, questions, sentences and their translations; and preferences, where a second,
worse answer stands beside the better one.

As fields: `text`, the answer, is the item; `prompt` is a condition, a text too; so is `rejected`, the worse answer,
which a model that learns from preferences is told in training. All share one tokenizer. A row is a text, an end, and
ends to the row's end (`genloom.modalities.ended`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genloom.core import Batch, DataSpec, Field
from genloom.data.card import read_card
from genloom.data.dataset import Card, Dataset, digest_of, narrow
from genloom.data.options import DataOptions
from genloom.data.parts import Split
from genloom.data.splits import KEY_BYTES, by_content
from genloom.data.texts import Texts, learn
from genloom.errors import BadData, BadValue
from genloom.modalities.ended import ended, rows_of
from genloom.modalities.text import KINDS, Tokenizer

PROMPT, ANSWER, WORSE = "prompt", "text", "rejected"  # the fields
_PROMPT = ("prompt", "instruction", "question", "source", "input", "article")
_ANSWER = ("answer", "response", "completion", "output", "target", "summary", "reference")
_BETTER, _WORSE = ("chosen", "better", "preferred"), ("rejected", "worse")


@dataclass(frozen=True)
class Said:
    """Prompts, the answer to each, and a worse answer to each where there are preferences."""

    prompts: tuple[str, ...]
    answers: tuple[str, ...]
    worse: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Sequence[tuple[str, ...]]) -> Said:
        """Of rows of two or three texts."""
        columns = list(zip(*rows, strict=True)) or [(), ()]
        return cls(*columns)

    def rows(self) -> list[tuple[str, ...]]:
        """(prompt, answer) or (prompt, better, worse) of each."""
        return list(zip(*(c for c in (self.prompts, self.answers, self.worse) if c), strict=True))


class AnswerSplit(Split):
    """Rows of ids (N, L) by field."""

    def __init__(self, spec: DataSpec, columns: Mapping[str, Tensor]) -> None:
        self.spec = spec
        self._columns = {name: ids.numpy() for name, ids in columns.items()}

    def __len__(self) -> int:
        return len(self._columns[ANSWER])

    @property
    def items(self) -> int:
        return len(self)

    def raw(self, index: Tensor) -> Batch:
        at = index.numpy()
        return {name: torch.from_numpy(ids[at].astype(np.int64)) for name, ids in self._columns.items()}

    def batch(self, index: Tensor) -> Batch:
        return self.raw(index)

    def fingerprint(self) -> bytes:
        digest = hashlib.sha256()
        for name, ids in self._columns.items():
            digest.update(f"{name} {ids.shape}".encode())
            digest.update(np.ascontiguousarray(ids, np.int64).data)
        return digest.digest()


def kind_of(path: Path) -> str:
    """What the first line of a .jsonl file holds: "answers", "preferences", or "" for anything else."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            first = json.loads(next((line for line in file if line.strip()), ""))
    except (OSError, ValueError):
        return ""
    keys = {str(k).lower() for k in first} if isinstance(first, dict) else set()
    if keys & set(_BETTER) and keys & set(_WORSE):
        return "preferences"
    return "answers" if keys & set(_PROMPT) and keys & set(_ANSWER) else ""


def load_answers(path: Path, options: DataOptions) -> Dataset:
    """The data set of a .jsonl, .tsv or .csv file of prompts and answers, or of two files whose lines answer each
    other.

    A tenth of the prompts each validate and test, by the hash of their content, so equal prompts stay together. Rows
    with an empty side, and preferences whose sides are equal, are counted and left out. Raises BadData, BadValue.
    """
    notes: list[str] = []
    wanted = 3 if options.read == "preferences" or (options.read == "auto" and kind_of(path) == "preferences") else 2
    if options.split is not None or options.fold is not None:
        raise BadValue(f"{path} is one file, which --data.split cannot part yet: leave it out")
    if options.aligned is not None:
        if wanted == 3:
            raise BadValue("--data.aligned gives answers, not preferences: leave out --data.read preferences")
        found = _aligned(path, Path(options.aligned).expanduser())
    else:
        found = _rows(path, wanted)
    rows = whole(found, str(path), options, notes)
    keys = [hashlib.blake2b(row[0].encode("utf-8", "replace"), digest_size=KEY_BYTES).digest() for row in rows]
    said: list[str] = []
    parts = by_content(keys, np.zeros(len(keys), np.int64), said)
    notes += [note.replace("items are exact copies of others", "rows have a prompt that others have too")
              for note in said]  # fmt: skip
    train, validation, test = (Said.of([rows[i] for i in part.tolist()]) for part in parts)
    what = "preferences" if wanted == 3 else "prompts with answers"
    card = read_card(path) or Card(path.name, str(path), "the owner's", "", f"{len(rows):,} {what}", "text")
    return answer_dataset(path.stem, options, (train, validation, test), replace(card, modality="text"), notes)


def answers_in(path: Path) -> list[tuple[str, str]]:
    """All prompts with answers of a file, in its order; those with an empty side are left out. Raises BadData."""
    return [(prompt.strip(), answer.strip()) for prompt, answer in _rows(path, 2) if prompt.strip() and answer.strip()]


def whole(rows: Sequence[tuple[str, ...]], where: str, options: DataOptions, notes: list[str]) -> list[tuple[str, ...]]:
    """The rows that can be learnt from: no side is empty, no preference has equal sides. The others are counted.

    Raises BadData where none is left, or where `options.strict` and any is left out.
    """
    stripped = [tuple(side.strip() for side in row) for row in rows]
    full = [row for row in stripped if all(row[1:]) and (row[0] or len(row) == 3)]
    kept = [row for row in full if len(row) < 3 or row[1] != row[2]]
    said = [
        f"{count:,} of {len(rows):,} rows {why}"
        for count, why in (
            (len(rows) - len(full), "have an empty side"),
            (len(full) - len(kept), "prefer an answer to the same answer"),
        )
        if count
    ]
    if not kept:
        raise BadData(f"{where} holds nothing to learn from: {'; '.join(said) or 'no rows'}; give rows with texts")
    if said and options.strict:
        raise BadData(f"{where}: {'; '.join(said)}; mend or remove them, or leave out --data.strict")
    notes += [f"{one}; skipped" for one in said]
    return kept


def _aligned(first: Path, second: Path) -> list[tuple[str, ...]]:
    sides = [_read(path).split("\n") for path in (first, second)]
    sides = [lines[:-1] if lines and not lines[-1] else lines for lines in sides]
    if len(sides[0]) != len(sides[1]):
        raise BadData(
            f"{first} has {len(sides[0]):,} lines and {second} has {len(sides[1]):,}: line by line one must answer the "
            "other; mend the shorter one"
        )
    return list(zip(*sides, strict=True))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}: give an existing text file") from None
    except UnicodeDecodeError:
        raise BadData(f"{path} is no text in UTF-8: save it as UTF-8") from None


def _rows(path: Path, wanted: int) -> list[tuple[str, ...]]:
    """Rows of `wanted` texts. Raises BadData for a line that holds something else."""
    text = _read(path)
    if path.suffix.lower() == ".jsonl":
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        return [_of_object(line, wanted, f"{path}, line {number}") for number, line in lines]
    apart = "\t" if path.suffix.lower() == ".tsv" else ","
    cells = (
        csv.reader(io.StringIO(text, newline=""), delimiter=apart, quoting=csv.QUOTE_NONE)  # quotes are quotes
        if apart == "\t"
        else csv.reader(io.StringIO(text, newline=""))
    )
    table = [row for row in cells if any(row)]
    for number, row in enumerate(table, 1):
        if len(row) != wanted:
            raise BadData(f"{path}, row {number}: expected {wanted} columns ({_expected(wanted)}), got {len(row)}")
    heads = [h.strip().lower() for h in table[0]] if table else []
    known = {*_PROMPT, *_ANSWER, *_BETTER, *_WORSE}
    return [tuple(row) for row in (table[1:] if heads and set(heads) <= known else table)]


def _expected(wanted: int) -> str:
    return "prompt, answer" if wanted == 2 else "prompt, chosen, rejected"


def _of_object(line: str, wanted: int, where: str) -> tuple[str, ...]:
    try:
        held = json.loads(line)
        found = {str(k).lower(): v for k, v in held.items()}
    except (ValueError, AttributeError):
        raise BadData(f"{where}: expected an object with {_expected(wanted)}, got {line[:40]!r}") from None
    sides = (_PROMPT, _ANSWER) if wanted == 2 else (_PROMPT, _BETTER, _WORSE)
    texts: list[Any] = [next((found[k] for k in names if k in found), None) for names in sides]
    if wanted == 3 and texts[0] is None and all(isinstance(t, str) for t in texts[1:]):
        return shared_prompt(texts[1], texts[2])
    if not all(isinstance(t, str) for t in texts):
        got = ", ".join(map(repr, found)) or "nothing"
        raise BadData(f"{where}: expected texts under {_expected(wanted)}, got {got}: name them so")
    return tuple(texts)


def shared_prompt(better: str, worse: str) -> tuple[str, str, str]:
    """Two dialogues as what both begin with, up to the last turn or word they share, and how each goes on."""
    n = next((i for i, (a, b) in enumerate(zip(better, worse, strict=False)) if a != b), min(len(better), len(worse)))
    turn = better.rfind("Assistant:", 0, n)
    cut = turn + len("Assistant:") if turn >= 0 else better.rfind(" ", 0, n) + 1
    return better[:cut], better[cut:], worse[cut:]


def answer_dataset(
    name: str,
    options: DataOptions,
    parts: tuple[Said, Said, Said],
    card: Card,
    notes: list[str],
) -> Dataset:
    """The data set of prompts with answers to train, validate and test on."""
    if options.context < 2:
        raise BadValue(f"a context needs at least 2 tokens, got {options.context}: raise --data.context")
    train, validation, test = parts
    if options.validation == "test":
        train, validation = Said.of([*train.rows(), *validation.rows()]), test
        notes.append("trains on the validation rows too; the test rows take their place")
    if options.limit is not None:
        train = Said.of(train.rows()[: options.limit])
        notes.append(f"only the first {len(train.prompts):,} training rows are used")
    text = "".join(f"{side}\n" for row in train.rows() for side in row)
    known = learn(options, Texts(text, "", ""), (0,), notes)
    reads = ended(known, known=options.tokenizer not in KINDS)
    size: int = reads.size
    columns = [_encoded(part, reads) for part in (train, validation, test)]
    spec: dict[str, Field] = {}
    for field in (ANSWER, PROMPT, WORSE):
        if field not in columns[0]:
            continue
        longest = max(len(ids) for column in columns for name in _alike(field) for ids in column.get(name, ()))
        length = min(options.context, longest + 1)
        spec[field] = Field(
            "text", (length,), (0, size - 1), size, role="item" if field == ANSWER else "condition", end=reads.end
        )
        over = sum(len(ids) >= length for column in columns for ids in column[field])
        if over:
            what = {ANSWER: "answers", PROMPT: "prompts", WORSE: "worse answers"}[field]
            notes.append(f"{over:,} {what} are cut after {length - 1} tokens; --data.context changes that")
    splits = [
        AnswerSplit(spec, {k: narrow(rows_of(ids, spec[k].shape[0], reads.end), size) for k, ids in column.items()})
        for column in columns
    ]
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=reads,
        card=card,
        digest=digest_of(options, b"answers", (splits[0], splits[1], splits[2]), reads),
        notes=tuple(notes),
    )


def _alike(field: str) -> tuple[str, ...]:
    """Fields that have one length: both answers of a preference."""
    return (PROMPT,) if field == PROMPT else (ANSWER, WORSE)


def _encoded(said: Said, tokenizer: Tokenizer) -> dict[str, list[list[int]]]:
    sides = {ANSWER: said.answers, PROMPT: said.prompts, WORSE: said.worse}
    return {k: [tokenizer.encode(text) for text in texts] for k, texts in sides.items() if texts}
