"""Short answers to questions: exact match and F1 (Rajpurkar et al. 2016), and abstention, both of its sides.

A question whose reference is the abstention has no answer in its text. An answer abstains if it is the abstention, or
empty. A model that always abstains has full recall of it, so beside abstention stands what answering is worth: how many
of the answers that it gives are right, and how many of the questions that have one it answers at all.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.paired import wilson
from genloom.metrics.rouge import resampled
from genloom.metrics.translation import FEWEST, RESAMPLES

CITATION = (
    "@inproceedings{rajpurkar2018know, title={Know What You Don't Know: Unanswerable Questions for {SQuAD}}, "
    "author={Rajpurkar, Pranav and Jia, Robin and Liang, Percy}, booktitle={ACL}, year={2018}}"
)
SHORT = 3
"""The most words that half of the references have where answers are compared as wholes."""
_MARKS = str.maketrans("", "", string.punctuation)


def plain(text: str) -> str:
    """Lower case, without punctuation, articles and double spaces: what counts as the same answer."""
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_MARKS)).split())


def abstains(answer: str, abstain: str) -> bool:
    """Whether an answer says that there is none, or nothing."""
    return plain(answer) in ("", plain(abstain))


def f1(answer: str, reference: str) -> float:
    """The harmonic mean of the shares of words, each counted as often as it stands there, that the two have in common.
    """  # fmt: skip
    mine, theirs = plain(answer).split(), plain(reference).split()
    common = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * common / (len(mine) + len(theirs)) if common else float(mine == theirs)


def are_short(references: Sequence[str], abstain: str) -> bool:
    """Whether answers are to be compared as wholes: most are a few words, abstentions left out."""
    counts = [len(plain(r).split()) for r in references if not abstains(r, abstain)]
    return not counts or median(counts) <= SHORT


def question_results(
    answers: Sequence[str], references: Sequence[str], abstain: str, notes: list[str], *, seed: int = 0
) -> list[Result]:
    """Exact match over all questions and F1 over those that have an answer; where some have none, precision and recall
    of abstaining and of answering. Raises BadValue."""
    if not answers or len(answers) != len(references):
        raise BadValue(f"expected a reference for each answer, got {len(answers)} answers and {len(references)}")
    pairs = list(zip(answers, references, strict=True))
    right = [plain(a) == plain(r) or (abstains(a, abstain) and abstains(r, abstain)) for a, r in pairs]
    quiet = [abstains(a, abstain) for a in answers]
    unsaid = [abstains(r, abstain) for r in references]
    told: dict[str, Any] = {"same": "without case, punctuation and articles", "abstention": abstain}
    turned = [plain(a) == plain(r) for a, r in zip(answers, [*references[1:], references[0]], strict=True)]
    own = {"always_abstaining": round(sum(unsaid) / len(unsaid), 4), "by_chance": round(sum(turned) / len(turned), 4)}
    found = [_share("exact_match", "exact match", right, {**told, **own})]
    overlap = np.array([f1(a, r) for (a, r), no in zip(pairs, unsaid, strict=True) if not no])
    if len(overlap):
        many = len(overlap) >= FEWEST
        how = f"bootstrap over questions, 95%, {RESAMPLES} resamples, seed {seed}" if many else "none: few questions"
        interval = resampled(overlap, seed) if many else None
        told_f1 = {**told, "over": "questions with an answer", "interval": how}
        found.append(Result("answer_f1", "F1 of answers", float(overlap.mean()), interval, len(overlap), told_f1,
                            CITATION, "higher"))  # fmt: skip
    if not any(unsaid) or all(unsaid):
        return found
    sides = (
        ("abstain_precision", "abstentions that are right", [no for no, q in zip(unsaid, quiet, strict=True) if q],
         "abstentions"),
        ("abstain_recall", "abstains where nothing is said", [q for no, q in zip(unsaid, quiet, strict=True) if no],
         "questions without an answer"),
        ("answer_precision", "answers given that are right", [r for r, q in zip(right, quiet, strict=True) if not q],
         "answers that are no abstentions"),
        ("answer_recall", "answered rightly where it is said", [r for r, no in zip(right, unsaid, strict=True)
                                                                if not no], "questions with an answer"),
    )  # fmt: skip
    for key, name, hits, over in sides:
        if hits:
            found.append(_share(key, name, hits, {**told, "over": over}))
        else:
            notes.append(f"no {key.replace('_', ' ')}: there are no {over}")
    return found


def _share(key: str, name: str, hits: Sequence[bool], protocol: dict[str, Any]) -> Result:
    share = sum(hits) / len(hits)
    return Result(key, name, share, wilson(share, len(hits)), len(hits),
                  {**protocol, "interval": "Wilson's score, 95%"}, CITATION, "higher")  # fmt: skip
