"""Texts into windows of tokens: the tokenizer is learnt from the training part alone.

Large texts are read piece by piece; their tokens go into a store (`data/store.py`) and are mapped from there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from torch import Tensor

from genloom.core import Field
from genloom.data.cache import cache_dir
from genloom.data.card import CARD, read_card
from genloom.data.corpus import Corpus, Files, Texts, by_position, cut, look
from genloom.data.dataset import Card, Dataset, digest_of, narrow
from genloom.data.listing import Listing
from genloom.data.options import DataOptions
from genloom.data.parts import TextSplit
from genloom.data.splits import Rows, by_content
from genloom.data.splitting import SPLIT, rows_of, split_path
from genloom.data.store import Draft, Source, obtain
from genloom.errors import BadData, BadValue, GenloomError, NotFound, nearest
from genloom.modalities.text import (
    KINDS,
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    encode_tensor,
    tokenizer_from_json,
)
from genloom.runs.files import read_json, write_json

__all__ = ["ENDINGS", "Texts", "by_position", "load_texts", "text_dataset", "text_files"]

ENDINGS = frozenset(
    f".{e}"
    for group in ("txt md rst tex csv json jsonl html xml", "py js ts c h cpp java rs go sh")
    for e in group.split()
)
PARTS = ("train", "validation", "test")
_BY_FILE_FROM = 20  # files from which whole files go to the splits
_STREAM_FROM = 64 << 20  # bytes of files from which texts are not taken into memory
_LEARN_FROM = 32 << 20  # characters of which a BPE is learnt; longer texts are sampled
_CODE_POINTS = 0x110000  # of Unicode
_LINE = 1 << 24  # characters after which a line is cut, for a BPE


@dataclass(frozen=True)
class _Tokens:
    """A corpus as tokens: one row of ids a part; hashes: their sha256 in hex where known."""

    parts: Mapping[str, Tensor]
    tokenizer: Tokenizer
    hashes: Mapping[str, str]


def known_tokenizer(place: str) -> Tokenizer:
    """The tokenizer of the run in the folder `place`. Raises NotFound, with the kinds there are, where there is
    none."""
    file = Path(place).expanduser() / "tokenizer.json"
    if not file.is_file():
        near = nearest(place, KINDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"give {', '.join(KINDS)}, or the folder of a run of texts"
        raise NotFound(f"there is no tokenizer {place!r}: {hint}")
    return tokenizer_from_json(read_json(file))


def learn(options: DataOptions, corpus: Corpus, parts: tuple[int, ...], notes: list[str]) -> Tokenizer:
    """The tokenizer options.tokenizer from these parts; rare characters of long texts become unknown. That of a run is
    taken as it is."""
    if options.tokenizer not in KINDS:
        notes.append(f"the tokenizer is that of {Path(options.tokenizer).name}")
        return known_tokenizer(options.tokenizer)
    length = sum(corpus.lengths[p] for p in parts)
    pieces = (piece for _, piece in corpus.pieces(parts))
    if options.tokenizer == "byte":
        return ByteTokenizer()
    if options.tokenizer == "char":
        least = max(1, length // 1_000_000)
        if least > 1:
            notes.append(f"characters seen fewer than {least} times in {length:,} share the unknown token")
        seen = np.zeros(_CODE_POINTS, np.int64)
        for piece in pieces:
            counts = np.bincount(_points(piece))
            seen[: len(counts)] += counts
        return CharTokenizer("".join(map(chr, np.flatnonzero(seen >= least).tolist())))
    every = -(-length // _LEARN_FROM)
    if every > 1:
        notes.append(f"the BPE is learnt from every {every}th piece of the training text, which is long")
    return _learn_bpe("".join(piece for i, piece in enumerate(pieces) if i % every == 0), options.vocabulary)


def _learn_bpe(text: str, vocabulary: int) -> Tokenizer:
    """From the cache where the same text and vocabulary have been learnt before."""
    digest = hashlib.sha256(f"{vocabulary}/{tokenizers.__version__}/".encode())
    digest.update(text.encode("utf-8", "surrogatepass"))
    path = cache_dir() / "tokenizers" / f"bpe-{digest.hexdigest()[:32]}.json"
    with contextlib.suppress(GenloomError):
        return tokenizer_from_json(read_json(path))
    learnt = BPETokenizer.learn(text, vocabulary)
    with contextlib.suppress(OSError, GenloomError):  # an unwritable cache only costs time
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, learnt.to_json())
    return learnt


def _arranged(options: DataOptions) -> dict[str, tuple[int, ...]]:
    """Which parts of the text become which split."""
    if options.validation == "test":
        return {"train": (0, 1), "validation": (2,), "test": (2,)}
    return {"train": (0,), "validation": (1,), "test": (2,)}


def _tokenise(draft: Draft, options: DataOptions, corpus: Corpus, notes: list[str]) -> _Tokens:
    """Fills the draft's columns "train", "validation" and (where it is another text) "test". The draft is not finished
    yet, so `parts` is empty."""
    arranged = _arranged(options)
    if options.validation == "test":
        notes.append("trains on the validation text too; the test text takes its place")
    tokenizer = learn(options, corpus, arranged["train"], notes)
    columns = {name: (_narrow_type(tokenizer.size), ()) for name in PARTS}
    draft.begin({}, columns, sum(corpus.lengths) // len(PARTS), resume=False)
    home = {part: name for name in reversed(PARTS) for part in arranged[name]}
    hashes = {name: hashlib.sha256() for name in PARTS}

    encode = _encoder(tokenizer)

    def keep(name: str, text: str) -> None:
        ids = encode(text)
        for column in PARTS if options.validation == "test" and name != "train" else (name,):
            if column != "train" or name == "train":
                hashes[column].update(ids.data)
                draft.append(**{column: ids})

    named = ((home[part], piece) for part, piece in corpus.pieces((0, 1, 2)))
    for name, text in _by_line(named) if isinstance(tokenizer, BPETokenizer) else named:
        keep(name, text)
    return _Tokens({}, tokenizer, {name: digest.hexdigest() for name, digest in hashes.items()})


def _encoder(tokenizer: Tokenizer) -> Callable[[str], np.ndarray]:
    """text -> the ids of `encode_tensor` in the smallest type; for characters by a table, which is faster."""
    if not isinstance(tokenizer, CharTokenizer):
        return lambda text: narrow(encode_tensor(tokenizer, text), tokenizer.size).numpy()
    table = np.full(_CODE_POINTS, tokenizer.unknown, _narrow_type(tokenizer.size))
    table[_points(tokenizer.characters)] = np.arange(len(tokenizer.characters))
    return lambda text: table[_points(text)]


def _points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _narrow_type(size: int) -> Any:
    return narrow(torch.empty(0, dtype=torch.int64), size).numpy().dtype


def _by_line(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same text in pieces that end where a line ends: a BPE encodes every line by itself."""
    held, home = "", ""
    for name, piece in named:
        if name != home:
            if held:
                yield home, held
            held, home = "", name
        whole, end, rest = (held + piece).rpartition("\n")
        held = rest
        if end:
            yield home, whole + end
        if len(held) > _LINE:
            yield home, held
            held = ""
    if held:
        yield home, held


