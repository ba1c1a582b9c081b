"""Whether an answer says only what its source says: the share of its words, and of its runs of words, that stand there.

It compares words, not meanings: a paraphrase counts as unsaid, and a sentence turned round by "not" as said. So a low
share asks for a look, and a high one proves nothing. Words of one or two letters and very common ones are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.likelihood import mean_interval

_COMMON = """and are but can did does for from had has have her him his how into its may not now off one our out she
that the their them then there they this too was were what when where which who why will with you your"""
COMMON = frozenset(re.findall(r"\w+", _COMMON))
CITATION = (
    "@inproceedings{maynez2020faithfulness, title={On Faithfulness and Factuality in Abstractive Summarization}, "
    "author={Maynez, Joshua and Narayan, Shashi and Bohnet, Bernd and McDonald, Ryan}, booktitle={ACL}, year={2020}}"
)


@dataclass(frozen=True)
class Grounded:
    """share: of an answer's content words that stand in the source; runs: of its pairs of neighbouring words of any
    kind; unsaid: the content words that do not, each once, in the answer's order."""

    share: float
    runs: float
    unsaid: tuple[str, ...]


def words(text: str) -> list[str]:
    """Words in lower case, numbers among them, without what English joins to them: 's, n't, 're and the like."""
    found = re.findall(r"\w+(?:['\u2019.,]\w+)*", text.lower())
    return [re.sub(r"(?<=\w)(?:n['\u2019]t|['\u2019](?:s|m|d|re|ve|ll))$", "", word) for word in found]


def content(text: str) -> list[str]:
    """The words that carry what is said: numbers, and words of three letters or more that are not too common."""
    return [w for w in words(text) if w not in COMMON and (len(w) > 2 or w[0].isdigit())]


def grounded(answer: str, source: str) -> Grounded:
    """How much of `answer` stands in `source`. An answer without content words is wholly grounded: it says nothing."""
    own, known = content(answer), set(words(source))
    there, every = words(source), words(answer)
    pairs = set(pairwise(there))
    mine = list(pairwise(every))
    unsaid = tuple(dict.fromkeys(w for w in own if w not in known))
    share = sum(w in known for w in own) / len(own) if own else 1.0
    return Grounded(share, sum(p in pairs for p in mine) / len(mine) if mine else 1.0, unsaid)


def grounding(answers: Sequence[str], sources: Sequence[str], references: Sequence[str] = ()) -> Result:
    """The mean share of content words that stand in each answer's source. references: people's answers, whose own
    share is the floor: what is no fault. Raises BadValue."""
    if not answers or len(answers) != len(sources):
        raise BadValue(f"expected a source for each answer, got {len(answers)} answers and {len(sources)} sources")
    found = [grounded(a, s) for a, s in zip(answers, sources, strict=True)]
    mean, interval = mean_interval(torch.tensor([g.share for g in found], dtype=torch.float64))
    interval = interval and (max(0.0, interval[0]), min(1.0, interval[1]))
    protocol: dict[str, object] = {
        "compares": "words, not meanings",
        "interval": "mean +- 1.96 standard errors over answers",
        "pairs_of_words": round(sum(g.runs for g in found) / len(found), 4),
        "answers_with_unsaid_words": sum(bool(g.unsaid) for g in found),
    }
    if references:
        own = [grounded(r, s).share for r, s in zip(references, sources, strict=True)]
        protocol["floor"] = round(sum(own) / len(own), 4)
    return Result("grounding", "grounding (words said in the prompt)", mean, interval, len(found), protocol, CITATION,
                  "higher")  # fmt: skip


def flagged(answers: Sequence[str], sources: Sequence[str], most: int = 10) -> list[str]:
    """Lines about the answers that say most beyond their sources, and in which words; none where none does. The same
    answer is shown once."""
    found = sorted((g.share, i, g.unsaid) for i, g in enumerate(map(grounded, answers, sources)) if g.unsaid)
    once: dict[str, tuple[int, tuple[str, ...]]] = {}
    for _, i, unsaid in found:
        once.setdefault(answers[i], (i, unsaid))
    return [
        f"answer {i + 1} says what its source does not, {', '.join(unsaid[:8])}{' ...' if unsaid[8:] else ''}: "
        f"{' '.join(text.split())[:120]!r}"
        for text, (i, unsaid) in list(once.items())[:most]
    ]
