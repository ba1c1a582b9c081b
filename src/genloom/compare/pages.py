"""The two pages of a comparison: the report, and the page of blind trials."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.compare.blind import REAL, Item, write_page
from genloom.compare.board import comparison
from genloom.modalities.registry import modality

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Field
    from genloom.engine.journal import Reporter
    from genloom.runs import Run

PICTURES, PASSAGES, LENGTH = 24, 12, 300
REPORT, BLIND = "report.html", "blind.html"


def write_pages(record: Mapping[str, Any], folder: Path, again: str, say: Reporter) -> None:
    """Writes both into `folder`, with the run of the first seed for each contestant."""
    from genloom.runs import Run

    plan = record["plan"]
    first = plan["seeds"][0]
    runs = {
        e["contestant"]: Run(folder / "runs" / e["run"])
        for e in record["runs"]
        if e["seed"] == first and not e.get("failed")
    }
    if not runs:
        return
    say.say(f"{folder / BLIND}: samples to be judged blind")
    _write_blind(plan, runs, folder / BLIND, str(record["identity"]))
    _write_report(record, runs, folder, again, say)


def _write_report(record: Mapping[str, Any], runs: Mapping[str, Run], folder: Path, again: str, say: Reporter) -> None:
    from genloom.report.write import write_report
    from genloom.verbs.report import gather

    title = f"{_listed([c['word'] for c in record['plan']['contestants']])} on {record['plan']['data']}"
    report = gather(list(runs.values()), title, again, seed=record["plan"]["evaluation_seed"], say=say)
    samples = {word: shown.samples for word, shown in zip(runs, report.runs, strict=True)}
    board = comparison(record, samples, BLIND)
    order = {s.name: s.rank for s in board.standings}
    ranked = [shown for _, shown in sorted(zip(runs, report.runs, strict=True), key=lambda p: order[p[0]])]
    protocol = tuple(report.protocol) or _usual()
    report = replace(report, runs=ranked, comparison=board, protocol=(*protocol, *_protocol(record, board.test)),
                     made=time.strftime("%Y-%m-%d %H:%M"))  # fmt: skip
    write_report(report, folder / REPORT)


def _usual() -> tuple[str, ...]:
    from genloom.report.content import PROTOCOL

    return PROTOCOL


def _protocol(record: Mapping[str, Any], test: str) -> list[str]:
    plan = record["plan"]
    said = [
        f"All contestants had the same data (digest {plan['digest'][:8]}), split, budget ({plan['budget']} each), "
        f"seeds ({', '.join(map(str, plan['seeds']))}), feature extractor, number of measured items "
        f"(n = {plan['n']:,}) and evaluation seed ({plan['evaluation_seed']}). " + test
    ]
    if plan["moments"]:
        said.append(
            f"Curves measure weights kept during training on {plan['curve_n']:,} items, their last point too, so they "
            "compare with each other and not with the figures of the table. A point shows how far a run was on its "
            "way, not what a run of that length would reach: rates fall towards the end of a budget."
        )
    return [*said, *plan["notes"]]


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _write_blind(plan: Mapping[str, Any], runs: Mapping[str, Run], path: Path, identity: str) -> None:
    from genloom.verbs.opened import data_of, open_run

    seed = plan["evaluation_seed"]
    items: list[Item] = []
    for i, (word, run) in enumerate(runs.items()):
        loaded = open_run(run)
        if i == 0:
            items += _real(data_of(loaded), seed)
        items += _drawn(loaded, word, seed)
    if len({item.maker for item in items}) > 1:
        title = f"Which looks more like real {plan['data']}?"
        write_page(items, path, title=title, identity=identity[:16], seed=seed)


def _real(dataset: Any, seed: int) -> list[Item]:
    import torch

    from genloom.engine.preview import item_field

    name, kind = item_field(dataset.spec)[0], modality(item_field(dataset.spec)[1])
    draw = torch.Generator().manual_seed(seed)
    if not kind.written:
        index = torch.randperm(len(dataset.test), generator=draw)[:PICTURES]
        return [Item(REAL, png) for png in _pngs(dataset.test.raw(index)[name], dataset.spec[name])]
    length = dataset.test.spec[name].shape[0]
    span = max(1, -(-LENGTH // length))
    last = max(1, len(dataset.test) - (span - 1) * length)
    found = []
    for start in torch.randint(last, (PASSAGES,), generator=draw).tolist():
        index = (start + torch.arange(span) * length).clamp(max=len(dataset.test) - 1)
        ids = dataset.test.raw(index)[name].flatten().tolist()
        found.append(Item(REAL, dataset.tokenizer.decode(ids)[:LENGTH]))
    return found


def _drawn(loaded: Any, word: str, seed: int) -> list[Item]:
    from genloom.core import CanSample
    from genloom.engine.preview import item_field
    from genloom.verbs.drawn import draw
    from genloom.verbs.opened import sampling, several

    if not isinstance(loaded.model, CanSample):
        return []
    name, kind = item_field(loaded.spec)
    if not modality(kind).written:
        items = draw(loaded, PICTURES, seed=seed, options=sampling())[:: max(1, several(loaded.spec))]
        return [Item(word, png) for png in _pngs(items, loaded.spec[name])]
    items = draw(loaded, PASSAGES, seed=seed, options=sampling(length=LENGTH))
    return [Item(word, loaded.tokenizer.decode(row.tolist())[:LENGTH]) for row in items]


def _pngs(items: Tensor, field: Field) -> list[bytes]:
    from genloom.modalities.image import png

    codec = modality(field.modality).codec
    return [png(codec.picture(one[None], field, 1)) for one in items]
