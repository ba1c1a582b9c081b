"""The leaderboard: from the runs of a comparison, as its record holds them, to standings, a table and a Comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genloom.compare.measure import value_of
from genloom.compare.standings import Place, judged_in_words, over_seeds, pairs, places
from genloom.engine.budget import parse_budget
from genloom.report.content import Comparison, Curve, Estimate, Standing
from genloom.verbs.results import Table, cell, size_text

OTHERS = ("fd", "precision", "recall", "bits_per_dimension", "nats_per_token", "bits_per_character", "smallest_share")
OVERDRAWN = 1.1  # share of the budget from which on a board says that it was not kept
SHARES = ("precision", "recall", "smallest_share")


def comparison(record: Mapping[str, Any], samples: Mapping[str, Any] = {}, blind: str = "") -> Comparison:
    """The board over the seeds that are complete. record: as comparison.json holds it; samples: a picture or text of
    each contestant by its word; blind: address of the page to judge samples by.

    A contestant that has no figure (its training diverged) stands last.
    """
    plan = record["plan"]
    key, seeds = plan["key"], complete_seeds(record)
    words = [c["word"] for c in plan["contestants"]]
    entries = {w: [e for e in record["runs"] if e["contestant"] == w and e["seed"] in seeds] for w in words}
    found = {w: {k: _estimate(es, k) for k in OTHERS} for w, es in entries.items()}
    labels = _labels(record)
    name, better = labels.get(key, (key, "lower"))
    values = {w: _values(es, key) for w, es in entries.items()}
    standings = [
        _standing(place, plan, entries[place.name], found[place.name], key, samples.get(place.name))
        for place in places(values, better, log=key == "fd")
    ]
    return Comparison(
        key=key,
        name=name,
        better=better,
        standings=standings,
        floor=_floor(record),
        labels={k: v for k, v in labels.items() if k != key},
        budget=plan["budget"],
        seeds=seeds,
        test=judged_in_words(len(seeds), key == "fd", name.split("(")[0]),
        blind=blind,
    )


def significance(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Corrected p of each pair: [{"a", "b", "p"}]; p is None where nothing can be said."""
    plan, seeds = record["plan"], complete_seeds(record)
    entries = {
        c["word"]: [e for e in record["runs"] if e["contestant"] == c["word"] and e["seed"] in seeds]
        for c in plan["contestants"]
    }
    judged = pairs({w: _values(es, plan["key"]) for w, es in entries.items()}, log=plan["key"] == "fd")
    return [{"a": a, "b": b, "p": None if math.isnan(p) else p} for (a, b), p in judged.items()]


def complete_seeds(record: Mapping[str, Any]) -> list[int]:
    """Seeds with which every contestant has been trained and measured."""
    words = {c["word"] for c in record["plan"]["contestants"]}
    return [s for s in record["plan"]["seeds"] if {e["contestant"] for e in record["runs"] if e["seed"] == s} >= words]


def table(record: Mapping[str, Any]) -> Table:
    """The board as a terminal shows it. "=" beside a rank: not significantly different from the one above."""
    board = comparison(record)
    shown = [k for k in OTHERS if k != board.key and any(k in s.figures for s in board.standings)]
    head = {"smallest_share": "smallest class", "bits_per_dimension": "bits/dim", "nats_per_token": "nats/token"}
    columns = ["", "recipe", _column(board), "95%", *(head.get(k, k.replace("_", " ")) for k in shown)]
    columns += ["seconds", "parameters", "memory", "Wh (estimated)"]
    rows = []
    for above, s in zip([None, *board.standings], board.standings, strict=False):
        mark = " =" if above is not None and above.name in s.tied else ""
        figure = s.figures.get(board.key)
        row: list[Any] = [f"{s.rank}{mark}", s.name, _number(figure), _span(figure)]
        row += [_number(s.figures.get(k)) for k in shown]
        row += [s.cost.get("seconds"), s.parameters, _memory(s.cost), _energy(s.cost)]
        rows.append(tuple(row))
    if board.floor is not None:
        rows.append(("", "real items", board.floor, *([""] * (len(columns) - 3))))
    return Table("standings", tuple(columns), tuple(rows), tuple(_notes(record, board)))


def _column(board: Comparison) -> str:
    return f"{board.name} ({board.better} is better)"


def _number(estimate: Estimate | None) -> Any:
    return "" if estimate is None else "failed" if math.isnan(estimate.value) else float(estimate.value)


def _span(estimate: Estimate | None) -> str:
    if estimate is None or estimate.interval is None:
        return ""
    return f"{cell(float(estimate.interval[0]))} .. {cell(float(estimate.interval[1]))}"


def _memory(cost: Mapping[str, Any]) -> str:
    return size_text(cost["peak_memory_bytes"]) if "peak_memory_bytes" in cost else ""


def _energy(cost: Mapping[str, Any]) -> str:
    low_high = cost.get("energy_kwh_estimated")
    return "" if not low_high else f"{1000 * low_high[0]:.2g} .. {1000 * low_high[1]:.2g}"


