"""Text: strings <-> token ids, piece by piece where somebody is reading along, and files of them.

Three tokenizers share one protocol: characters, bytes, and byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909, over
bytes as in GPT-2). Each token stands for a sequence of bytes, so that every one of them can be streamed by the same
decoder. They are stored as plain JSON.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import tokenizers
import torch
from torch import Tensor

from genloom.errors import BadData, BadValue, Damaged, Storage, unknown
from genloom.modalities.ended import EndedTokenizer, Ends
from genloom.modalities.pretrained import PretrainedTokenizer, byte_letters
from genloom.modalities.words import WordTokenizer

UNKNOWN = "\ufffd"
SEPARATOR = "\n" + "-" * 72 + "\n"
Kind = Literal["char", "byte", "bpe"]
KINDS = ("char", "byte", "bpe")
"""What can be learnt from a text."""


@runtime_checkable
class Tokenizer(Protocol):
    """size: how many ids there are, 0 to size - 1. `decode(encode(text)) == text`, save for unknown characters."""

    @property
    def size(self) -> int: ...

    def encode(self, text: str) -> list[int]:
        """The token ids of `text`; never fails, whatever the text holds."""

    def piece(self, token: int) -> bytes:
        """The UTF-8 bytes a token stands for, perhaps a part of a character. Raises BadValue for an id outside."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; bytes that form no character become U+FFFD."""

    def to_json(self) -> dict[str, Any]:
        """Everything needed to build it again with `tokenizer_from_json`."""


def _outside(token: int, size: int) -> BadValue:
    return BadValue(f"expected token ids from 0 to {size - 1}, got {token}: were they made by another tokenizer?")


def _decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    return b"".join(tokenizer.piece(int(i)) for i in ids).decode("utf-8", "replace")


class CharTokenizer:
    """One id per character, in code-point order, and a last id for every character not among them.

    The unknown id decodes to U+FFFD, so a text with unseen characters keeps its length.
    """

    def __init__(self, characters: str) -> None:
        self.characters = "".join(sorted(set(characters) - {UNKNOWN}))
        self._id = {c: i for i, c in enumerate(self.characters)}
        self._bytes = [c.encode("utf-8", "replace") for c in self.characters + UNKNOWN]

    @classmethod
    def learn(cls, text: str, least: int = 1) -> CharTokenizer:
        """The characters that `text` holds at least `least` times."""
        return cls("".join(c for c, n in Counter(text).items() if n >= least))

    @property
    def size(self) -> int:
        return len(self.characters) + 1

    @property
    def unknown(self) -> int:
        """The id of every character that was not learnt."""
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        return [self._id.get(c, self.unknown) for c in text]

    def piece(self, token: int) -> bytes:
        if not 0 <= token < self.size:
            raise _outside(token, self.size)
        return self._bytes[token]

    def decode(self, ids: Iterable[int]) -> str:
        return _decode(self, ids)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "char", "characters": self.characters}


class ByteTokenizer:
    """The 256 bytes of UTF-8: no vocabulary to learn, nothing unknown."""

    size = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode("utf-8", "replace"))

    def piece(self, token: int) -> bytes:
        if not 0 <= token < self.size:
            raise _outside(token, self.size)
        return bytes([token])

    def decode(self, ids: Iterable[int]) -> str:
        return _decode(self, ids)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "byte"}


class BPETokenizer:
    """Byte-level byte-pair encoding; every line is encoded by itself, so no token crosses a line's end."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self._inner = inner
        letters = byte_letters()
        by_id = sorted((i, t) for t, i in inner.get_vocab().items())
        if [i for i, _ in by_id] != list(range(len(by_id))):
            raise Damaged("the BPE's ids have gaps: the tokenizer was changed since it was written, learn it again")
        try:
            self._bytes = [bytes(letters[c] for c in t) for _, t in by_id]
        except KeyError as e:
            raise Damaged("the BPE is not byte-level: use one that genloom has learnt") from e

    @classmethod
    def learn(cls, text: str, vocabulary: int = 2048) -> BPETokenizer:
        """At most `vocabulary` tokens (at least 256), the same ones for the same text."""
        if vocabulary < 256:
            raise BadValue(f"a byte-level BPE needs a vocabulary of at least 256, got {vocabulary}: raise it")
        inner = tokenizers.Tokenizer(tokenizers.models.BPE())
        inner.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary, show_progress=False, special_tokens=[], initial_alphabet=sorted(byte_letters())
        )
        inner.train_from_iterator(_lines(text), trainer=trainer)
        return cls(inner)

    @property
    def size(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        # A lone surrogate is no character: it cannot be handed to the library, and is written as "?" like elsewhere.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return [i for e in self._inner.encode_batch_fast(_lines(clean), add_special_tokens=False) for i in e.ids]

    def piece(self, token: int) -> bytes:
        if not 0 <= token < self.size:
            raise _outside(token, self.size)
        return self._bytes[token]

    def decode(self, ids: Iterable[int]) -> str:
        return _decode(self, ids)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "bpe", "bpe": json.loads(self._inner.to_str())}


def _lines(text: str) -> list[str]:
    """The lines with their ends; only line feeds end a line."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def learn_tokenizer(kind: Kind, text: str, vocabulary: int = 2048) -> Tokenizer:
    """The tokenizer `kind` for `text`; `vocabulary` is the number of tokens of a BPE. Raises BadData for no text."""
    if not text:
        raise BadData("expected a text to learn a tokenizer from, got an empty one: give text files with content")
    if kind == "char":
        return CharTokenizer.learn(text)
    if kind == "byte":
        return ByteTokenizer()
    if kind == "bpe":
        return BPETokenizer.learn(text, vocabulary)
    raise unknown("tokenizer", kind, ("char", "byte", "bpe"))


