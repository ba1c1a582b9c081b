"""Verbatim stretches are found exactly; held-out text says how long they are by chance."""

from __future__ import annotations

import random

import numpy as np
import pytest

from genloom.errors import BadValue
from genloom.metrics.recitation import Windows, longest_copies, recitation, seen_share


def babble(n: int, seed: int) -> str:
    """Words in random order: shares short stretches with any other babble."""
    draw = random.Random(seed)
    words = "the a cat dog sat lay ran on under mat log house and then it was grey öfter 猫".split()  # noqa: SIM905
    return " ".join(draw.choice(words) for _ in range(n))


def plain(text: str, source: str) -> int:
    return max(
        (n for n in range(len(text) + 1) for i in range(len(text) - n + 1) if text[i : i + n] in source), default=0
    )


def test_longest_copies_agree_with_a_plain_search() -> None:
    source = babble(60, 0)
    texts = [babble(8, s) for s in range(1, 7)] + ["", "zzz", source[20:50], "x" + source[5:33] + "#"]
    assert longest_copies(texts, source) == [plain(t, source) for t in texts]
    assert longest_copies(["abc"], "") == [0]


def test_equal_windows_have_equal_hashes_wherever_they_stand() -> None:
    windows = Windows("abcabcabx")
    three = windows.hashes(3)
    assert three[0] == three[3]
    assert len(set(three.tolist())) == 4  # abc, bca, cab, and abx at the end
    assert len(windows.hashes(10)) == 0
    assert np.array_equal(Windows("bca").hashes(3), three[1:2])


def test_shares() -> None:
    assert seen_share(["abcd", "zzzz"], "xxabcdxx", 2) == 0.5
    assert seen_share(["ab"], "ab", 5) == 0


def test_a_model_that_recites_fails_and_an_honest_one_passes() -> None:
    source = babble(4000, 0)
    held_out = [babble(40, s) for s in range(100, 400)]
    honest = [babble(40, s) for s in range(400, 520)]
    assert recitation(honest, held_out, source).verdict == "pass"
    few = recitation(honest[:30], held_out, source)
    assert few.verdict == "inconclusive"
    assert few.needed is not None
    assert few.needed <= 120, "120 samples had been enough"
    assert f"at least {few.needed}" in few.sentence
    words = source.split()
    copied = [" ".join(words[i * 50 : i * 50 + 40]) for i in range(10)]
    found = recitation(honest + copied, held_out, source)
    assert found.verdict == "fail"
    assert found.worst[0][1] in source
    assert found.worst[0][0] == len(found.worst[0][1]) >= 100
    assert {r.key for r in found.results} == {"recited", "seen_25"}
    assert found.results[0].value >= 10 / 130


def test_false_alarms_are_rare() -> None:
    source = babble(2000, 0)
    alarms = sum(
        recitation([babble(25, 1000 * s + i) for i in range(30)], [babble(25, 1000 * s + 500 + i) for i in range(30)],
                   source).verdict == "fail"
        for s in range(1, 41)
    )  # fmt: skip
    assert alarms <= 2


def test_bad_input() -> None:
    with pytest.raises(BadValue, match="10 held-out"):
        recitation(["a", "b"], ["a"] * 9, "abc")
