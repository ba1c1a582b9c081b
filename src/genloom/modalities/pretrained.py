"""Tokenizers that come with others' models: a tokenizer.json of the `tokenizers` library, or llama2.c's binary.

Two spellings are known: byte-level (GPT-2, Llama 3), whose tokens are letters that stand for bytes, and SentencePiece's
(Llama 1 and 2), whose tokens are text with U+2581 for a space, and <0x0A> for a byte that is no token by itself. The
latter puts a space before every text it encodes, so `decode(encode(text))` is the text with a space before it.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from genloom.errors import BadData, BadValue, Damaged

SPACE = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_letters() -> dict[str, int]:
    """The byte behind each of the 256 letters in which byte-level BPE spells its tokens: printable Latin-1 bytes stand
    for themselves, the others for the code points from 256 on, in order."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in set(plain)]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


class PretrainedTokenizer:
    """`inner` with the id `end` that ends a text. size: of the model's vocabulary, which may be larger than inner's."""

    def __init__(self, inner: tokenizers.Tokenizer, end: int, size: int, special: Iterable[int] = ()) -> None:
        self.inner, self.end, self._size = inner, end, size
        content = json.loads(inner.to_str())
        self.special = frozenset((*special, *(t["id"] for t in content.get("added_tokens", ()) if t.get("special"))))
        vocabulary = inner.get_vocab(with_added_tokens=True)
        if vocabulary and max(vocabulary.values()) >= size:
            raise Damaged(
                f"the tokenizer has ids up to {max(vocabulary.values())}, the model knows {size}: they differ"
            )
        if not 0 <= end < size:
            raise Damaged(f"the id {end} that ends a text lies outside of the vocabulary of {size}")
        self.bytelevel = "ByteLevel" in json.dumps([content.get("pre_tokenizer"), content.get("decoder")])
        letters = byte_letters()
        self._bytes = [b""] * size
        for token, i in vocabulary.items():
            if i not in self.special and i != end:
                self._bytes[i] = _spelled(token, letters if self.bytelevel else None)

    @property
    def size(self) -> int:
        return self._size

    def encode(self, text: str) -> list[int]:
        """The ids of `text`, without a start or an end."""
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return list(self.inner.encode(clean, add_special_tokens=False).ids)

    def piece(self, token: int) -> bytes:
        if not 0 <= token < self._size:
            raise BadValue(f"expected token ids from 0 to {self._size - 1}, got {token}: made by another tokenizer?")
        return self._bytes[token]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of these ids; the end and other marks are left out."""
        return b"".join(self.piece(int(i)) for i in ids).decode("utf-8", "replace")

    def to_json(self) -> dict[str, Any]:
        return {"kind": "pretrained", "tokenizer": json.loads(self.inner.to_str()), "end": self.end, "size": self._size,
                "special": sorted(self.special)}  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PretrainedTokenizer:
        """What `to_json` wrote."""
        inner = tokenizers.Tokenizer.from_str(json.dumps(data["tokenizer"]))
        return cls(inner, data["end"], data["size"], data["special"])


def _spelled(token: str, letters: Mapping[str, int] | None) -> bytes:
    """The bytes a token stands for."""
    if letters is not None:
        return bytes(letters[c] for c in token) if all(c in letters for c in token) else token.encode()
    if found := _BYTE.fullmatch(token):
        return bytes([int(found[1], 16)])
    return token.replace(SPACE, " ").encode()


def read_llama2c(path: Path, size: int) -> tuple[list[str], list[float]]:
    """Tokens and scores of llama2.c's tokenizer.bin: the longest token's length, then score, length and bytes of each.

    Raises Damaged.
    """
    content = path.read_bytes()
    at, tokens, scores = 4, list[str](), list[float]()
    try:
        for i in range(size):
            score, length = struct.unpack_from("<fi", content, at)
            word = content[at + 8 : at + 8 + length]
            at += 8 + length
            if length < 0 or at > len(content):
                raise struct.error
            name = ("<unk>", "<s>", "</s>")[i] if i < 3 else f"<0x{i - 3:02X}>" if i < 259 else word.decode("utf-8")
            tokens.append(name if i < 259 else name.replace(" ", SPACE))
            scores.append(score)
    except (struct.error, UnicodeDecodeError):
        raise Damaged(f"{path} is no tokenizer of {size:,} tokens in llama2.c's format: fetch it again") from None
    return tokens, scores


def of_pieces(tokens: Sequence[str], scores: Sequence[float], end: int) -> PretrainedTokenizer:
    """SentencePiece's BPE over scored tokens, whose first three are marks and whose next 256 are bytes.

    At each step the neighbours are joined that make the token of the greatest score (llama2.c's `encode`), so a token's
    score is the rank of all joins that make it.
    """
    vocabulary = {token: i for i, token in reversed(list(enumerate(tokens)))}
    if len(vocabulary) != len(tokens):
        raise BadData(f"{len(tokens) - len(vocabulary)} of the tokenizer's tokens occur twice: each must be another")
    merges = []
    for token, i in sorted(vocabulary.items(), key=lambda t: (-scores[t[1]], t[1])):
        if i < 259 or len(token) < 2:
            continue
        merges += [(token[:k], token[k:]) for k in range(1, len(token))
                   if token[:k] in vocabulary and token[k:] in vocabulary]  # fmt: skip
    inner = tokenizers.Tokenizer(
        tokenizers.models.BPE(vocabulary, merges, unk_token=tokens[0], fuse_unk=True, byte_fallback=True)
    )
    inner.normalizer = tokenizers.normalizers.Sequence(
        [tokenizers.normalizers.Prepend(SPACE), tokenizers.normalizers.Replace(" ", SPACE)]
    )
    inner.decoder = tokenizers.decoders.Sequence(
        [tokenizers.decoders.Replace(SPACE, " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse(),
         tokenizers.decoders.Strip(" ", 1, 0)]
    )  # fmt: skip
    inner.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False) for t in tokens[:3]])
    return PretrainedTokenizer(inner, end, len(tokens), (0, 1, 2))
