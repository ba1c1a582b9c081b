"""`genloom search`: items with a property, found by searching a model's latent space.

The search begins at codes of training items (of a model that does not encode: at draws of its prior), decodes them, and
computes the property of what comes out. Each round then fits a Gaussian process to all codes seen so far, and decodes
those near the best ones where it expects most (`genloom.samplers.search`). What is found stands beside as many training
items, and beside as many random samples, as items were decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from genloom.errors import BadData, BadValue
from genloom.modalities.registry import modality
from genloom.verbs.drawn import picture
from genloom.verbs.opened import AnyRun, data_of, open_run
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Table
from genloom.verbs.walks import decoded

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genloom.core import CanDecode, Field
    from genloom.data import Dataset
    from genloom.engine.load import Loaded
    from genloom.metrics.measures import Measure

BEST = 10  # of which a mean is given
NAMED = 5  # that are printed
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Goal:
    """What is sought: a value near `target`, or the greatest, or with `least` the least."""

    target: float | None
    least: bool

    def worth(self, values: np.ndarray) -> np.ndarray:
        """Greater is better; nan stays nan."""
        if self.target is not None:
            return -np.abs(values - self.target)
        return -values if self.least else values

    @property
    def words(self) -> str:
        return "lowest" if self.least else "highest" if self.target is None else f"nearest to {self.target:g}"


@dataclass(frozen=True)
class Seen:
    """Items with the number and the one spelling of each."""

    items: Tensor
    values: np.ndarray
    names: list[str | None]

    @classmethod
    def of(cls, items: Tensor, measure: Measure, field: Field) -> Seen:
        from genloom.metrics.measures import spelled

        return cls(items, measure.of(items), spelled(items, field))

    def __add__(self, other: Seen) -> Seen:
        import torch

        values = np.concatenate([self.values, other.values])
        return Seen(torch.cat([self.items, other.items]), values, [*self.names, *other.names])

    def different(self) -> list[int]:
        """The first place of every item that has a number."""
        first: dict[str, int] = {}
        for i, (name, value) in enumerate(zip(self.names, self.values, strict=True)):
            if name is not None and np.isfinite(value):
                first.setdefault(name, i)
        return list(first.values())


def search(
    run: AnyRun,
    property: str,
    *,
    target: float | None = None,
    minimise: bool = False,
    n: int = 16,
    start: int = 500,
    rounds: int = 10,
    tries: int = 50,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    runs: str | Path = "runs",
) -> Table:
    """The n best items of `rounds` rounds of `tries` each, which begin at `start` training items, by a `property`.

    property: of molecules "logp", "qed", "weight", "rings" or "sa"; of any items "package.module:function", which is
    given items (n, ...) in the data's range and answers n numbers, nan where an item has none. It is to be as great as
    possible, or with `minimise` as small, or near `target`.

    The table sets what was tried beside as many training items and as many samples of the prior as were decoded in all:
    how many are items at all, differ, and are in no training line; the mean, the mean of the best ten, and the best.
    out: a file or folder that samples can be written to, best first. Raises BadValue where the model has no latent
    space, NotFound for an unknown property, BadData where too little that is decoded has the property.
    """
    import torch

    from genloom.core import CanDecode
    from genloom.engine import preview
    from genloom.metrics.measures import measure_for

    for value, flag in ((n, "-n"), (rounds, "--rounds"), (tries, "--tries"), (start, "--start")):
        check_count(value, flag)
    if target is not None and minimise:
        raise BadValue("--target and --minimise exclude each other: leave one of them out")
    loaded = open_run(run, runs, raw)
    name, kind = preview.item_field(loaded.spec)
    field = loaded.spec[name]
    if not isinstance(loaded.model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space to search (try `genloom sample`)")
    if modality(kind).written:
        raise BadValue(f"`genloom search` writes files of items; {loaded.run.path} makes {modality(kind).plural}")
    measure, goal = measure_for(property, field), Goal(target, minimise)
    words = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{property}-{goal.words}")
    stem = loaded.run.samples / f"search-{words}-seed{seed}{'-raw' * raw}{modality(kind).writes[0]}"
    place = check_out(out or stem, kind)
    dataset = data_of(loaded)
    generator = torch.Generator().manual_seed(seed)
    total = start + rounds * tries
    chosen = torch.randperm(len(dataset.train), generator=generator)[: max(total, start)]
    with torch.no_grad(), preview.resting(loaded.model):
        codes = _begun(loaded, dataset, chosen[:start], name, generator)
        began = known = _tried(loaded, codes, name, measure, field)
        for _ in range(rounds):
            further = _proposed(codes, known, goal, tries, generator)
            codes = torch.cat([codes, further])
            known = known + _tried(loaded, further, name, measure, field)
        drawn = _drawn(loaded, total, generator)
        random = _tried(loaded, drawn, name, measure, field)
        real = Seen.of(dataset.train.batch(chosen)[name], measure, field)
    found = Seen(known.items[start:], known.values[start:], known.names[start:])
    sets = {"training items": real, "random samples": random, "where it began": began, "found": found}
    novel = _novel(dataset, list(sets.values())) if kind == "molecule" else None
    rows = [_row(title, seen, goal, novel if seen is not real else None) for title, seen in sets.items()]
    best = sorted(found.different(), key=lambda i: -goal.worth(found.values)[i])[:n]
    if not best:
        raise BadData(f"nothing that the search decoded has a {measure.name}: train {loaded.run.path} for longer")
    data = {"run": str(loaded.run.path), "property": property, "target": target, "minimise": minimise, "seed": seed}
    picture(found.items[best], field, place, data, out=out)
    items = [{"value": float(found.values[i]), **_called(found, i, kind, novel)} for i in best]
    notes = [
        f"{measure.name}, {goal.words}: best of {len(found.names):,} tried, after {start:,} to begin with",
        *(f"{row['value']:.3f}  {row.get('molecule', '')}".rstrip() for row in items[:NAMED]),
        f"the {len(best)} best: {place}",
    ]
    columns = tuple(rows[0])
    more = {**data, "best": items, "out": str(place), "distribution": {k: _spread(s) for k, s in sets.items()}}
    return Table("sets", columns, tuple(tuple(r.values()) for r in rows), tuple(notes), more)


def _begun(loaded: Loaded, dataset: Dataset, index: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Codes of these training items, or as many draws of the prior."""
    import torch

    from genloom.core import CanEncode

    if not isinstance(loaded.model, CanEncode):
        return _drawn(loaded, len(index), generator)
    parts = [dataset.train.batch(rows) for rows in index.split(256)]
    return torch.cat([loaded.model.encode({k: v.to(loaded.device) for k, v in part.items()}).cpu() for part in parts])


