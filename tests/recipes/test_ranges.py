"""Ranges: declared by every recipe for fields it has, written and read by people, widened to hold where one stands."""

from __future__ import annotations

from typing import Any

import pytest

from genloom.errors import BadValue, GenloomError, NotFound
from genloom.recipes import fields, ranges, registry
from genloom.recipes.ranges import Choice, Linear, Log, Whole

BUILT_IN = [e for e in registry.entries() if e.build.__module__.startswith("genloom.recipes")]


@pytest.mark.parametrize("entry", BUILT_IN, ids=lambda e: e.name)
def test_declared_ranges_are_of_fields_and_hold_the_defaults(entry: registry.Entry) -> None:
    recipe = registry.get(entry.name)
    infos = {i.path: i for i in fields.leaves(recipe)}
    assert entry.ranges
    learns = any(path.endswith(".lr") for path in infos)  # n-grams only count, whatever the batch
    assert ("train.batch" in entry.ranges) == learns
    for path, within in entry.ranges.items():
        assert path in infos
        assert ranges.holds(within, infos[path].value), path
        ends = within.values if isinstance(within, Choice) else (within.low, within.high)
        for value in ends:  # and every value is one that the field takes
            registry.override(recipe, {path: value})
    for size in entry.sizes:
        there = {i.path: i.value for i in fields.leaves(registry.get(entry.name, size))}
        for path, within in entry.ranges.items():
            assert ranges.holds(ranges.including(within, there[path]), there[path])


INFOS = fields.leaves(registry.get("flow"))


@pytest.mark.parametrize(
    ("text", "path", "within"),
    [
        ("config.optimizer.lr=1e-4:1e-2:log", "config.optimizer.lr", Log(1e-4, 1e-2)),
        ("time_std=0.5:2", "config.time_std", Linear(0.5, 2.0)),
        ("embedding=32:256", "config.embedding", Whole(32, 256)),
        ("embedding=32:256:log", "config.embedding", Whole(32, 256, log=True)),
        ("batch=32,64,128", "train.batch", Choice(32, 64, 128)),
        ("solver=euler,heun", "config.solver", Choice("euler", "heun")),
        ("widths=32,64|64,64", "config.widths", Choice((32, 64), (64, 64))),
        ("optimizer.name=adam, muon", "config.optimizer.name", Choice("adam", "muon")),
        ("data.limit=100:1000", "data.limit", Whole(100, 1000)),
    ],
)
def test_people_write_ranges(text: str, path: str, within: ranges.Range) -> None:
    assert ranges.given(INFOS, text) == {path: within}
    name, _, said = text.partition("=")
    assert ranges.given(INFOS, {name: said}) == {path: within}
    assert ranges.given(INFOS, f"{path}={within}") == {path: within}  # as it is shown, so it is read


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("batch", BadValue, "expected FIELD=LOW:HIGH"),
        ("bacth=1:2", NotFound, "--range train.batch"),
        ("batch=64", BadValue, "--range train.batch: expected LOW:HIGH"),
        ("batch=64:32", BadValue, "from a lower to a higher number, got 64 to 32"),
        ("batch=1:2:cubic", BadValue, "expected LOW:HIGH"),
        ("batch=1:2.5", BadValue, "expected a whole number, got '2.5'"),
        ("time_std=0:1:log", BadValue, "begins above 0"),
        ("solver=a:b", BadValue, "expected LOW:HIGH"),
        ("batch=1:2;train.batch=2:3", BadValue, "given twice"),
        ("optimizer.name=adam,sgd", BadValue, "expected one of adam, adamw, muon"),
    ],
)
def test_wrong_ranges_are_told_in_one_line(text: str, kind: type[GenloomError], said: str) -> None:
    with pytest.raises(kind) as caught:
        ranges.given(INFOS, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("within", "value", "after"),
    [
        (Log(1e-4, 1e-2), 1e-3, Log(1e-4, 1e-2)),
        (Log(1e-4, 1e-2), 1e-1, Log(1e-4, 1e-1)),
        (Whole(2, 6), 12, Whole(2, 12)),
        (Choice(1, 2), 3, Choice(1, 2, 3)),
        (Choice((1, 2), (2, 2)), (2, 2), Choice((1, 2), (2, 2))),
    ],
)
def test_a_range_is_widened_to_hold_where_one_stands(within: ranges.Range, value: Any, after: ranges.Range) -> None:
    assert ranges.including(within, value) == after
    assert ranges.holds(after, value)


def test_what_no_range_can_hold() -> None:
    with pytest.raises(ValueError, match="above 0"):
        ranges.including(Log(0.1, 1.0), 0.0)
    with pytest.raises(ValueError, match="two values"):
        Choice(1)
    assert not ranges.holds(Whole(0, 2), 1.5)
    assert not ranges.holds(Whole(0, 2), True)
