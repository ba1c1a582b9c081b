"""Exact match, F1 and abstention: known answers, both sides, what is left out."""

import pytest

from genloom.errors import BadValue
from genloom.metrics.answers import Answered, answer_results
from genloom.metrics.questions import abstains, are_short, f1, plain, question_results

NONE = "The text does not say."
REFERENCES = ["the red house", "baker", "Monday", NONE, NONE]


def values(answers: list[str], references: list[str] = REFERENCES) -> dict[str, float]:
    return {r.key: r.value for r in question_results(answers, references, NONE, [])}


def test_what_counts_as_the_same() -> None:
    assert plain(" The  Red, house.") == "red house"
    assert abstains("the text does not say", NONE)
    assert abstains("  ", NONE)
    assert not abstains("The text does not say. Monday.", NONE)
    assert f1("red house", "the red house") == 1.0
    assert f1("a house", "red house") == pytest.approx(2 / 3)
    assert f1("the the", "red") == 0.0
    assert f1("red red", "red") == pytest.approx(2 / 3)  # a word is common as often as both have it


def test_both_sides_of_abstention() -> None:
    found = values(["a red house", "old baker", NONE, NONE, "Sunday"])
    assert found["exact_match"] == pytest.approx(2 / 5)
    assert found["answer_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert found["abstain_precision"] == pytest.approx(1 / 2)
    assert found["abstain_recall"] == pytest.approx(1 / 2)
    assert found["answer_precision"] == pytest.approx(1 / 3)
    assert found["answer_recall"] == pytest.approx(1 / 3)


def test_neither_always_abstaining_nor_never_looks_good_on_both_sides() -> None:
    notes: list[str] = []
    always = {r.key: r for r in question_results([NONE] * 5, REFERENCES, NONE, notes)}
    assert always["abstain_recall"].value == 1.0
    assert always["answer_recall"].value == 0.0
    assert always["exact_match"].value == always["exact_match"].protocol["always_abstaining"] == pytest.approx(0.4)
    assert "answer_precision" not in always
    assert notes == ["no answer precision: there are no answers that are no abstentions"]
    never = values(["x"] * 5)
    assert never["abstain_recall"] == 0.0
    assert "abstain_precision" not in never


def test_without_questions_that_have_no_answer_there_is_no_abstention() -> None:
    assert set(values(["x", "y"], ["x", "z"])) == {"exact_match", "answer_f1"}
    with pytest.raises(BadValue, match="a reference for each answer, got 0"):
        question_results([], [], NONE, [])


def test_short_answers_are_compared_as_wholes_and_long_ones_are_not() -> None:
    long = "a man in a blue shirt stands on a ladder"
    assert are_short(REFERENCES, NONE)
    assert not are_short([long, long, NONE], NONE)
    short = Answered(("where?",) * 5, tuple(REFERENCES), tuple(REFERENCES))
    assert {"exact_match", "abstain_recall", "bleu"} <= {r.key for r in answer_results(short, [])}
    other = Answered(("ein Mann",) * 2, (long, long), (long, long))
    assert "exact_match" not in {r.key for r in answer_results(other, [])}


def test_another_abstention() -> None:
    refs = ["Monday", "unknown"]
    found = {r.key: r.value for r in question_results(["Monday", "Unknown."], refs, "unknown", [])}
    assert found["abstain_recall"] == found["answer_recall"] == 1.0
