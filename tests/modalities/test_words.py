"""Words of captions: what is one, what is unknown, padding, and the way through JSON."""

from __future__ import annotations

import pytest
import torch

from genloom.errors import BadValue
from genloom.modalities.text import tokenizer_from_json
from genloom.modalities.words import COMMA, PAD, UNK, WordTokenizer, split_words


def test_words_are_lower_case_and_marks_stand_alone() -> None:
    assert split_words("A dog's medium-sized NOSE: red!") == ["a", "dog's", "medium-sized", "nose", ":", "red", "!"]


def test_ids_go_there_and_back() -> None:
    words = WordTokenizer.learn(["red heart, love", "red circle"])
    assert words.words[0] == "red"  # the most frequent
    ids = words.encode("Red heart, blue")
    assert ids[2] == COMMA
    assert ids[3] == UNK
    assert words.decode([*ids, PAD, PAD]) == "red heart, <unk>"
    assert words.unknown("blue red blue, ?") == ["blue"]
    again = tokenizer_from_json(words.to_json())
    assert again.encode("love circle") == words.encode("love circle")
    assert again.size == words.size == 3 + 4


def test_rows_are_cut_and_padded() -> None:
    words = WordTokenizer(["a", "b", "c"])
    assert words.row("a b c", 2).tolist() == [3, 4]
    assert words.row("c", 3).tolist() == [5, PAD, PAD]
    assert words.row("", 2).dtype == torch.int64
    with pytest.raises(BadValue, match="from 0 to 5"):
        words.piece(6)
