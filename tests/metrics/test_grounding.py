import pytest

from genloom.errors import BadValue
from genloom.metrics.answers import Answered, answer_results
from genloom.metrics.grounding import flagged, grounded, grounding

SOURCE = "The bridge over the river was closed on 3 May, because two beams had cracked."


def test_what_the_source_says_and_what_it_does_not() -> None:
    found = grounded("The bridge was closed because beams cracked.", SOURCE)
    assert (found.share, found.unsaid) == (1.0, ())
    assert 0 < found.runs < 1
    found = grounded("The mayor closed the bridge on 7 May.", SOURCE)
    assert found.unsaid == ("mayor", "7")
    assert found.share == pytest.approx(2 / 4)
    assert grounded("", SOURCE).share == 1.0
    assert grounded("It was not closed", SOURCE).share == 1.0  # words are compared, not meanings


def test_a_figure_with_its_floor() -> None:
    result = grounding(["the bridge closed", "a whale"], [SOURCE, SOURCE], ["beams cracked", "mayor"])
    assert result.value == pytest.approx(0.5)
    assert result.floor == pytest.approx(0.5)
    assert result.protocol["answers_with_unsaid_words"] == 1
    with pytest.raises(BadValue, match="a source for each answer, got 1 answers and 2 sources"):
        grounding(["a"], [SOURCE, SOURCE])


def test_it_is_measured_where_people_answer_in_the_prompts_words() -> None:
    said = Answered((SOURCE,) * 3, ("the bridge closed", "beams", "mayor"), ("bridge closed", "beams cracked", "river"))
    assert "grounding" in {r.key for r in answer_results(said, [])}
    other = Answered((SOURCE,) * 3, ("die Br\u00fccke", "der Balken", "zu"), ("Br\u00fccke zu", "Balken", "Fluss"))
    assert "grounding" not in {r.key for r in answer_results(other, [])}


def test_a_planted_hallucination_is_flagged_and_lowers_the_figure() -> None:
    sources = [f"{who} lives in the {where} and sells {what} on market days." for who, where, what in (
        ("Lily", "old mill", "apples"), ("Tom", "white tower", "honey"), ("Mia", "red house", "cheese"))]  # fmt: skip
    faithful = ("Lily sells apples.", "Tom sells honey.", "Mia sells cheese.")
    planted = (faithful[0], "Tom sells diamonds.", faithful[2])
    notes: list[str] = []
    clean, ill = (
        next(r for r in answer_results(Answered(tuple(sources), said, faithful), notes) if r.key == "grounding")
        for said in (faithful, planted)
    )
    assert clean.value == clean.floor == ill.floor == 1.0
    assert ill.value < 1.0
    told = [n for n in notes if "its source does not" in n]
    assert told == ["answer 2 says what its source does not, diamonds: 'Tom sells diamonds.'"]


def test_abstentions_say_nothing_and_invented_answers_count() -> None:
    none = "The text does not say."
    prompts = ("Tom lives in the old mill.\nWhere does Tom live?", "Tom lives in the old mill.\nHow old is Tom?")
    references = ("the old mill", none)

    def figure(*answers: str) -> tuple[float, int]:
        found = next(r for r in answer_results(Answered(prompts, answers, references), []) if r.key == "grounding")
        return found.value, found.n

    assert figure("the old mill", none) == (1.0, 1)
    assert figure("the old mill", "seventy") == (0.5, 2)


def test_the_least_grounded_are_shown_first_and_once() -> None:
    sources = [SOURCE] * 4
    told = flagged(["The bridge closed.", "A whale closed it.", "A whale.", "A whale."], sources)
    assert [line.partition(" says")[0] for line in told] == ["answer 3", "answer 2"]


def test_joined_words_are_the_words_they_are_joined_to() -> None:
    assert (
        grounded("Finn's mill isn't open, it's cracked.", "Finn has a mill. It is cracked, and not open.").share == 1.0
    )
    assert grounded("They've gone; Mia\u2019s here", "They are gone").unsaid == ("mia", "here")
    assert grounded("l'homme", "l'homme").share == 1.0
    assert grounded("l'homme", "la femme").unsaid == ("l'homme",)
