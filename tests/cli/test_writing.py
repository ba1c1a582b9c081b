"""`genloom sample` of texts: strategies, stops, log-probabilities, drafts, prompts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import genloom
from genloom.cli.main import main

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], at_home: Path) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.mark.parametrize(
    "choice",
    [
        ["--decode", "greedy", "--repetition", "1.3"],
        ["--decode", "beam", "--beams", "3"],
        ["--decode", "diverse-beam", "--beams", "4", "--groups", "2"],
        ["--decode", "contrastive", "--alpha", "0.4", "--top-k", "3"],
        ["--min-p", "0.1", "--typical", "0.9", "--presence", "0.5", "--frequency", "0.5"],
        ["--weights", "int8"],
        ["--draft", "words"],
    ],
    ids=lambda words: words[1] if words[0] != "--draft" else "draft",
)
def test_every_strategy_from_the_terminal(say: Say, choice: list[str]) -> None:
    words = ["sample", "words", "--prompt", "the", "--length", "20", *choice]
    code, streamed, err = say(*words)
    assert (code, err) == (0, "")
    assert streamed.startswith("the")
    code, out, _ = say(*words, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["texts"] == [streamed.removesuffix("\n")]
    assert found["finish"] == ["length"]


def test_a_text_is_the_same_whatever_is_written_beside_it(at_home: Path) -> None:
    one = genloom.sample("words", prompt="the", length=30, seed=3).texts
    three = genloom.sample("words", n=3, prompt="the", length=30, seed=3).texts
    assert one[0] == three[0]
    assert len(set(three)) == 3


def test_texts_end_before_a_stop(say: Say) -> None:
    full = genloom.sample("words", prompt="the", length=60).texts[0].removeprefix("the")
    stop = full[20:22]
    expected = "the" + full[: full.find(stop)]
    assert genloom.sample("words", prompt="the", length=60, stop=[stop, "Z"]).texts[0] == expected
    assert "".join(genloom.stream("words", prompt="the", length=60, stop=stop)) == expected
    code, out, _ = say("sample", "words", "--prompt", "the", "--length", "60", "--stop", stop, "--stop", "Z")
    assert (code, out) == (0, expected + "\n")


def test_logprobs_are_told(say: Say) -> None:
    words = ["sample", "words", "--prompt", "the", "--length", "5", "--decode", "greedy", "--logprobs", "2"]
    code, out, _ = say(*words)
    assert code == 0
    assert "log p" in out
    told = json.loads(say(*words, "--json")[1])
    assert len(told["logprobs"][0]) == 5
    for one in told["logprobs"][0]:
        assert len(one["top"]) == 2
        assert one["top"][0]["logprob"] == pytest.approx(one["logprob"])  # greedy takes the likeliest
        assert bytes(one["bytes"]).decode() == one["token"]
    none = json.loads(say(*words[:-1], "0", "--json")[1])
    assert [one["top"] for one in none["logprobs"][0]] == [[]] * 5


def test_unknown_characters_are_named(say: Say) -> None:
    code, out, err = say("sample", "words", "--prompt", "the éé ☃", "--length", "4")
    assert code == 0
    assert out.startswith("the éé ☃")
    assert "never saw 'é', '☃'" in err
    assert "never saw" in genloom.sample("words", prompt="é", length=2).notes[0]


def test_long_prompts_slide_unless_refused(say: Say) -> None:
    prompt = "the cat sat on the mat and the dog sat"
    assert say("sample", "words", "--prompt", prompt, "--length", "9")[0] == 0
    assert say("sample", "words", "--prompt", "the", "--length", "9", "--overflow", "refuse")[0] == 0
    code, _, err = say("sample", "words", "--prompt", prompt, "--length", "9", "--overflow", "refuse")
    assert code == 2
    assert "38 tokens and 9 new ones exceed the model's context of 16" in err


def test_fields_are_explained(say: Say) -> None:
    code, out, _ = say("sample", "--help")
    assert code == 0
    for name in ("--min_p", "--length_penalty", "--overflow", "--alpha"):
        assert name in out


def test_texts_are_what_they_must_be(say: Say, tmp_path: Path) -> None:
    pattern = ["sample", "words", "--prompt", "the ", "--pattern", "(cat|dog) on [a-o]{3}"]
    code, out, _ = say(*pattern)
    assert code == 0
    assert re.fullmatch("the (cat|dog) on [a-o]{3}\n", out)
    assert json.loads(say(*pattern, "--json")[1])["finish"] == ["grammar"]
    for schema, said in (('{"type": "strin"}', "is none"), ('{"type": "object", "minProperties": 1}', "minProperties")):
        code, out, err = say("sample", "words", "--schema", schema)
        assert (code, out) == (2, "")
        assert said in err
        assert err.count("\n") == 1
    for words in (["--schema", "nowhere.json"], ["--pattern", "("], ["--pattern", "a", "--schema", "{}"]):
        assert say("sample", "words", *words)[0] == 2
