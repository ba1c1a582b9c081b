"""How far a collection of pieces lies from a reference: descriptor by descriptor, and in steps from chord to chord.

A distance between two finite sets is above 0 even where both come from one source, so each stands beside its floor (as
many training pieces against the same reference) and with p, how often a random split of all pieces into two such sets
lies as far apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.music.descriptors import BAR, NAMES, describe
from genloom.metrics.music.keys import chord_transitions
from genloom.metrics.music.pieces import as_piece

CITATION = (
    "@article{yang2020evaluation, title={On the Evaluation of Generative Models in Music}, author={Yang, Li-Chia and "
    "Lerch, Alexander}, journal={Neural Computing and Applications}, volume={32}, pages={4773--4784}, year={2020}}"
)
FEWEST = 10
RESAMPLES = 500
Array = NDArray[np.float64]


def compare(
    pieces: Sequence[Any],
    reference: Sequence[Any],
    train: Sequence[Any] | None = None,
    *,
    bar: int = BAR,
    seed: int = 0,
) -> list[Result]:
    """Earth mover's distances of eight descriptors' distributions over pieces, and the Jensen-Shannon divergence of
    chord transitions in bits, between `pieces` and `reference`.

    pieces, reference: (T, V) MIDI pitches by sixteenth, rests -1 (`as_piece` says what is understood); train: pieces
    the model learnt from, for the floor; bar: steps in a bar; seed: of resampling. Protocols hold the two means too.
    Raises BadValue for fewer than ten pieces on a side, BadData for what is no piece.
    """
    if min(len(pieces), len(reference)) < FEWEST:
        raise BadValue(f"expected at least {FEWEST} pieces on each side, got {len(pieces)} and {len(reference)}")
    mine, theirs = ([as_piece(p) for p in side] for side in (pieces, reference))
    known = None if train is None else [as_piece(p) for p in train[: len(pieces)]]
    told, beside = ([describe(p, bar) for p in side] for side in (mine, theirs))
    before = None if known is None else [describe(p, bar) for p in known]
    results = []
    for key, (name, unit) in NAMES.items():
        a, b = (_values(side, key) for side in (told, beside))
        if min(len(a), len(b)) < FEWEST:
            continue
        floor = None if before is None else earth_movers(_values(before, key), b)
        protocol: dict[str, Any] = {
            "unit": unit,
            "bar": bar,
            "mean": float(a.mean()),
            "mean_reference": float(b.mean()),
        }
        results.append(_result(f"music_{key}", f"{name}: distance", a, b, earth_movers, floor, protocol, seed))
    a, b = (np.stack([chord_transitions(p).ravel() for p in side]) for side in (mine, theirs))
    floor = None if known is None else jensen_shannon(np.stack([chord_transitions(p).ravel() for p in known]), b)
    there = (a.sum(0) + b.sum(0)) > 0  # most of the 2,401 steps occur in neither
    a, b = a[:, there], b[:, there]
    results.append(
        _result("music_chords", "chord transitions: divergence", a, b, jensen_shannon, floor, {"unit": "bits"}, seed)
    )
    return results


def earth_movers(a: Array, b: Array) -> float:
    """The 1-Wasserstein distance of two sets of numbers: the area between their distribution functions."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(a, b))


def jensen_shannon(a: Array, b: Array) -> float:
    """The Jensen-Shannon divergence in bits of two sets of counts (pieces, kinds), each summed: 0 to 1."""
    p, q = a.sum(0), b.sum(0)
    if not p.sum() or not q.sum():
        return 1.0
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2

    def to_middle(x: Array) -> float:
        there = x > 0
        return float((x[there] * np.log2(x[there] / middle[there])).sum())

    return max(0.0, (to_middle(p) + to_middle(q)) / 2)


def _values(told: Sequence[dict[str, float]], key: str) -> Array:
    """A descriptor of all pieces that are long enough for it."""
    found = np.array([one[key] for one in told])
    return found[np.isfinite(found)]


def _result(
    key: str,
    name: str,
    a: Array,
    b: Array,
    distance: Callable[[Array, Array], float],
    floor: float | None,
    protocol: dict[str, Any],
    seed: int,
) -> Result:
    value, interval = distance(a, b), basic_interval(a, b, distance, seed)
    how = {
        **protocol,
        "n_held_out": len(b),
        "p": permutation_p(a, b, distance, seed),
        "interval": f"basic bootstrap over pieces, 95%, {RESAMPLES} resamples, seed {seed}; of the distance between "
        "the sources, above which that of two finite sets may lie",
        **({} if floor is None else {"floor": floor, "samples_of_the_floor": "training pieces"}),
    }
    return Result(key, name, value, interval, len(a), how, CITATION, "lower")


def basic_interval(a: Array, b: Array, distance: Callable[[Array, Array], float], seed: int) -> tuple[float, float]:
    """The 95% interval of a distance by the basic bootstrap, at least 0.

    Resampled sets lie further apart than the sets do, as these lie further apart than their sources. Percentiles of
    resampled distances would add that excess a second time; reflecting them at the value takes it off.
    """
    random = np.random.default_rng(seed)
    found = [
        distance(a[random.integers(0, len(a), len(a))], b[random.integers(0, len(b), len(b))]) for _ in range(RESAMPLES)
    ]
    value = distance(a, b)
    low, high = np.quantile(found, (0.025, 0.975))
    return max(0.0, float(2 * value - high)), max(0.0, float(2 * value - low))


def permutation_p(a: Array, b: Array, distance: Callable[[Array, Array], float], seed: int) -> float:
    """How often a random split of all pieces lies as far apart as the two sets do, the given one counted in."""
    random = np.random.default_rng(seed)
    both, value = np.concatenate([a, b]), distance(a, b) - 1e-12
    far = 0
    for _ in range(RESAMPLES - 1):
        order = random.permutation(len(both))
        far += distance(both[order[: len(a)]], both[order[len(a) :]]) >= value
    return (1 + far) / RESAMPLES
