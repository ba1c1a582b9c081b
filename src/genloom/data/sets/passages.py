"""Short passages with questions, some of which they do not answer: made by rule, nothing is downloaded.

A passage says two things each of two people, such as where they live or which animal they have. Everything is drawn for
each passage anew, so what one passage says of Tom tells nothing about the Tom of another: the passage is the only
source. Three of its five questions are answered in it, in its own words. Two are not: one is about something that is
said of the other person alone, one about a person who is not there, or about something that is said of nobody. The
answer to these is `DataOptions.abstain`. A passage is held out with all its questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from genloom.core import derive_seed
from genloom.data.answers import Said, answer_dataset
from genloom.data.dataset import Card, Dataset
from genloom.data.options import DataOptions
from genloom.data.splits import shuffled
from genloom.data.texts import Texts, text_dataset

PASSAGES = 2_000
T = TypeVar("T")
Kind = Literal["said", "other", "stranger", "nowhere"]
NAMES = (
    "Lily", "Tom", "Mia", "Ben", "Sue", "Max", "Anna", "Sam", "Zoe", "Tim", "Lucy", "Jack", "Amy", "Leo", "Ella",
    "Finn", "Rosa", "Hugo", "Nora", "Emil",
)  # fmt: skip


@dataclass(frozen=True)
class _Topic:
    """What may be said of a person: ways to say and to ask it, {who} the person and {what} the answer."""

    says: tuple[str, ...]
    asks: tuple[str, ...]
    answers: tuple[str, ...]


TOPICS = (
    _Topic(
        ("{who} lives in {what}.", "The home of {who} is in {what}."),
        ("Where does {who} live?", "Where is the home of {who}?"),
        ("the old mill", "the red house", "the small town", "the big city", "the woods", "the green hills",
         "the fishing village", "the white tower"),
    ),
    _Topic(
        ("{who} has a {what}.", "A {what} lives with {who}."),
        ("Which animal does {who} have?", "Which animal lives with {who}?"),
        ("grey cat", "brown dog", "white rabbit", "black horse", "small bird", "green frog", "red fish", "yellow duck"),
    ),
    _Topic(
        ("{who} likes {what} best.", "The food that {who} likes best is {what}."),
        ("What does {who} like to eat best?", "Which food does {who} like best?"),
        ("apple cake", "carrot soup", "rice", "bread and honey", "tomato salad", "cheese", "banana ice cream", "nuts"),
    ),
    _Topic(
        ("{who} works as a {what}.", "The work of {who} is that of a {what}."),
        ("What does {who} work as?", "What is the work of {who}?"),
        ("doctor", "baker", "teacher", "farmer", "bus driver", "singer", "cook", "painter"),
    ),
    _Topic(
        ("{who} goes swimming on {what}.", "On {what} {who} goes swimming."),
        ("When does {who} go swimming?", "On which day does {who} go swimming?"),
        ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ),
    _Topic(
        ("{who} is {what} years old.", "The age of {who} is {what} years."),
        ("How old is {who}?", "What is the age of {who}?"),
        ("three", "five", "nine", "twelve", "twenty", "thirty", "forty", "seventy"),
    ),
    _Topic(
        ("{who} found a {what} in the garden.", "In the garden {who} found a {what}."),
        ("What did {who} find in the garden?", "Which thing did {who} find in the garden?"),
        ("gold ring", "key", "blue ball", "wooden box", "letter", "silver spoon", "broken cup", "map"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A question about a passage. kind: "said" where the passage answers it; "other" where it says so of the other
    person alone, "stranger" where the person is not there, "nowhere" where nobody is said to."""

    passage: str
    question: str
    answer: str
    kind: Kind

    @property
    def prompt(self) -> str:
        return f"{self.passage}\n{self.question}"


def _drawn(options: Sequence[T], *seed: object) -> T:
    return options[derive_seed("passages", *seed) % len(options)]


def _mixed(options: Sequence[T], *seed: object) -> list[T]:
    return [options[i] for i in shuffled(len(options), "passages", *seed).tolist()]


def about(number: int, abstain: str) -> list[Asked]:
    """Passage `number` with its five questions, always the same."""
    first, second, stranger = _mixed(NAMES, number, "names")[:3]
    shared, mine, theirs, fourth = _mixed(TOPICS, number, "topics")[:4]
    both = derive_seed("passages", number, "both") % 2  # whether the same topic is told of both people
    told = {(first, shared), (first, mine), (second, shared if both else fourth), (second, theirs)}
    order = _mixed(sorted(told, key=lambda one: (one[0], TOPICS.index(one[1]))), number, "order")
    spare = _mixed([t for t in TOPICS if all(t is not topic for _, topic in told)], number, "spare")[0]
    values: dict[tuple[str, _Topic], str] = {}
    for who, topic in order:  # two people never share an answer
        taken = {v for (_, t), v in values.items() if t is topic}
        free = [v for v in topic.answers if v not in taken]
        values[who, topic] = _drawn(free, number, who, TOPICS.index(topic))
    passage = " ".join(
        _drawn(topic.says, number, who, topic.asks[0]).format(who=who, what=values[who, topic]) for who, topic in order
    )

    def ask(who: str, topic: _Topic, kind: Kind) -> Asked:
        question = _drawn(topic.asks, number, who, topic.says[0]).format(who=who)
        return Asked(passage, question, values.get((who, topic), abstain), kind)

    known = _mixed(order, number, "known")[:3]
    absent = ask(stranger, _drawn(order, number, "stranger")[1], "stranger")
    found = [ask(who, topic, "said") for who, topic in known]
    found.append(ask(second, mine, "other") if derive_seed("passages", number, "side") % 2 else
                 ask(first, theirs, "other"))  # fmt: skip
    found.append(absent if derive_seed("passages", number, "absent") % 2 else ask(first, spare, "nowhere"))
    return _mixed(found, number, "questions")


def questions(abstain: str = DataOptions.abstain) -> dict[str, list[Asked]]:
    """All questions by split: about a tenth of the passages validate, another tenth tests."""
    parts: dict[str, list[Asked]] = {"train": [], "validation": [], "test": []}
    for number in range(PASSAGES):
        made = about(number, abstain)
        tenth = hashlib.sha256(made[0].passage.encode()).digest()[0] % 10
        parts[{0: "validation", 1: "test"}.get(tenth, "train")] += made
    return {part: _mixed(found, part) for part, found in parts.items()}


def load_passages(options: DataOptions, card: Card) -> Dataset:
    """Passages with a question as prompts; as text, each is followed by its answer."""
    made = questions(options.abstain)
    if options.read == "text":
        texts = Texts(*("".join(f"{q.prompt}\n{q.answer}\n\n" for q in part) for part in made.values()))
        return text_dataset("passages", options, texts, card, ["each question is followed by its answer"])
    notes = [
        f"passages are held out with all their questions; two of five ask for what is not said ({options.abstain!r})"
    ]
    train, validation, test = (Said.of([(q.prompt, q.answer) for q in part]) for part in made.values())
    return answer_dataset("passages", options, (train, validation, test), card, notes)