def _notes(record: Mapping[str, Any], board: Comparison) -> list[str]:
    plan, seeds = record["plan"], list(board.seeds)
    of = "" if len(seeds) == len(plan["seeds"]) else f" of {len(plan['seeds'])}"
    which = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(map(str, seeds))}"
    said = f"{plan['data']}, {plan['budget']} a run, {which}{of}, n = {plan['n']:,}"
    notes = ["", said + (" held-out windows" if plan["modality"] == "text" else " samples")]
    how = {e.how for s in board.standings if (e := s.figures.get(plan["key"])) and e.interval and e.how}
    if how:
        notes.append(f"95%: {'; '.join(sorted(how))}")
    tied = any(b.name in a.tied for a, b in zip(board.standings, board.standings[1:], strict=False))
    notes.append(board.test + (" =: not significantly different from the one above." if tied else ""))
    notes += [
        f"{e['contestant']}, seed {e['seed']}: {e['failed']}"
        for e in record["runs"] if e.get("failed") and e["seed"] in seeds
    ]  # fmt: skip
    budget = parse_budget(plan["budget"])
    for s in board.standings:
        spent = s.cost.get("seconds", 0.0)
        if budget.kind == "seconds" and spent > OVERDRAWN * budget.amount:
            notes.append(
                f"{s.name} took {spent:.3g} s of a budget of {plan['budget']}: judge its place with that in mind"
            )
    told = {e["contestant"] for e in record["runs"] if e.get("by_class")}
    if told and len(told) < len(board.standings):
        names = ", ".join(s.name for s in board.standings if s.name in told)
        notes.append(f"Told the classes, and drawing by them: {names}. The others learn without.")
    return [*notes, *_copies(record, seeds), *plan["notes"]]


def _copies(record: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    """Whether samples recite training items: of each contestant the gravest verdict over its seeds."""
    gravest: dict[str, str] = {}
    grave = ("pass", "inconclusive", "fail")
    for entry in record["runs"]:
        verdict = (entry["evaluation"].get("memorisation") or {}).get("verdict")
        if verdict in grave and entry["seed"] in seeds:
            before = gravest.get(entry["contestant"], "pass")
            gravest[entry["contestant"]] = max(before, verdict, key=grave.index)
    if not gravest:
        return []
    said = ", ".join(f"{word} {verdict}" for word, verdict in gravest.items())
    return [f"Test for copies of training items, the gravest verdict over seeds: {said}."]


def _values(entries: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    found = [value_of(e["evaluation"], key) for e in entries]
    return [math.nan if f is None or f["value"] is None else float(f["value"]) for f in found]


def _estimate(entries: Sequence[Mapping[str, Any]], key: str) -> Estimate | None:
    """Over seeds; with one seed, the interval that its evaluation gives. None where no seed has the figure."""
    found = [f for e in entries if (f := value_of(e["evaluation"], key)) is not None]
    if not found:
        return Estimate(math.nan) if key == "fd" and entries and all(e.get("failed") for e in entries) else None
    bounds = (0.0, 1.0) if key in SHARES else (0.0, math.inf) if key == "fd" else (-math.inf, math.inf)
    estimate = over_seeds(_values(entries, key), found[0]["n"], bounds)
    if len(entries) == 1 and found[0]["interval"]:
        low, high = found[0]["interval"]
        how = f"one seed: {found[0]['how']}" if found[0]["how"] else "one seed"
        return Estimate(estimate.value, estimate.values, (max(bounds[0], low), high), found[0]["n"], how)
    return estimate


def _labels(record: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Name and direction of each figure that was measured. Raises nothing: names are checked when runs are added."""
    found: dict[str, tuple[str, str]] = {}
    for entry in record["runs"]:
        for key in OTHERS:
            figure = value_of(entry["evaluation"], key)
            if figure is not None:
                name = figure["name"].partition("(")[0] if key in SHARES else figure["name"]
                found.setdefault(key, (name, figure["better"]))
    return found


def _floor(record: Mapping[str, Any]) -> float | None:
    if record["plan"]["key"] != "fd":
        return None
    floors = [f["value"] for e in record["runs"] if (f := value_of(e["evaluation"], "fd_floor"))]
    return floors[0] if floors else None


def _standing(
    place: Place, plan: Mapping[str, Any], entries: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Estimate | None], key: str, samples: Any,
) -> Standing:  # fmt: skip
    asked = next(c for c in plan["contestants"] if c["word"] == place.name)
    return Standing(
        name=place.name,
        recipe=asked["recipe"],
        family=next((e["family"] for e in entries), ""),
        rank=place.rank,
        figures={k: e for k, e in figures.items() if e is not None},
        tied=place.tied,
        curve=_curve(place.name, entries),
        runs=tuple(e["run"] for e in entries),
        parameters=next((e["parameters"] for e in entries if e["parameters"]), None),
        cost=_mean_cost([{"seconds": e["seconds"], **e["cost"]} for e in entries if e["cost"]]),
        samples=samples,
    )


def _curve(name: str, entries: Sequence[Mapping[str, Any]]) -> Curve | None:
    """Means over seeds at each share of the budget that all seeds have, with the smallest and largest."""
    of_seeds = [{p["share"]: p for p in e["curve"]} for e in entries if e["curve"]]
    if not of_seeds or len(of_seeds) < len(entries):
        return None
    points = []
    for share in sorted(set.intersection(*(set(points) for points in of_seeds))):
        values = [c[share]["value"] for c in of_seeds]
        if any(v is None or not math.isfinite(v) for v in values):
            continue
        seconds = float(np.mean([c[share]["seconds"] for c in of_seeds]))
        points.append((seconds, float(np.mean(values)), float(min(values)), float(max(values))))
    return Curve(name, tuple(points)) if len(points) > 1 else None


def _mean_cost(costs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over seeds, of pairs element by element."""
    out: dict[str, Any] = {}
    for key in costs[0] if costs else ():
        values = [c[key] for c in costs if key in c]
        mean = np.mean(np.asarray(values, dtype=np.float64), axis=0)
        out[key] = [float(v) for v in mean] if mean.ndim else float(mean)
    return out