def _drawn(loaded: Loaded, n: int, generator: torch.Generator) -> Tensor:
    import torch

    own = torch.Generator(loaded.device).manual_seed(int(torch.randint(2**62, (), generator=generator)))
    return cast("CanDecode", loaded.model).prior(n, generator=own).cpu()


def _tried(loaded: Loaded, codes: Tensor, name: str, measure: Measure, field: Field) -> Seen:
    return Seen.of(decoded(cast("CanDecode", loaded.model), codes.to(loaded.device), name, None), measure, field)


def _proposed(codes: Tensor, known: Seen, goal: Goal, tries: int, generator: torch.Generator) -> Tensor:
    """Codes to try next; of several codes of the same item only the first counts."""
    import torch

    from genloom.samplers.search import propose

    different = known.different()
    if len(different) < 2:
        raise BadData(
            f"of {len(known.names):,} items that were decoded {len(different)} differ and have the property: too few "
            "to go on from; train for longer, or raise --start"
        )
    without = [i for i, v in enumerate(known.values) if not np.isfinite(v)]
    rows = torch.tensor([*different, *without])
    worth = torch.from_numpy(goal.worth(known.values))
    return propose(codes[rows].flatten(1), worth[rows], tries, generator).unflatten(1, codes.shape[1:])


def _novel(dataset: Dataset, sets: list[Seen]) -> set[str]:
    """Which molecules are no training line, of those seen."""
    from genloom.metrics.drawn_molecules import lines

    seen = {name for one in sets for name in one.names if name is not None}
    return seen - seen.intersection(lines(cast(Any, dataset.train)))


def _row(title: str, seen: Seen, goal: Goal, novel: set[str] | None) -> dict[str, Any]:
    different = seen.different()
    valid = np.isfinite(seen.values)
    values = seen.values[different]
    order = np.argsort(-goal.worth(values), kind="stable")
    new = None if novel is None else sum(seen.names[i] in novel for i in different) / max(1, len(different))
    if goal.target is None:
        scored, title_of_best, more = values, f"best {BEST}", {}
    else:
        scored, title_of_best = np.abs(values - goal.target), f"distance, best {BEST}"
        more = {"distance": float(scored.mean()) if len(values) else None}
    return {
        "": title,
        "tried": len(seen.names),
        "valid": float(valid.mean()) if len(valid) else 0.0,
        "different": len(different) / max(1, int(valid.sum())),
        "novel": new,
        "mean": float(values.mean()) if len(values) else None,
        **more,
        title_of_best: float(scored[order[:BEST]].mean()) if len(values) else None,
        "best": float(values[order[0]]) if len(values) else None,
    }


def _spread(seen: Seen) -> dict[str, float]:
    """Quantiles of the number over different items."""
    values = seen.values[seen.different()]
    return {f"{q:g}": float(np.quantile(values, q)) for q in QUANTILES} if len(values) else {}


def _called(seen: Seen, i: int, kind: str, novel: set[str] | None) -> dict[str, Any]:
    return {} if kind != "molecule" or novel is None else {"molecule": seen.names[i], "novel": seen.names[i] in novel}