def text_dataset(name: str, options: DataOptions, texts: Texts, card: Card, notes: list[str]) -> Dataset:
    """The data set over texts in memory. Raises BadData where the training text is shorter than a context."""
    _check(options)
    if options.read in ("answers", "preferences"):
        raise BadData(f"{name} holds no {options.read}: leave out --data.read, or choose answers or preferences where "
                      "a set has them (multi30k, summaries, chitchat; preferences)")  # fmt: skip
    if not sum(texts.lengths[p] for p in _arranged(options)["train"]):
        raise BadData(f"{name} holds no text: give files with content")
    draft = Draft(Source("tokens", Path(), ""), None)
    tokens = _tokenise(draft, options, texts, notes)
    found = {part: torch.from_numpy(column) for part, column in draft.finish({}).columns.items()}
    return _dataset(name, options, replace(tokens, parts=found), card, notes)


def _check(options: DataOptions) -> None:
    if options.context < 2:
        raise BadValue(f"a context needs at least 2 tokens, got {options.context}: raise --data.context")


def _dataset(name: str, options: DataOptions, tokens: _Tokens, card: Card, notes: list[str]) -> Dataset:
    length, tokenizer = options.context, tokens.tokenizer
    train, *others = (tokens.parts[part] for part in PARTS)
    known: list[str | None] = [tokens.hashes.get(part) for part in PARTS]
    if len(train) < length:
        raise BadData(
            f"{name} holds {len(train)} training tokens, fewer than a context of {length}: "
            f"give more text or lower --data.context"
        )
    if options.limit is not None:
        train, known[0] = train[: options.limit * length], None
        notes.append(f"only the first {len(train):,} training tokens are used")
    for i, part in enumerate(others):
        if len(part) < length:
            others[i], known[1 + i] = train[-max(length, len(train) // 10) :], None
            notes.append(f"too short for its own {PARTS[1 + i]} text: reuses the end of the training text")
    spec = {"text": Field("text", (length,), range=(0, tokenizer.size - 1), vocabulary=tokenizer.size)}
    splits = tuple(
        TextSplit(spec, part, bytes.fromhex(has) if has else None)
        for part, has in zip((train, *others), known, strict=True)
    )
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


def text_files(listing: Listing) -> Listing:
    """The text files of a folder, without the card and the split file that lie beside them."""
    found = listing.only(ENDINGS)
    keep = [i for i, name in enumerate(found.names) if name not in (CARD, SPLIT)]
    return found.take(keep)


def load_texts(path: Path, listing: Listing, options: DataOptions) -> Dataset:
    """The data set of a text file, or of the text files in the folder `path`.

    A recorded rule sends files to splits; without one, from 20 files on, the hash of their content does, so copies stay
    together; otherwise the text is cut: the first 80 % train, then 10 % validate, the last 10 % test. Raises BadData
    where nothing is text or all is too short.
    """
    _check(options)
    if not path.is_dir() and (options.split is not None or options.fold is not None):
        raise BadValue(f"{path} is one text, which --data.split cannot part: give a folder of text files")
    notes: list[str] = []
    source = Source("tokens", path, listing.fingerprint, _shaping(path, options))

    def make(draft: Draft) -> Mapping[str, Any]:
        said: list[str] = []
        corpus, about = _corpus(path, listing, options, said)
        tokens = _tokenise(draft, options, corpus, said)
        return about | {"notes": said, "tokenizer": tokens.tokenizer.to_json(), "hashes": dict(tokens.hashes)}

    if int(listing.sizes.sum()) >= _STREAM_FROM:
        store = obtain(source, make, notes)
    else:
        draft = Draft(source, None)
        store = draft.finish(make(draft))
    about = store.about
    notes += about["notes"]
    if about["bad"] and options.strict:  # the store may have been made without --strict
        said = _unreadable(about["bad"], about["unreadable"], len(listing))
        raise BadData(f"{path}: {said}; give text files in UTF-8")
    parts = {part: torch.from_numpy(column) for part, column in store.columns.items()}
    tokens = _Tokens(parts, tokenizer_from_json(about["tokenizer"]), about["hashes"])
    items = f"{about['characters']:,} characters in {about['files']} files"
    card = read_card(path) or Card(path.name, str(path), "the owner's", "", items, "text")
    return _dataset(path.stem, options, tokens, replace(card, items=card.items or items, modality="text"), notes)


def _digest(tokenizer: Tokenizer) -> str:
    return hashlib.sha256(json.dumps(tokenizer.to_json(), sort_keys=True).encode()).hexdigest()


def _shaping(path: Path, options: DataOptions) -> dict[str, Any]:
    rule = split_path(path) if options.split is None else Path(options.split).expanduser()
    return {
        "tokenizer": options.tokenizer if options.tokenizer in KINDS else _digest(known_tokenizer(options.tokenizer)),
        "vocabulary": options.vocabulary if options.tokenizer == "bpe" else 0,
        "validation": options.validation,
        "rule": hashlib.sha256(rule.read_bytes()).hexdigest() if path.is_dir() and rule.is_file() else "",
        "fold": options.fold,
    }


def _corpus(path: Path, listing: Listing, options: DataOptions, notes: list[str]) -> tuple[Corpus, dict[str, Any]]:
    """The texts of the files in their three parts, on disk still, and what is to be remembered of them."""
    looked = [look(listing.folder / name) for name in listing.names]
    bad = [Path(name).name for name, file in zip(listing.names, looked, strict=True) if file is None]
    at = [i for i, file in enumerate(looked) if file is not None and file.length]
    files = [file for file in looked if file is not None and file.length]
    if bad:
        said = _unreadable(bad, len(bad), len(listing))
        if options.strict or len(bad) == len(listing):
            raise BadData(f"{path}: {said}; give text files in UTF-8")
        notes.append(f"{said}; skipped")
    if not files:
        raise BadData(f"{path} holds no text: give files with content")
    rows: Rows | None = None
    if path.is_dir():
        rule = None if options.split is None else Path(options.split).expanduser()
        rows = rows_of(path, [listing.names[i] for i in at], rule, options.fold, notes)
    if rows is None and len(files) >= _BY_FILE_FROM:
        rows = by_content([f.key for f in files], np.zeros(len(files), np.int64), notes)
    corpus: Corpus
    if rows is not None:
        first, second, third = (tuple(files[i] for i in sorted(r.tolist())) for r in rows)
        corpus = Files((first, second, third))
        notes.append(f"{len(files)} files, split by file")
    else:
        corpus = cut(files, 0.8, 0.1)
        notes.append("the first 80 % train, the next 10 % validate, the last 10 % test")
    characters = sum(f.length for f in files)
    if not sum(corpus.lengths[p] for p in _arranged(options)["train"]):
        raise BadData(f"{path} holds no text: give files with content")
    return corpus, {"bad": bad[:5], "unreadable": len(bad), "characters": characters, "files": len(files)}


def _unreadable(names: list[str], bad: int, total: int) -> str:
    return f"{bad} of {total} files are no text: {', '.join(names[:5])}"
