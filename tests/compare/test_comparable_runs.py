"""Runs whose distances were not measured alike never stand on one board."""

from __future__ import annotations

from typing import Any

import pytest

from genloom.compare.rounds import _check_comparable
from genloom.errors import BadData
from genloom.metrics.base import Result


def record(*changes: dict[str, Any]) -> dict[str, Any]:
    runs = []
    for change in changes:
        told = {"features": "mnist@1a", "data": "abc", "n_held_out": 50, "split": "test", **change}
        result = Result("fd", "FD(mnist@1a)", 1.0, None, told.pop("n", 100), told)
        runs.append({"evaluation": {"results": [result.to_json()]}})
    return {"runs": [*runs, {"evaluation": {}}]}


def test_alike_is_accepted() -> None:
    _check_comparable(record({}, {}, {"seed": 3}))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features": "mnist@2b"}, "features mnist@1a and mnist@2b"),
        ({"n": 60}, "genloom evaluate RUN -n 60"),
        ({"data": "xyz"}, "data abc and xyz"),
    ],
)
def test_what_differs_is_said_with_the_cure(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadData, match=said) as caught:
        _check_comparable(record({}, change))
    assert "give the same command again" in str(caught.value)
    assert "\n" not in str(caught.value)
