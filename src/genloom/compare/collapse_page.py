"""The page of an experiment on collapse, from its record and the samples that lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t as student

from genloom.compare.collapse_words import JUDGED, LABELS, chain
from genloom.compare.generations import name_of
from genloom.report.collapse import Chain, CollapsePage, Trace, write_collapse

if TYPE_CHECKING:
    from PIL import Image

    from genloom.data import Dataset

COLUMNS = 16
LARGE = 96  # pixels a side above which fewer samples stand in a row


def write_page(record: Mapping[str, Any], folder: Path, real: Dataset, again: str) -> Path:
    """Writes EXPERIMENT/report.html. Raises Storage."""
    plan = record["plan"]
    many = len(plan["seeds"]) > 1
    page = CollapsePage(
        title=f"Model collapse: {plan['recipe']} on {plan['data']}, {plan['generations']} generations",
        summary=record["summary"],
        traces=[_trace(record, key) for key in LABELS if any(key in e["figures"] for e in record["runs"])],
        chains=[
            Chain(_fresh(v["share"]), v["verdict"], v["sentence"], _samples(record, folder, v["share"]))
            for v in record["verdicts"]
        ],
        real=_real(real),
        band="Bands are the range over seeds." if many else "Bands are 95% intervals over sets of samples.",
        protocol=_protocol(record),
        commands=(again,),
        made=record["made"],
    )
    return write_collapse(page, folder / "report.html")


def _fresh(share: float) -> str:
    return f"{100 * share:.3g}% fresh data"


def _trace(record: Mapping[str, Any], key: str) -> Trace:
    plan = record["plan"]
    drawn = []
    for share in plan["shares"]:
        points = []
        for g in range(plan["generations"]):
            found = [e for e in chain(record, share, g) if key in e["figures"]]
            if found:
                points.append((float(g), *_spread([e["figures"][key] for e in found])))
        drawn.append((_fresh(share), points))
    name, better, says = LABELS[key]
    return Trace(name if key not in JUDGED else f"{name} (judged)", says, better, drawn, record["floors"].get(key))


def _spread(values: list[list[float]]) -> tuple[float, float, float]:
    """(mean, low, high): over seeds the range of their means, of one seed Student's interval over its sets."""
    each = [float(np.mean(v)) for v in values]
    middle = sum(each) / len(each)
    if len(each) > 1:
        return middle, min(each), max(each)
    sets = np.asarray(values[0])
    if len(sets) < 2:
        return middle, middle, middle
    half = float(student.ppf(0.975, len(sets) - 1)) * float(sets.std(ddof=1)) / len(sets) ** 0.5
    return middle, middle - half, middle + half


def _samples(record: Mapping[str, Any], folder: Path, share: float) -> Image.Image | None:
    """A row of samples for each generation of the first seed."""
    from genloom.report.pictures import sheet
    from genloom.verbs.sheets import enlarged

    plan = record["plan"]
    rows = []
    for g in range(plan["generations"]):
        path = folder / "samples" / f"{name_of(plan['seeds'][0], share if g else None, g)}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as file:
                images = file["images"]
            rows.append(images[: COLUMNS if max(images.shape[1:3]) <= LARGE else COLUMNS // 2])
    return sheet(rows, enlarged(*rows[0].shape[1:3])) if rows else None


def _real(real: Dataset) -> Image.Image:
    import torch

    from genloom.verbs.sheets import tiles

    image = next(k for k, f in real.spec.items() if f.role == "item")
    rows = torch.linspace(0, len(real.test) - 1, min(2 * COLUMNS, len(real.test))).long()
    return tiles(real.test.raw(rows)[image], columns=COLUMNS)


def _protocol(record: Mapping[str, Any]) -> list[str]:
    plan = record["plan"]
    by_class = any(e.get("by_class") for e in record["runs"])
    said = [
        f"Generation 0 learnt from {plan['items']:,} real training items. Every other generation was trained from new "
        f"weights on {plan['items']:,} items: samples of the generation before it, and the stated share of real "
        "training items, drawn anew each time from the whole training part. All have one recipe and one budget "
        f"({plan['budget']}). Real held-out items were never trained on.",
        f"Figures are means over {plan['sets']} disjoint sets of {plan['n']:,} samples each (where neighbours count, "
        f"of as many as there are held-out items, if those are fewer), against held-out items of {plan['data']} "
        f"(digest {plan['digest'][:12]}), in the features of the extractor that was trained on the real data.",
        f"A chain collapses where {', '.join(LABELS[k][0] for k in JUDGED)} get worse by more than chance: a "
        "permutation test over the order of generations, corrected for the number of figures by Holm's method, "
        "significant at 5%; and a last generation that differs from generation 0 by more than the chance in samples "
        "(Welch's t, 95%). Differences within that are not called collapse. That nothing was found is no proof that "
        "nothing is there: more seeds and generations see more.",
    ]
    if by_class:
        said.append(
            "The model draws by class, and classes were asked for as often as they occur in real data: so shares of "
            "classes show whether it still obeys, not which classes it would drop by itself."
        )
    slips = [f"{e['run']}: {e['failed']}" for e in record["runs"] if e["failed"]]
    return [*said, *plan["notes"], *slips]
