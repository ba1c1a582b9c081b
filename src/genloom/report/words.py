"""What the figures say, in sentences. Only what compares is compared."""

from __future__ import annotations

import math
from collections.abc import Sequence

from genloom.report.content import Comparison, Estimate, Report, ReportRun, Standing
from genloom.report.numbers import number, seconds

_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def summary(report: Report) -> str:
    """The report's own words, or those made from its comparison or its runs."""
    if report.summary:
        return report.summary
    if report.comparison is not None and report.comparison.standings:
        data = sorted({run.data for run in report.runs if run.data})
        return leads(report.comparison, listed(data))
    return summarise(report.runs)


def summarise(runs: Sequence[ReportRun]) -> str:
    """What the figures say, in a few sentences; only figures of one name and one n are ranked against each other."""
    if not runs:
        return "No runs."
    sentences = []
    data = sorted({run.data for run in runs if run.data})
    known = [run.cost["wall_seconds"] for run in runs if "wall_seconds" in run.cost]
    took = f", {seconds(sum(known))} of training in all" if known else ""
    sentences.append(f"{count(len(runs), 'model')} learnt from {listed(data) or 'the data'}{took}.")
    groups: dict[tuple[str, int], list[tuple[float, float, str]]] = {}
    for run in runs:
        fd = run.result("fd")
        if fd is not None and _finite(fd["value"]):
            floor = float(fd.get("protocol", {}).get("floor") or math.nan)
            groups.setdefault((fd["name"], fd["n"]), []).append((fd["value"], floor, run.name))
    for (name, n), entries in groups.items():
        value, floor, best = min(entries)
        beside = f"; real data score {number(floor)}" if math.isfinite(floor) else ""
        lead = f"Nearest to the held-out items comes {best}: " if len(entries) > 1 else f"The run {best}: "
        sentences.append(f"{lead}{name} {number(float(value))} at n\u00a0=\u00a0{n:,}{beside} (lower is better).")
    for run in runs:
        result = run.result("nats_per_token")
        if result is not None and _finite(result["value"]):
            nats = number(float(result["value"]))
            sentences.append(f"Unseen text costs the run {run.name} {nats} nats per token.")
    ailing = [run.name for run in runs if any(f.level != "note" for f in run.health)]
    if ailing:
        sentences.append(f"{listed(ailing)} {'has' if len(ailing) == 1 else 'have'} health warnings; see there.")
    return " ".join(sentences)


def leads(comparison: Comparison, data: str = "") -> str:
    """Who leads, by how much, which differences are not significant, and how far that goes."""
    standings = sorted(comparison.standings, key=lambda s: s.rank)
    first, rest = standings[0], standings[1:]
    figure = first.figures.get(comparison.key)
    if figure is None or not math.isfinite(figure.value):
        return f"No contestant has a figure: {comparison.name} could not be measured."
    sentences = [_verdict(comparison, first, rest, figure)]
    done = {first.name}
    for one in rest if judged(comparison) else ():
        alike = [name for name in one.tied if name not in done]
        done.add(one.name)
        if alike:
            sentences.append(f"Between {one.name} and {listed(alike, 'or')} the difference is not significant.")
    budget = f", a budget of {comparison.budget} each" if comparison.budget else ""
    seeds = f", {count(len(comparison.seeds), 'seed').lower()}" if comparison.seeds else ""
    sentences.append(f"This holds for {data or 'this data'}{budget}{seeds} and this machine only.")
    return " ".join(sentences)


def _verdict(comparison: Comparison, first: Standing, rest: Sequence[Standing], figure: Estimate) -> str:
    floor = f" and real data score {number(comparison.floor)}" if comparison.floor is not None else ""
    said = f"{comparison.name} {estimate(figure)}, where {comparison.better} is better{floor}"
    if not rest:
        return f"{first.name} stands alone with {said}."
    second = rest[0].figures.get(comparison.key)
    if second is None or not math.isfinite(second.value):
        return f"{first.name} leads with {said}. The next, {rest[0].name}, has no such figure."
    behind = f"The next, {rest[0].name}, reaches {estimate(second)}{_apart(figure.value, second.value)}"
    alike = [s.name for s in rest if s.name in first.tied]
    if not judged(comparison):
        return f"{first.name} leads with {said}. {behind}: whether that is more than chance was not tested."
    if alike:
        lead = f"{first.name} has the best mean, but its lead over {listed(alike)} is not significant"
        return f"{lead}: it reaches {said}. {behind}."
    return f"{first.name} leads with {said}. {behind}: the difference is significant."


def judged(comparison: Comparison) -> bool:
    """Whether anything can be said of differences: one seed tells nothing of how runs vary."""
    counts = [len(s.figures[comparison.key].values) for s in comparison.standings if comparison.key in s.figures]
    return bool(comparison.test) and min(counts, default=0) > 1


def _apart(best: float, next_: float) -> str:
    """How far the next is from the best: ", 2.1 times as much". Nothing where a ratio would say nothing."""
    if not (best > 0 and next_ > 0) or max(best, next_) / min(best, next_) < 1.005:
        return ""
    if next_ / best >= 2:
        return f", {next_ / best:.2g} times as much" if next_ / best < 100 else f", {next_ / best:,.0f} times as much"
    percent = 100 * abs(next_ / best - 1)
    return f", {percent:.2g}% {'more' if next_ > best else 'less'}"


def estimate(figure: Estimate) -> str:
    """A mean with its interval: 1.07 (0.9 to 1.2)."""
    ends = "" if figure.interval is None else f" ({number(figure.interval[0])} to {number(figure.interval[1])})"
    return f"{number(float(figure.value))}{ends}"


def count(n: int, thing: str) -> str:
    """Four models; One seed; 12 runs."""
    return f"{_COUNTS[n] if n < len(_COUNTS) else n} {thing}{'' if n == 1 else 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    words = list(words)
    return f" {last} ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
