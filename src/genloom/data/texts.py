"""Texts into windows of tokens: the tokenizer is learnt from the training part alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genloom.core import Field
from genloom.data.dataset import Card, Dataset, TextSplit, digest_of, narrow
from genloom.data.options import DataOptions
from genloom.data.splits import by_content
from genloom.errors import BadData, BadValue
from genloom.modalities.text import CharTokenizer, Tokenizer, encode_tensor, learn_tokenizer


@dataclass(frozen=True)
class Texts:
    """The three parts of a text, before they are tokens."""

    train: str
    validation: str
    test: str


def learn(options: DataOptions, text: str, notes: list[str]) -> Tokenizer:
    """The tokenizer options.tokenizer from a training text; rare characters of long texts become unknown."""
    if options.tokenizer == "char":
        least = max(1, len(text) // 1_000_000)
        if least > 1:
            notes.append(f"characters seen fewer than {least} times in {len(text):,} share the unknown token")
        return CharTokenizer.learn(text, least)
    return learn_tokenizer(options.tokenizer, text, options.vocabulary)


def text_dataset(name: str, options: DataOptions, texts: Texts, card: Card, notes: list[str]) -> Dataset:
    """The data set over these texts. Raises BadData where the training text is shorter than a context."""
    length = options.context
    if length < 2:
        raise BadValue(f"a context needs at least 2 tokens, got {length}: raise --data.context")
    parts = (texts.train, texts.validation, texts.test)
    if options.validation == "test":
        parts = (texts.train + texts.validation, texts.test, texts.test)
        notes.append("trains on the validation text too; the test text takes its place")
    if not parts[0]:
        raise BadData(f"{name} holds no text: give files with content")
    tokenizer = learn(options, parts[0], notes)
    train, *others = (narrow(encode_tensor(tokenizer, part), tokenizer.size) for part in parts)
    if len(train) < length:
        raise BadData(
            f"{name} holds {len(train)} training tokens, fewer than a context of {length}: "
            f"give more text or lower --data.context"
        )
    if options.limit is not None:
        train = train[: options.limit * length]
        notes.append(f"only the first {len(train):,} training tokens are used")
    for i, part in enumerate(others):
        if len(part) < length:
            others[i] = train[-max(length, len(train) // 10) :]
            notes.append(f"too short for its own {('validation', 'test')[i]} text: reuses the end of the training text")
    spec = {"text": Field("text", (length,), range=(0, tokenizer.size - 1), vocabulary=tokenizer.size)}
    splits = tuple(TextSplit(spec, part) for part in (train, *others))
    return Dataset(
        name=name,
        options=options,
        spec=spec,
        train=splits[0],
        validation=splits[1],
        test=splits[2],
        tokenizer=tokenizer,
        card=card,
        digest=digest_of(options, b"text", splits, tokenizer),
        notes=tuple(notes),
    )


def by_position(text: str, train: float, validation: float) -> Texts:
    """One text cut in three: its first `train` share, then `validation`, then the rest."""
    first, second = int(len(text) * train), int(len(text) * (train + validation))
    return Texts(text[:first], text[first:second], text[second:])


ENDINGS = frozenset(
    f".{e}"
    for group in ("txt md rst tex csv json jsonl html xml", "py js ts c h cpp java rs go sh")
    for e in group.split()
)
_BY_FILE_FROM = 20  # files from which whole files go to the splits


def _read(path: Path) -> str | None:
    """A file's text (UTF-8, with or without a mark; otherwise Latin-1), or None where it is no text."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if b"\0" in content[:65536]:
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n")


def load_texts(path: Path, paths: list[Path], options: DataOptions) -> Dataset:
    """The data set of a text file, or of the text files `paths` of the folder `path`.

    From 20 files on, files go to a split by the hash of their content, so copies stay together; otherwise the text is
    cut: the first 80 % train, then 10 % validate, the last 10 % test. Raises BadData where nothing is text or all is
    too short.
    """
    notes: list[str] = []
    read = [(p, _read(p)) for p in paths]
    bad = [p for p, text in read if text is None]
    texts = [text for _, text in read if text]
    if bad:
        said = f"{len(bad)} of {len(paths)} files are no text: {', '.join(p.name for p in bad[:5])}"
        if options.strict or len(bad) == len(paths):
            raise BadData(f"{path}: {said}; give text files in UTF-8")
        notes.append(f"{said}; skipped")
    if not texts:
        raise BadData(f"{path} holds no text: give files with content")
    if len(texts) >= _BY_FILE_FROM:
        keys = [hashlib.blake2b(t.encode("utf-8", "replace"), digest_size=12).digest() for t in texts]
        rows = by_content(keys, np.zeros(len(texts), np.int64), notes)
        train, validation, test = ("\n".join(texts[i] for i in sorted(r.tolist())) for r in rows)
        parts = Texts(train, validation, test)
        notes.append(f"{len(texts)} files, split by file")
    else:
        parts = by_position("\n".join(texts), 0.8, 0.1)
        notes.append("the first 80 % train, the next 10 % validate, the last 10 % test")
    count = sum(map(len, texts))
    card = Card(path.name, str(path), "the owner's", "", f"{count:,} characters in {len(texts)} files", "text")
    return text_dataset(path.stem, options, parts, card, notes)
