import json
import os
import random
import subprocess
import sys

import pytest
import torch

from genloom.errors import BadData, BadValue, Damaged, NotFound, Storage
from genloom.modalities.text import (
    BPETokenizer,
    ByteTokenizer,
    CharTokenizer,
    Stops,
    StreamDecoder,
    Tokenizer,
    cut,
    encode_tensor,
    learn_tokenizer,
    save,
    to_texts,
    tokenizer_from_json,
)

TEXT = "def f(x):\n    return x  # naïve, 漢字 and 😀\r\n\n\nThe cat sat on the mat; the cat sat.\n" * 20
STRANGE = ["", "\n", "\n\n", "a", "é漢😀\n", "tab\tnul\0bell\a", "no end of line", "e\u0301 \u200d \ufeff"]


@pytest.fixture(scope="module", params=["char", "byte", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return learn_tokenizer(request.param, TEXT, vocabulary=300)


def test_round_trip(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(TEXT)
    assert tokenizer.decode(ids) == TEXT
    assert min(ids) >= 0
    assert max(ids) < tokenizer.size
    assert isinstance(tokenizer, Tokenizer)


@pytest.mark.parametrize("text", STRANGE)
def test_strange_texts(tokenizer: Tokenizer, text: str) -> None:
    decoded = tokenizer.decode(tokenizer.encode(text))
    if isinstance(tokenizer, CharTokenizer):
        known = set(tokenizer.characters)
        assert decoded == "".join(c if c in known else "\ufffd" for c in text)
    else:
        assert decoded == text


def test_json_round_trip(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_json(json.loads(json.dumps(tokenizer.to_json())))
    assert type(again) is type(tokenizer)
    assert again.size == tokenizer.size
    assert again.encode(TEXT) == tokenizer.encode(TEXT)
    assert again.to_json() == tokenizer.to_json()


@pytest.mark.parametrize("text", [TEXT, "", "\ud800 lone surrogate", "ÿ漢 unseen"])
def test_tensor_equals_list(tokenizer: Tokenizer, text: str) -> None:
    ids = encode_tensor(tokenizer, text)
    assert ids.dtype == torch.int64
    assert ids.tolist() == tokenizer.encode(text)


def test_ids_outside(tokenizer: Tokenizer) -> None:
    for bad in (-1, tokenizer.size):
        with pytest.raises(BadValue, match=f"got {bad}"):
            tokenizer.decode([bad])


def test_unknown_characters() -> None:
    tokenizer = CharTokenizer.learn("banana")
    assert tokenizer.characters == "abn"
    assert tokenizer.encode("nab?") == [2, 0, 1, tokenizer.unknown]
    assert tokenizer.decode([tokenizer.unknown]) == "\ufffd"
    assert tokenizer.size == 4
    assert CharTokenizer.learn("banana", least=2).characters == "an"


def test_bpe_shortens_and_is_the_same_in_every_process() -> None:
    code = (
        "import sys, json; from genloom.modalities.text import BPETokenizer;"
        "print(json.dumps(BPETokenizer.learn(sys.stdin.buffer.read().decode(), 300).to_json(), sort_keys=True))"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=TEXT.encode(),
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in (1, 2)
    ]
    assert runs[0] == runs[1]
    tokenizer = BPETokenizer.learn(TEXT, 300)
    assert json.loads(runs[0]) == tokenizer.to_json()
    assert tokenizer.size == 300
    assert len(tokenizer.encode(TEXT)) < len(TEXT.encode()) / 2


def test_stream_never_breaks_a_character(tokenizer: Tokenizer) -> None:
    text = "naïve 漢字 😀 end"
    if isinstance(tokenizer, CharTokenizer):
        text = "".join(c for c in text if c in tokenizer.characters)
    stream = StreamDecoder(tokenizer)
    pieces = [stream.feed(torch.tensor(i)) for i in tokenizer.encode(text)]
    assert "".join(pieces) == text
    assert stream.finish() == ""
    assert all("\ufffd" not in p for p in pieces)


def test_stream_equals_decode_on_random_bytes() -> None:
    tokenizer = ByteTokenizer()
    ids = torch.randint(256, (2000,), generator=torch.Generator().manual_seed(0)).tolist()
    ids += list("漢".encode()[:2])
    stream = StreamDecoder(tokenizer)
    assert "".join(stream.feed(i) for i in ids) + stream.finish() == tokenizer.decode(ids)


def test_save(tmp_path) -> None:  # type: ignore[no-untyped-def]
    texts = ["one\r\ntwo", "漢字\n", ""]
    lines = save(texts, tmp_path / "new" / "a.jsonl").read_bytes().decode().splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
    plain = save(texts[:1], tmp_path / "a.txt").read_bytes()
    assert plain == b"one\r\ntwo\n"
    assert save(texts, tmp_path / "a.txt").read_text(encoding="utf-8").count("-" * 72) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "new"]
    with pytest.raises(BadValue, match=r"\.txt or \.jsonl"):
        save(texts, tmp_path / "a.docx")
    with pytest.raises(Storage, match="cannot write"):
        save(texts, tmp_path / "a.txt" / "b.txt")


def test_texts_of_a_batch() -> None:
    tokenizer = CharTokenizer("abc")
    assert to_texts(torch.tensor([[0, 1], [2, 3]]), tokenizer) == ["ab", "c\ufffd"]
    assert to_texts(torch.zeros(0, 5, dtype=torch.long), tokenizer) == []


def test_errors() -> None:
    with pytest.raises(BadData, match="empty"):
        learn_tokenizer("char", "")
    with pytest.raises(NotFound, match="char"):
        learn_tokenizer("chars", "a")  # type: ignore[arg-type]
    with pytest.raises(BadValue, match="256"):
        learn_tokenizer("bpe", "abc", vocabulary=10)
    for bad in ({}, {"kind": "char"}, {"kind": "bpe", "bpe": {"model": 3}}, {"kind": "pickle"}):
        with pytest.raises(Damaged):
            tokenizer_from_json(bad)


@pytest.mark.parametrize("stops", [(), ("\n\n",), ("ab", "b\u00e9"), ("aab",), ("\U0001f600!", "x")])
def test_a_stream_ends_before_its_first_stop(stops: tuple[str, ...]) -> None:
    """Whatever the tokens, what is shown is the text before the first stop, and never a broken character or a stop's
    beginning that has to be taken back."""
    rng = random.Random(0)
    tokenizers = [
        ByteTokenizer(),
        CharTokenizer("ab\n\u00e9\U0001f600!x"),
        BPETokenizer.learn("ab\u00e9\U0001f600!\n" * 50, 300),
    ]
    for tokenizer in tokenizers:
        for _ in range(60):
            text = "".join(rng.choice(("a", "b", "\n", "\u00e9", "\U0001f600", "!", "x")) for _ in range(12))
            ids = tokenizer.encode(text)
            decoder, shown = StreamDecoder(tokenizer, stops), ""
            ended, stop = Stops(tokenizer, stops), None
            for i, token in enumerate(ids):
                shown += decoder.feed(token)
                assert text.startswith(shown)
                assert cut(text, stops).startswith(shown)
                if stop is None and ended(ids[: i + 1]):
                    stop = i
            assert shown + decoder.finish() == cut(text, stops)
            assert (stop is not None) == decoder.stopped == (cut(text, stops) != text)
            if stop is not None:  # it is noticed with the very token that completes it
                assert cut(tokenizer.decode(ids[: stop + 1]), stops) == cut(text, stops)
                assert not any(s in tokenizer.decode(ids[:stop]) for s in stops)
