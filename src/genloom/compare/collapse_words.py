"""What the figures of an experiment on collapse say: verdicts for each share of fresh data, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genloom.compare.decline import LEVEL, Decline, declines, least_p

LABELS = {  # by key: the name in a table, which way is better, and what it says
    "fd": ("FD", "lower", "how far the samples as a whole lie from real held-out items"),
    "recall": ("recall", "higher", "the share of held-out items that lie among the samples"),
    "rare": ("rare items covered", "higher", "of the rarest tenth of held-out items, the share with a sample nearby"),
    "coverage": ("coverage", "higher", "of all held-out items, the share with a sample nearby"),
    "precision": ("precision", "higher", "the share of samples that lie among real items"),
    "vendi": ("Vendi", "", "how many truly different items the samples amount to"),
    "least": ("worst class covered", "higher", "coverage of the class that is covered least"),
    "smallest": ("smallest class", "higher", "the share of samples in the rarest class"),
}
JUDGED = ("fd", "recall", "rare")  # that decide whether a chain collapses; the others are told


def chain(record: Mapping[str, Any], share: float, generation: int) -> list[Mapping[str, Any]]:
    """The runs of a generation, one a seed, that were measured; generation 0 belongs to all shares."""
    return [
        e
        for e in record["runs"]
        if e["figures"] and e["generation"] == generation and (e["share"] is None or e["share"] == share)
    ]


def means(entry: Mapping[str, Any]) -> dict[str, float]:
    """Each figure of a run, the mean over its sets."""
    return {k: float(np.mean(v)) for k, v in entry["figures"].items()}


def values_of(record: Mapping[str, Any], share: float, key: str) -> np.ndarray | None:
    """A figure as (seeds, generations, sets); None where a run of the chain failed."""
    plan = record["plan"]
    rows = []
    for seed in plan["seeds"]:
        found = [
            next((e["figures"][key] for e in chain(record, share, g) if e["seed"] == seed), None)
            for g in range(plan["generations"])
        ]
        if any(f is None for f in found):
            return None
        rows.append(found)
    return np.asarray(rows, np.float64)


def judged(record: Mapping[str, Any]) -> dict[str, Any]:
    """The verdict on every share, and what they amount to: {"verdicts": [...], "summary": "..."}."""
    plan = record["plan"]
    verdicts = []
    for share in plan["shares"]:
        figures = {key: (values_of(record, share, key), LABELS[key][1]) for key in JUDGED}
        if any(v is None for v, _ in figures.values()):
            failed = next(e for e in record["runs"] if e["failed"] and e["share"] in (None, share))
            said = f"With {_percent(share)} fresh data the chain broke: {failed['run']} failed ({failed['failed']})."
            verdicts.append({"share": share, "verdict": "broken", "figures": [], "sentence": said})
            continue
        found = declines({k: (v, better) for k, (v, better) in figures.items() if v is not None})
        worse = [d for d in found if d.worse]
        blind = len(JUDGED) * least_p(len(plan["seeds"]), plan["generations"]) > LEVEL
        verdict = "collapses" if worse else "inconclusive" if blind else "holds"
        verdicts.append({
            "share": share,
            "verdict": verdict,
            "figures": [_told(d) for d in found],
            "sentence": _sentence(record, share, verdict, found),
        })  # fmt: skip
    return {"verdicts": verdicts, "summary": _summary(verdicts, plan, _slowed(record))}


def _told(d: Decline) -> dict[str, Any]:
    return {**vars(d), "interval": None if d.interval is None else list(d.interval)}


def _sentence(record: Mapping[str, Any], share: float, verdict: str, found: Sequence[Decline]) -> str:
    last = record["plan"]["generations"] - 1
    told = [d for d in found if d.worse or verdict != "collapses"]
    shown = f"{_listed([_ends(record, share, d.key, last) for d in told])}, from generation 0 to {last}"
    head = f"With {_percent(share)} fresh data"
    if verdict == "collapses":
        ps = _listed([f"{d.adjusted:.2g}" for d in told])
        return f"{head} the chain collapses: {shown} (p = {ps}, corrected for {len(found)} figures)."
    if verdict == "holds":
        return f"{head} nothing gets steadily worse by more than chance: {shown}."
    return f"{head} so short an experiment cannot tell: {shown}."


def _ends(record: Mapping[str, Any], share: float, key: str, last: int) -> str:
    """A figure at the two ends of a chain: FD from 5.3 to 21.8."""
    ends = [float(np.mean([means(e)[key] for e in chain(record, share, g)])) for g in (0, last)]
    return f"{LABELS[key][0]} from {ends[0]:.3g} to {ends[1]:.3g}"


def _slowed(record: Mapping[str, Any]) -> str:
    """How far the smallest and the largest share that went to the end came."""
    last = record["plan"]["generations"] - 1
    ends = {share: [means(e)["fd"] for e in found] for share in record["plan"]["shares"]
            if (found := chain(record, share, last))}  # fmt: skip
    if len(ends) < 2:
        return ""
    low, high = min(ends), max(ends)
    there = [f"{float(np.mean(ends[share])):.3g} with {_percent(share)}" for share in (low, high)]
    return f" FD ends at {there[0]} and at {there[1]} fresh data."


def _summary(verdicts: Sequence[Mapping[str, Any]], plan: Mapping[str, Any], slowed: str) -> str:
    """Which share of real data stops the collapse."""
    fallen = [v["share"] for v in verdicts if v["verdict"] in ("collapses", "broken")]
    held = [v["share"] for v in verdicts if v["verdict"] == "holds" and v["share"] > max(fallen, default=-1.0)]
    scope = f"{plan['generations']} generations of {plan['recipe']} on {plan['data']}, {plan['budget']} each"
    scope += f", {len(plan['seeds'])} seed{'s' if len(plan['seeds']) > 1 else ''}"
    if any(v["verdict"] == "inconclusive" for v in verdicts) and not fallen:
        return f"No verdict ({scope}): it takes 5 generations with one seed, or 4 with two."
    if fallen and held:
        return (f"{_percent(min(held))} fresh data is the smallest share tried that stops the collapse, which "
                f"{_percent(max(fallen))} does not ({scope}).")  # fmt: skip
    if fallen:
        return f"No share tried stops the collapse, not even {_percent(max(fallen))} ({scope}).{slowed}"
    return f"No collapse was found at any share tried ({scope}). More generations may show one."


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
