"""Figures of texts: known answers, intervals that hold what they promise, pairs by the reference programs."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest

from genloom.errors import BadData, BadValue
from genloom.metrics.distinct_n import distinct_n, distinct_results, jackknifed
from genloom.metrics.ngram_novelty import Source, ngram_novelty
from genloom.metrics.ngrams import inner, ratio_interval, unit_of, words_of

if os.environ.get("GENLOOM_REQUIRE_ALL") != "1":
    pytest.importorskip("sacrebleu")
    pytest.importorskip("rouge_score")

WORDS = [f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "lmnrst"]


def zipfian(n: int, draw: random.Random) -> list[str]:
    return draw.choices(WORDS, [1 / (i + 1) for i in range(len(WORDS))], k=n)


def test_distinct_n_of_known_texts() -> None:
    assert distinct_n([["a", "b", "a", "b"]], 1) == 0.5
    assert distinct_n([["a", "b", "a", "b"]], 2) == pytest.approx(2 / 3)
    assert distinct_n([["a", "b"], ["a", "b"]], 2) == 0.5
    assert distinct_n([["a"]], 2) == 0
    assert jackknifed([["a", "b", "c"]] * 3, 1)[1] is None, "three texts say nothing of chance"


def test_the_jackknife_of_distinct_n_holds_the_expected_value() -> None:
    draws = [[zipfian(20, random.Random(1000 * s + i)) for i in range(40)] for s in range(150)]
    found = [jackknifed(texts, 2) for texts in draws]
    truth = float(np.mean([v for v, _ in found]))
    held = sum(ends is not None and ends[0] <= truth <= ends[1] for _, ends in found) / len(found)
    assert 0.85 <= held <= 1.0
    widths = [e[1] - e[0] for _, e in found if e]
    assert np.mean(widths) < 12 * float(np.std([v for v, _ in found])), "an interval without end would hold too"


def test_distinct_n_is_taken_of_equally_many_texts() -> None:
    draw = random.Random(0)
    real = [zipfian(30, draw) for _ in range(50)]
    found = distinct_results([zipfian(30, draw) for _ in range(200)], real)
    assert [r.key for r in found] == [f"distinct_{n}" for n in (1, 2, 3, 4)]
    assert {r.n for r in found} == {50}
    assert found[1].value == pytest.approx(found[1].floor, abs=0.05), "equal sources, equal figures"
    collapsed = distinct_results([real[0]] * 50, real)[1]
    assert collapsed.value < 0.1 * collapsed.floor


def test_novelty_counts_runs_that_the_source_lacks() -> None:
    source = ["the", "cat", "sat", "on", "the", "mat"]
    assert Source(source).novel([["the", "cat", "ran", "on"], ["the"]], 2) == ([2, 0], [3, 0])
    assert ngram_novelty([["cat", "sat", "on"]], source, 3) == 0
    assert ngram_novelty([["sat", "cat", "on"]], source, 2) == 1
    assert ngram_novelty([["xx", "yy"]], source, 2) == 1
    assert ngram_novelty([[]], source, 2) == 0
    draw = random.Random(0)
    long, text = zipfian(3000, draw), zipfian(400, draw)
    there = {tuple(long[i : i + 3]) for i in range(len(long) - 2)}
    plain = sum(tuple(text[i : i + 3]) not in there for i in range(len(text) - 2))
    assert Source(long).novel([text], 3) == ([plain], [398])


def test_units_and_edges() -> None:
    assert unit_of(["the cat sat"]) == "word"
    assert unit_of(["猫が座った。犬が走った。猫が座った。犬が走った。"]) == "character"
    assert words_of("猫 が", "character") == ["猫", "が"]
    assert inner(["orn", "in", "two", "pla"]) == ["orn", "in", "two", "pla"]
    assert inner(["orn", "in", "two", "three", "pla"]) == ["in", "two", "three"]


def test_intervals_of_ratios() -> None:
    random_ = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        runs = random_.integers(20, 40, 60)
        new = random_.binomial(runs, np.clip(random_.normal(0.3, 0.1, 60), 0, 1))
        ends = ratio_interval(new.tolist(), runs.tolist())
        held += ends is not None and ends[0] <= 0.3 <= ends[1]
    assert 0.88 <= held / 200 <= 0.99
    assert ratio_interval([1] * 5, [2] * 5) is None


def test_self_bleu_tells_alike_from_varied_and_does_not_depend_on_n() -> None:
    from genloom.metrics.self_bleu import self_bleu, self_bleu_result

    draw = random.Random(0)
    varied = [" ".join(zipfian(25, draw)) for _ in range(300)]
    alike = [" ".join(zipfian(5, draw)) + " " + varied[0] for _ in range(60)]
    assert self_bleu([varied[0]] * 10) == pytest.approx(100)
    found = self_bleu_result(alike, varied)
    assert found.value > 50 > found.floor
    assert found.interval is not None
    small, large = self_bleu_result(varied[:60], varied), self_bleu_result(varied, varied)
    assert small.interval[0] <= large.value <= small.interval[1], "groups of ten, however many"
    assert "nrefs:9" in small.protocol["sacrebleu"]
    assert self_bleu_result(varied[:25], varied).interval is None
    assert self_bleu(varied, seed=1) == self_bleu(varied, seed=1) != self_bleu(varied, seed=2)
    with pytest.raises(BadValue, match="10 texts"):
        self_bleu(varied[:9])


def test_pairs_are_scored_as_the_reference_programs_do() -> None:
    import sacrebleu

    from genloom.metrics.texts import of_pairs

    draw = random.Random(0)
    references = [" ".join(zipfian(12, draw)) for _ in range(30)]
    texts = [r.replace("l", "m", 3) for r in references]
    found = {r.key: r for r in of_pairs(texts, [[r] for r in references])}
    assert list(found) == ["bleu", "chrf", "rouge1", "rouge2", "rougel"]
    assert found["bleu"].value == pytest.approx(sacrebleu.corpus_bleu(texts, [references]).score)
    assert found["chrf"].value == pytest.approx(sacrebleu.corpus_chrf(texts, [references]).score)
    assert "smooth:exp" in found["bleu"].protocol["sacrebleu"]
    for r in found.values():
        assert r.interval[0] < r.value < r.interval[1]
        assert r.protocol["by_chance"] < r.value
    same = {r.key: r.value for r in of_pairs(references, [["no", r] for r in references])}
    assert same == pytest.approx({"bleu": 100, "chrf": 100, "rouge1": 1, "rouge2": 1, "rougel": 1}), "the best counts"
    lsof = {r.key: r.value for r in of_pairs(["the cat"], [["the cat sat"]])}
    assert (lsof["rouge1"], lsof["rouge2"]) == pytest.approx((0.8, 2 / 3)), "from rouge-score's own manual"
    other = {r.key: r.value for r in of_pairs(["кот сидит"], [["кот сидит"]])}
    assert other["rouge1"] == 1, "other scripts than Latin have words too"


def test_bad_pairs() -> None:
    from genloom.metrics.texts import of_pairs

    with pytest.raises(BadValue, match="2 texts and 1"):
        of_pairs(["a", "b"], [["a"]])
    with pytest.raises(BadData, match="number 2"):
        of_pairs(["a", "b"], [["a"], [" "]])
    with pytest.raises(BadValue, match="0 texts"):
        of_pairs([], [])


def test_answers_that_share_nothing_with_their_references_score_nothing() -> None:
    from genloom.metrics.texts import of_pairs

    found = {r.key: r for r in of_pairs(["xyz"] * 12, [["the cat sat on the mat"]] * 12)}
    assert found["bleu"].value == 0
    assert found["bleu"].interval == (0, 0)  # sacrebleu leaves it out where every resample scores nothing


def test_references_are_read_from_lines(tmp_path: Path) -> None:
    from genloom.data.samples import references_in

    path = tmp_path / "pairs.jsonl"
    path.write_text(
        json.dumps({"text": "a", "reference": "b"}) + "\n" + json.dumps({"text": "c", "reference": ["d", "e"]})
    )
    assert references_in(path) == [["b"], ["d", "e"]]
    assert references_in(path, 1) == [["b"]]
    path.write_text('{"text": "a"}\n"b"\n')
    assert references_in(path) is None
    for lines in ('{"text": "a", "reference": "b"}\n{"text": "c"}', '{"text": "a"}\n{"text": "c", "reference": "b"}',
                  '{"text": "a", "reference": 3}'):  # fmt: skip
        path.write_text(lines)
        with pytest.raises(BadData, match="reference"):
            references_in(path)
