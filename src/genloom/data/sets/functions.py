"""Small Python functions, each asked for in a sentence and checked by examples: made by rule, nothing is downloaded.

A task is a combination: of which numbers are taken, what is done to each and what is made of all; or of two things done
to a string. Every combination is said in several ways. A combination is held out as a whole, so that a model is asked
for what it never saw, put together from parts it knows.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from genloom.data.dataset import Card, Dataset
from genloom.data.options import DataOptions
from genloom.data.splits import shuffled
from genloom.data.texts import Texts, text_dataset

NUMBERS: tuple[tuple[int, ...], ...] = ((), (7,), (1, 2, 3, 4, 5, 6), (-3, 8, 0, 12, -6, 9), (10, 10, -1, 4, 15, 3, 18))
STRINGS = ("", "a", "Hello world", "  Some Text, twice ", "abcABC123")


@dataclass(frozen=True)
class Task:
    """A function that is asked for. prompt: its head and docstring; body: one right answer; examples: arguments and
    what comes out; kind: the combination."""

    prompt: str
    body: str
    examples: tuple[tuple[Any, Any], ...]
    kind: str

    @property
    def text(self) -> str:
        """The whole function, as a model learns it."""
        return f"{self.prompt}{self.body}\n\n\n"

    @property
    def tests(self) -> str:
        """Python that fails where the function does not do what its examples say."""
        return "".join(f"assert f({given!r}) == {wanted!r}\n" for given, wanted in self.examples)


@dataclass(frozen=True)
class _Part:
    """How a part of a task is said and written, and what it does."""

    said: str
    code: str
    act: Callable[[Any], Any]


def _divides(k: int, x: int) -> bool:
    return x % k == 0


def _takes() -> list[_Part]:
    """Which numbers are taken: said after "numbers in xs", written after "if"."""
    parts = [
        _Part("even", "x % 2 == 0", lambda x: x % 2 == 0),
        _Part("odd", "x % 2 == 1", lambda x: x % 2 == 1),
        _Part("positive", "x > 0", lambda x: x > 0),
        _Part("negative", "x < 0", lambda x: x < 0),
    ]
    parts += [_Part(f"above {k}", f"x > {k}", partial(operator.lt, k)) for k in range(2, 10)]
    parts += [_Part(f"below {k}", f"x < {k}", partial(operator.gt, k)) for k in range(2, 10)]
    parts += [_Part(f"divisible by {k}", f"x % {k} == 0", partial(_divides, k)) for k in range(3, 10)]
    return parts


def _makes() -> list[_Part]:
    """What is done to each number."""
    parts = [
        _Part("", "x", lambda x: x),
        _Part("squared", "x * x", lambda x: x * x),
        _Part("negated", "-x", lambda x: -x),
    ]
    parts += [_Part(f"plus {k}", f"x + {k}", partial(operator.add, k)) for k in range(1, 10)]
    parts += [_Part(f"minus {k}", f"x - {k}", partial(operator.add, -k)) for k in range(1, 10)]
    parts += [_Part(f"times {k}", f"x * {k}", partial(operator.mul, k)) for k in range(2, 10)]
    return parts


REDUCES = (
    _Part("sum", "sum({})", sum),
    _Part("largest", "max(({}), default=0)", lambda xs: max(xs, default=0)),
    _Part("smallest", "min(({}), default=0)", lambda xs: min(xs, default=0)),
    _Part("list", "[{}]", list),
    _Part("number of different values", "len(set({}))", lambda xs: len(set(xs))),
)
STRING_STEPS = (
    _Part("reversed", "{}[::-1]", lambda s: s[::-1]),
    _Part("in upper case", "{}.upper()", str.upper),
    _Part("in lower case", "{}.lower()", str.lower),
    _Part("without spaces", '{}.replace(" ", "")', lambda s: s.replace(" ", "")),
    _Part("stripped", "{}.strip()", str.strip),
    _Part("with its cases swapped", "{}.swapcase()", str.swapcase),
    *(_Part(f"cut to {k} characters", f"{{}}[:{k}]", operator.itemgetter(slice(k))) for k in range(2, 8)),
    *(
        _Part(f"without its first {k} characters", f"{{}}[{k}:]", operator.itemgetter(slice(k, None)))
        for k in range(2, 8)
    ),
    *(_Part(f"repeated {k} times", f"({{}} * {k})", partial(operator.mul, k)) for k in range(2, 6)),
)
WAYS = ("Return", "Give back", "Compute")


def _of_numbers() -> Iterator[Task]:
    for take in _takes():
        for make in _makes():
            for reduce in REDUCES:
                each = f", each {make.said}" if make.said else ""
                what = f"the {reduce.said} of the numbers in xs that are {take.said}{each}"
                body = f"    return {reduce.code.format(f'{make.code} for x in xs if {take.code}')}"
                examples = tuple((list(xs), reduce.act([make.act(x) for x in xs if take.act(x)])) for xs in NUMBERS)
                for way in WAYS:
                    yield Task(f'def f(xs):\n    """{way} {what}."""\n', body, examples, what)


def _of_strings() -> Iterator[Task]:
    for first in STRING_STEPS:
        for second in STRING_STEPS:
            what = f"s {first.said}, then {second.said}"
            body = f"    return {second.code.format(first.code.format('s'))}"
            examples = tuple((s, second.act(first.act(s))) for s in STRINGS)
            for way in WAYS:
                yield Task(f'def f(s):\n    """{way} {what}."""\n', body, examples, what)


def tasks() -> dict[str, list[Task]]:
    """All tasks by split, always the same: a tenth of the combinations validate, another tenth tests."""
    parts: dict[str, list[Task]] = {"train": [], "validation": [], "test": []}
    for task in (*_of_numbers(), *_of_strings()):
        tenth = hashlib.sha256(task.kind.encode()).digest()[0] % 10
        parts[{0: "validation", 1: "test"}.get(tenth, "train")].append(task)
    return {
        name: [found[i] for i in shuffled(len(found), f"python-functions {name}").tolist()]
        for name, found in parts.items()
    }


def load_functions(options: DataOptions, card: Card) -> Dataset:
    """The functions as one text a split."""
    made = tasks()
    texts = Texts(*("".join(task.text for task in made[part]) for part in ("train", "validation", "test")))
    kinds = {part: len({task.kind for task in found}) for part, found in made.items()}
    notes = [f"{kinds['train']} combinations train, {kinds['validation']} and {kinds['test']} are held out as a whole"]
    return text_dataset("python-functions", options, texts, card, notes)