def tokenizer_from_json(data: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that `to_json` wrote. Raises Damaged where it cannot be one."""
    kind = data.get("kind")
    try:
        if kind == "char":
            return CharTokenizer(data["characters"])
        if kind == "byte":
            return ByteTokenizer()
        if kind == "bpe":
            return BPETokenizer(tokenizers.Tokenizer.from_str(json.dumps(data["bpe"])))
        if kind == "word":
            return WordTokenizer(data["words"])
        if kind == "pretrained":
            return PretrainedTokenizer.from_json(data)
        if kind == "ended":
            return EndedTokenizer(tokenizer_from_json(data["inner"]), data["end"])
    except Damaged:
        raise
    except Exception as e:  # the library raises a bare Exception for what it cannot read
        raise Damaged(f"the stored {kind} tokenizer cannot be read ({e}): learn it again") from e
    raise Damaged(f"expected a tokenizer of kind char, byte, bpe or word, got {kind!r}: learn it again")


def encode_tensor(tokenizer: Tokenizer, text: str) -> Tensor:
    """`tokenizer.encode(text)` as int64 (L,), fast enough for whole data sets."""
    if isinstance(tokenizer, ByteTokenizer):
        return torch.from_numpy(np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.int64))
    if isinstance(tokenizer, CharTokenizer):
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.frombuffer(tokenizer.characters.encode("utf-32-le", "surrogatepass"), np.uint32)
        if not len(known):
            return torch.zeros(len(points), dtype=torch.int64)
        at = np.searchsorted(known, points).clip(max=len(known) - 1)
        return torch.from_numpy(np.where(known[at] == points, at, tokenizer.unknown).astype(np.int64))
    return torch.tensor(tokenizer.encode(text), dtype=torch.int64)


class StreamDecoder:
    """Text from one token at a time; a character whose bytes are not all there yet is held back, and so is what may
    become one of `stops`, before the first of which the text ends.

    The strings of all `feed`s and of `finish` together are `cut(tokenizer.decode(ids), stops)`.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer, self._stops = tokenizer, tuple(stops)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False

    def feed(self, token: int | Tensor) -> str:
        """What can be shown now, perhaps nothing."""
        return self._shown(self._decoder.decode(self._tokenizer.piece(int(token))), False)

    def finish(self) -> str:
        """What was held back; U+FFFD if the text broke off inside a character."""
        return self._shown(self._decoder.decode(b"", final=True), True)

    def _shown(self, more: str, final: bool) -> str:
        if self.stopped:
            return ""
        text = self._held + more
        shown = cut(text, self._stops)
        self.stopped = len(shown) < len(text)
        if self.stopped or final:
            self._held = ""
            return shown
        longest = max((n for stop in self._stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0)
        self._held = text[len(text) - longest :]
        return text[: len(text) - longest]


def cut(text: str, stops: Sequence[str]) -> str:
    """`text` before the first of the stops in it."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


class Stops:
    """Whether a text of tokens ends with one of these strings inside its last token, or with the tokenizer's end:
    `Ended` of decoding."""

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._end = tokenizer.end if isinstance(tokenizer, Ends) else -1
        self._tokenizer, self._stops = tokenizer, [stop.encode("utf-8", "replace") for stop in stops]
        self._longest = max(map(len, self._stops), default=0)

    def __call__(self, ids: Sequence[int]) -> bool:
        if ids and ids[-1] == self._end:
            return True
        tail = b""
        for i, token in enumerate(reversed(ids)):  # as many bytes as a stop that reaches into the last token can have
            tail = self._tokenizer.piece(token) + tail
            if i == 0:
                last = len(tail)
            if len(tail) >= self._longest + last:
                break
        return any(stop in tail for stop in self._stops)


def to_texts(ids_BL: Tensor, tokenizer: Tokenizer) -> list[str]:
    """The texts of a batch of token ids (B, L)."""
    return [tokenizer.decode(row) for row in ids_BL.tolist()]


def save(texts: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Writes .jsonl (one {"text": ...} a line) or .txt (texts parted by a ruled line); whole or not at all.

    Raises BadValue for another suffix, Storage where the file cannot be written.
    """
    path = Path(path)
    if path.suffix == ".jsonl":
        content = "".join(json.dumps({"text": t}, ensure_ascii=False) + "\n" for t in texts)
    elif path.suffix == ".txt":
        content = SEPARATOR.join(t if t.endswith("\n") else t + "\n" for t in texts)
    else:
        raise BadValue(f"texts are written to .txt or .jsonl, got {path.name!r}: change the suffix")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8", "replace"))
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes files nobody else may read
        os.replace(temporary, path)
    except OSError as e:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise Storage(f"cannot write {path}: {e.strerror or e}; choose a folder that is writable and has space") from e
    return path
