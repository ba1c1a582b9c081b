"""Whatever a model says, what is written matches; what cannot be met is said in one line."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch

from genloom.core import Decoding, Field, Sampling
from genloom.errors import BadValue
from genloom.modalities.grammar import Automaton, of_pattern, of_schema
from genloom.modalities.text import BPETokenizer, ByteTokenizer, CharTokenizer, Tokenizer
from genloom.models.autoregressive.gpt import GPT, GPTConfig
from genloom.samplers import decoding

LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789 \n{}[]":,.-_é😀'
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"enum": ["a", "b", 3]}, "maxItems": 3},
        "more": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/pair"}]},
    },
    "required": ["name", "age", "more"],
    "$defs": {"pair": {"type": "object", "properties": {"x": {"const": "é"}}, "required": ["x"]}},
}


@pytest.fixture(scope="module", params=["char", "byte", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    text = (LETTERS + '"name": "age": null true ') * 40
    made: dict[str, Tokenizer] = {
        "char": CharTokenizer(LETTERS),
        "byte": ByteTokenizer(),
        "bpe": BPETokenizer.learn(text, 300),
    }
    return made[request.param]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_model(tokenizer: Tokenizer) -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(width=16, depth=1, heads=2, values=0, pairs=0)
    model = GPT(config, {"text": Field("text", (32,), vocabulary=tokenizer.size)}).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(1)))
    return model


def written(tokenizer: Tokenizer, grammar: Automaton, length: int, **choices: Any) -> list[str]:
    """Texts of a model that has learnt nothing, by three strategies."""
    model = random_model(tokenizer)
    start = [torch.zeros(0, dtype=torch.int64)]
    drawn = Sampling(length=length, **choices)
    texts = decoding.texts(model, start * 12, drawn, generator(), grammar=grammar)
    texts += decoding.texts(model, start, Sampling(length=length, temperature=0), generator(), grammar=grammar)
    beam = Sampling(length=length, decoding=Decoding(strategy="beam", beams=3))
    texts += decoding.texts(model, start, beam, generator(), grammar=grammar)
    assert all(len(t.ids) <= length for t in texts)
    return [tokenizer.decode(t.ids) for t in texts]


@pytest.mark.parametrize("pattern", ["[a-z]+ [0-9]{2,4}", "(ab|cd)*é😀?x", r"\{(a|bc){3}\}", "yes|no|maybe", "[^a]{5}"])
def test_texts_match_the_pattern(tokenizer: Tokenizer, pattern: str) -> None:
    grammar = of_pattern(pattern, tokenizer)
    least = len(grammar.shortest())
    for length in (least, least + 1, 40):  # however little room there is
        for text in written(tokenizer, grammar, length):
            assert re.fullmatch(pattern, text), text
            assert "\ufffd" not in text
    if least > 1:
        with pytest.raises(BadValue, match="allow more with --length"):
            written(tokenizer, grammar, least - 1)


def test_texts_meet_the_schema(tokenizer: Tokenizer) -> None:
    from jsonschema import Draft202012Validator

    grammar = of_schema(PERSON, tokenizer)
    texts = written(tokenizer, grammar, 120, temperature=1.5)
    for text in texts:
        Draft202012Validator(PERSON).validate(json.loads(text))
    assert len(set(texts)) > 3


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "is none"),
        ({"enum": []}, "cannot be met"),
        ({"type": "integer", "minimum": 3}, "'minimum'"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "'allOf'"),
        ({"type": "object", "properties": {"a": {"type": "array", "items": {"not": {}}}}}, "'not'"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "above maxLength"),
        ({"type": "array", "minItems": 3, "maxItems": 1, "items": {"type": "null"}}, "above maxItems"),
        ({"type": "object", "required": ["x"], "properties": {}}, "requires 'x'"),
        ({"enum": [1, 2], "type": "string"}, "enum and type"),
        ({"$ref": "#"}, "cannot be met"),
        (False, "allows nothing"),
        ({"const": "漢字"}, "cannot spell"),
    ],
    ids=str,
)
def test_schemas_that_cannot_be_met(schema: Any, said: str) -> None:
    with pytest.raises(BadValue, match=said) as caught:
        of_schema(schema, CharTokenizer(LETTERS))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["(", "a{3,1}", "(?=x)y", r"\bfoo", "漢", "[z-a]"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(BadValue) as caught:
        of_pattern(pattern, CharTokenizer(LETTERS))
    assert "\n" not in str(caught.value)
