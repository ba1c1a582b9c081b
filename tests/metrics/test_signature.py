"""What may be compared with what."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from genloom.errors import BadValue
from genloom.metrics.base import Result, comparable

PROTOCOL = {
    "features": "x@1a",
    "n_held_out": 50,
    "seed": 0,
    "split": "test",
    "data": "abc",
    "version": "1",
    "floor": 0.5,
}


def fd(n: int = 10, key: str = "fd", **changes: Any) -> Result:
    return Result(key, f"FD(x@1a) of {n}", 1.5, (1.0, 2.0), n, {**PROTOCOL, **changes}, "@x", "lower")


def test_a_signature_says_what_a_value_depends_on() -> None:
    assert fd().signature == "fd|features:x@1a|n:10|n_held_out:50|seed:0|data:abc|split:test|version:1"
    assert Result("copies", "copies", 0.0, None, 5, {}).signature == "copies|n:5"
    assert fd(k=5).signature != fd(k=3).signature


def test_json_and_back() -> None:
    told = json.loads(json.dumps(fd().to_json()))
    assert told["floor"] == 0.5
    assert told["signature"] == fd().signature
    assert Result.from_json(told) == fd()


def test_alike_figures_compare() -> None:
    comparable(fd(), replace(fd(), value=3.0))
    comparable(fd(10, "fd_inf"), fd(20, "fd_inf"))  # no bias, no matter
    comparable(fd(10, "kd"), fd(20, "kd"))
    comparable(fd(seed=0), fd(seed=1))


@pytest.mark.parametrize(
    ("other", "said", "cure"),
    [
        (fd(features="x@2b"), "features x@1a and x@2b", "--against"),
        (fd(data="def"), "data abc and def", "--data D"),
        (fd(split="validation"), "split test and validation", "same split"),
        (fd(20), "n 10 and 20", "genloom evaluate RUN -n 10"),
        (fd(n_held_out=40), "held-out items 50 and 40", "--against"),
        (fd(key="kd"), "different figures", "like with like"),
    ],
    ids=["features", "data", "split", "n", "held out", "key"],
)
def test_others_are_refused_with_the_cure(other: Result, said: str, cure: str) -> None:
    with pytest.raises(BadValue) as error:
        comparable(fd(), other)
    assert said in str(error.value)
    assert cure in str(error.value)


@pytest.mark.parametrize("key", ["vendi", "is", "precision", "recall_real", "density", "coverage"])
def test_what_is_biased_in_n_is_compared_at_one_n(key: str) -> None:
    with pytest.raises(BadValue, match="depends on n"):
        comparable(fd(10, key), fd(11, key))


def test_a_bound_is_no_exact_value() -> None:
    one, two = (Result("bits_per_dimension", "bits", 1.0, None, 9, {"kind": k}) for k in ("bound", "exact"))
    with pytest.raises(BadValue, match="one way only"):
        comparable(one, two)
