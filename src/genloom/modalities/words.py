"""Words of captions <-> ids: lower-case words, and marks by themselves; what was not learnt is <unk>.

The first id pads: a caption is a row of ids with padding behind, and a row of padding alone is the empty caption.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from genloom.errors import BadValue

PAD, UNK, COMMA = 0, 1, 2
MARKS = ("<pad>", "<unk>", ",")
_WORD = re.compile(r"\w+(?:[-'\u2019]\w+)*|[^\w\s]")


def split_words(text: str) -> list[str]:
    """The words and marks of `text`, lower-case: "A dog's medium-sized nose!" -> a, dog's, medium-sized, nose, !"""
    return _WORD.findall(text.lower())


class WordTokenizer:
    """One id a word. words: those that are known, most frequent first; padding, <unk> and the comma come before."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(w for w in words if w not in MARKS)
        self._id = {word: i for i, word in enumerate((MARKS[COMMA], *self.words), COMMA)}

    @classmethod
    def learn(cls, texts: Iterable[str], least: int = 1) -> WordTokenizer:
        """The words that occur at least `least` times; of equally frequent ones the alphabet decides the order."""
        counts = Counter(word for text in texts for word in split_words(text))
        return cls([word for word, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])) if n >= least])

    @property
    def size(self) -> int:
        return len(MARKS) + len(self.words)

    def encode(self, text: str) -> list[int]:
        return [self._id.get(word, UNK) for word in split_words(text)]

    def unknown(self, text: str) -> list[str]:
        """The words of `text` (not its marks) that were not learnt, each once."""
        missing = (w for w in split_words(text) if w not in self._id and w[0].isalnum())
        return list(dict.fromkeys(missing))

    def row(self, text: str, length: int) -> Tensor:
        """The ids of `text`, cut or padded to `length`, int64 (length,)."""
        ids = self.encode(text)[:length]
        return torch.tensor(ids + [PAD] * (length - len(ids)), dtype=torch.int64)

    def piece(self, token: int) -> bytes:
        if not 0 <= token < self.size:
            raise BadValue(f"expected word ids from 0 to {self.size - 1}, got {token}: were they made by another set?")
        return b"" if token == PAD else (*MARKS, *self.words)[token].encode()

    def decode(self, ids: Iterable[int]) -> str:
        """Words with single spaces between them, marks without a space before; padding is left out."""
        text = " ".join(self.piece(int(i)).decode() for i in ids if int(i) != PAD)
        return re.sub(r" (?=[,.:;!?])", "", text)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "word", "words": list(self.words)}
