"""How good molecules are: whether they are any, are different ones, are new, and are like held-out ones (MOSES).

All figures follow Polykovskiy et al. 2020 (arXiv:1811.12823): of the drawn strings the valid share; of the first n
valid ones the share of different molecules; of the different ones the share that no training line holds; how unlike
each other they are; and Wasserstein distances of properties to held-out molecules, beside what training molecules
reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from genloom.errors import BadData
from genloom.metrics.base import Result
from genloom.metrics.music.apart import basic_interval, earth_movers
from genloom.metrics.shares import clopper_pearson
from genloom.modalities import chemistry

CITATION = (
    "@article{polykovskiy2020molecular, title={Molecular Sets (MOSES): A Benchmarking Platform for Molecular "
    "Generation Models}, author={Polykovskiy, Daniil and others}, journal={Frontiers in Pharmacology}, "
    "volume={11}, year={2020}}"
)
UNIQUE = (1_000, 10_000)
SIMILAR = 2_000
"""Molecules among which likeness is measured."""
MEASURED = 2_000
"""Molecules of each side whose properties are compared."""
_FEWEST = 10


def internal_diversity(molecules: Sequence[str]) -> tuple[float, tuple[float, float] | None]:
    """One less the mean Tanimoto likeness of Morgan fingerprints over all pairs of different places, and the
    jackknife's 95% interval over molecules."""
    known = [s for s in molecules if chemistry.molecule(s) is not None]
    n = len(known)
    if n < 2:
        return 0.0, None
    x = chemistry.fingerprints(known)
    both, own = x @ x.T, x.sum(1)
    likeness = both / np.maximum(own[:, None] + own[None, :] - both, 1)
    np.fill_diagonal(likeness, 0.0)
    rows = likeness.sum(1)
    total = float(rows.sum())
    value = 1 - total / (n * (n - 1))
    if n < _FEWEST:
        return value, None
    without = 1 - (total - 2 * rows) / ((n - 1) * (n - 2))
    half = 1.96 * float(np.sqrt((n - 1) / n * np.square(without - without.mean()).sum()))
    return value, (max(0.0, value - half), min(1.0, value + half))


def molecule_figures(
    drawn: Sequence[str],
    held_out: Sequence[str],
    train: Sequence[str],
    known: Iterable[str],
    *,
    seed: int = 0,
) -> list[Result]:
    """All figures of `drawn` strings. held_out: molecules to be like; train: training molecules, for the floors; known:
    every training line, which is read once. Raises BadData where nothing was drawn."""
    if not drawn:
        raise BadData("no molecule was drawn: there is nothing to measure")
    n = len(drawn)
    written = [chemistry.canonical(s) for s in drawn]
    valid = [w for w in written if w is not None]
    shared: dict[str, Any] = {"canonical": "rdkit", "seed": seed}
    found = [_share("valid", "valid", len(valid), n, shared)]
    if not valid:
        return found
    for most in UNIQUE:
        some = valid[:most]
        name = f"unique@{most // 1000}k"
        if len(some) == most or most == UNIQUE[0]:
            found.append(_share(f"unique_{most}", name, len(set(some)), len(some), {**shared, "of": len(some)}))
    different = set(valid)
    told = sum(chemistry.canonical(s) == s for s in train) / max(1, len(train))
    # The training lines themselves, as rdkit wrote them then: `canonical_lines` is the share it writes so today.
    seen = different.intersection(known)
    protocol = {**shared, "canonical_lines": told}
    found.append(_share("novel", "novel", len(different) - len(seen), len(different), protocol))
    value, interval = internal_diversity(valid[:SIMILAR])
    floor = internal_diversity(held_out[:SIMILAR])[0]
    how = {**shared, "fingerprint": "Morgan, radius 2, 1,024 bits", "interval": "jackknife, 95%", "floor": floor}
    found.append(Result("diversity", "internal diversity", value, interval, len(valid[:SIMILAR]), how, CITATION))
    for name in chemistry.COMPARED:
        mine, theirs, real = (chemistry.properties(part[:MEASURED], name) for part in (valid, held_out, train))
        mine, theirs, real = (part[np.isfinite(part)] for part in (mine, theirs, real))
        if min(map(len, (mine, theirs, real))) < _FEWEST:
            continue
        how = {
            **shared,
            "n_held_out": len(theirs),
            "mean": float(mine.mean()),
            "mean_held_out": float(theirs.mean()),
            "floor": earth_movers(real, theirs),
            "samples_of_the_floor": "training molecules",
            "interval": "basic bootstrap, 95%",
        }
        interval = basic_interval(mine, theirs, earth_movers, seed)
        found.append(Result(f"distance_{name}", f"{chemistry.NAMES[name]}: Wasserstein distance",
                            earth_movers(mine, theirs), interval, len(mine), how, CITATION, "lower"))  # fmt: skip
    return found


def target_results(name: str, told: Sequence[str], free: Sequence[str], targets: np.ndarray) -> list[Result]:
    """How far a property of molecules lies from the one that was asked for: of those that were told it, and of
    those that were told nothing, beside the same targets. Strings that are no molecules are left out and counted."""
    found = []
    for key, what, drawn in (("target", "told", told), ("target_untold", "told nothing", free)):
        gap = np.abs(chemistry.properties(drawn, name) - targets)
        known = gap[np.isfinite(gap)]
        if not len(known):
            continue
        half = 1.96 * float(known.std(ddof=1)) / np.sqrt(len(known)) if len(known) > 1 else 0.0
        mean = float(known.mean())
        protocol = {"property": name, "left_out": len(drawn) - len(known), "interval": "mean +- 1.96 standard errors"}
        found.append(Result(key, f"distance to the {chemistry.NAMES[name]} asked for, {what}", mean,
                            (mean - half, mean + half), len(known), protocol, better="lower"))  # fmt: skip
    return found


def _share(key: str, name: str, count: int, n: int, protocol: dict[str, Any]) -> Result:
    how = {**protocol, "interval": "Clopper-Pearson, 95%"}
    return Result(key, name, count / n, clopper_pearson(count, n), n, how, CITATION, "higher")
