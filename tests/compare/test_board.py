"""The board from a record: means, floor, ties, what is said below it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from genloom.compare.board import comparison, complete_seeds, significance, table


def result(key: str, value: float | None, name: str = "", **protocol: Any) -> dict[str, Any]:
    better = "lower" if key.split(":")[-1] == "fd" else "higher"
    found = {"key": key, "name": name or key, "value": value, "interval": None, "n": 500, "better": better}
    return {**found, "protocol": protocol}


def entry(
    word: str, seed: int, fd: float | None, seconds: float = 60.0, shares: tuple[float, ...] = ()
) -> dict[str, Any]:
    results = [result("fd", fd, "FD(x@1)"), result("fd_floor", 0.5), result("precision", 0.8, "precision(x@1)")]
    results += [result(f"share:{i}", s) for i, s in enumerate(shares)]
    curve = [{"share": s, "seconds": s * seconds, "value": (fd or 0) / s, "step": 1} for s in (0.5, 1.0)]
    cost = {"wall_seconds": seconds, "energy_kwh_estimated": [0.001, 0.01], "peak_memory_bytes": 5e8 + seed}
    return {"contestant": word, "seed": seed, "run": f"{word}-s{seed}", "family": "f", "seconds": seconds, "cost": cost,
            "parameters": 7, "by_class": word == "near", "evaluation": {"results": results}, "curve": curve,
            "failed": ""}  # fmt: skip


def record(*runs: dict[str, Any], seeds: tuple[int, ...] = (0, 1, 2), **plan: Any) -> dict[str, Any]:
    words = dict.fromkeys(e["contestant"] for e in runs)
    contestants = [{"word": w, "recipe": w, "label": w} for w in words]
    facts = {
        "key": "fd",
        "budget": "60s",
        "data": "x",
        "modality": "image",
        "n": 500,
        "seeds": list(seeds),
        "notes": [],
    }
    return {"plan": {**facts, "contestants": contestants, **plan}, "runs": list(runs)}


FULL = record(
    *(entry("far", s, v) for s, v in enumerate((40.0, 42.0, 41.0))),
    *(entry("near", s, v, shares=(0.2, 0.05 + s / 100)) for s, v in enumerate((2.0, 2.1, 1.9))),
    *(entry("close", s, v, seconds=90.0) for s, v in enumerate((2.02, 1.95, 2.08))),
)


def test_a_board_of_three() -> None:
    board = comparison(FULL)
    assert [s.name for s in board.standings] == ["near", "close", "far"]
    near, close, far = board.standings
    assert near.figures["fd"].value == pytest.approx(2.0)
    assert near.figures["smallest_share"].value == pytest.approx(0.06)
    assert (near.tied, close.tied, far.tied) == (("close",), ("near",), ())
    assert (board.floor, board.better, board.name) == (0.5, "lower", "FD(x@1)")
    assert board.labels["precision"] == ("precision", "higher")
    assert near.runs == ("near-s0", "near-s1", "near-s2")
    assert near.cost["energy_kwh_estimated"] == pytest.approx([0.001, 0.01])
    assert near.curve is not None
    assert near.curve.points[1] == pytest.approx((60.0, 2.0, 1.9, 2.1))
    p = {frozenset((x["a"], x["b"])): x["p"] for x in significance(FULL)}
    assert p[frozenset(("near", "far"))] < 0.001 < 0.05 < p[frozenset(("near", "close"))]


def test_the_table_marks_ties_and_says_what_a_reader_must_know() -> None:
    said = str(table(FULL))
    lines = said.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[2].split()[1] == "="
    assert "=" not in lines[3].split()[:2]
    assert "real items" in lines[4]
    assert "close took 90 s of a budget of 60s" in said
    assert "drawing by them: near" in said
    assert "=: not significantly different from the one above" in said


def test_only_complete_seeds_count() -> None:
    part = record(*(e for e in FULL["runs"] if not (e["contestant"] == "close" and e["seed"] == 2)))
    assert complete_seeds(part) == [0, 1]
    board = comparison(part)
    assert {len(s.figures["fd"].values) for s in board.standings} == {2}
    assert "seeds 0, 1 of 3" in str(table(part))


def test_a_failed_contestant_stands_last_and_is_not_tied() -> None:
    bad = {
        **entry("bad", 0, None),
        "evaluation": {},
        "curve": [],
        "cost": {},
        "failed": "not finite",
        "parameters": None,
    }
    found = record(bad, entry("good", 0, 9.0), seeds=(0,))
    board = comparison(found)
    assert [s.name for s in board.standings] == ["good", "bad"]
    assert math.isnan(board.standings[1].figures["fd"].value)
    said = str(table(found))
    assert "failed" in said
    assert "bad, seed 0: not finite" in said
    assert "no difference is called significant" in said


def test_the_gravest_verdict_on_copies_is_said() -> None:
    runs = [entry("a", 0, 1.0), entry("a", 1, 1.1), entry("b", 0, 2.0), entry("b", 1, 2.1)]
    for run, verdict in zip(runs, ("pass", "fail", "pass", "inconclusive"), strict=True):
        run["evaluation"]["memorisation"] = {"verdict": verdict}
    assert "a fail, b inconclusive" in str(table(record(*runs, seeds=(0, 1))))
    assert "copies" not in str(table(FULL))


def test_models_of_two_collections_are_ranked_by_the_mean_of_their_distances() -> None:
    def two(word: str, seed: int, day: float, night: float) -> dict[str, Any]:
        results = [result("day:fd", day, "FD(x@1) of day"), result("night:fd", night, "FD(y@1) of night")]
        return {**entry(word, seed, 1.0), "evaluation": {"results": results}}

    found = comparison(
        record(*(two(w, s, d + s, n) for w, d, n in (("far", 9, 30), ("near", 10, 20)) for s in range(3)))
    )
    assert [s.name for s in found.standings] == ["near", "far"]
    figure = found.standings[0].figures["fd"]
    assert figure is not None
    assert figure.value == pytest.approx(15.5)
