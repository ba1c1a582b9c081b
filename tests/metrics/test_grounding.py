import pytest

from genloom.errors import BadValue
from genloom.metrics.answers import Answered, answer_results
from genloom.metrics.grounding import grounded, grounding

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
