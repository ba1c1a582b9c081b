"""How true a table of samples is: each column, each pair of columns, whether a classifier tells them from real rows,
and whether what is learnt from them holds for real rows.

Rows are cells (N, columns) float64: numbers as they are (nan: missing), categories as codes. The figures are those of
SDMetrics' quality report (column shapes, column pair trends) as distances, and two that need a classifier: the
classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv:1610.06545) and training on samples, testing on real rows
(Esteban et al. 2017, arXiv:1706.02633).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genloom.core import Column
from genloom.errors import BadData
from genloom.metrics.base import Result
from genloom.metrics.shares import clopper_pearson

MOST = 5_000
"""Rows of each side that a classifier sees."""
C2ST = (
    "@inproceedings{lopezpaz2017revisiting, title={Revisiting Classifier Two-Sample Tests}, author={Lopez-Paz, David "
    "and Oquab, Maxime}, booktitle={International Conference on Learning Representations}, year={2017}}"
)
TSTR = (
    "@article{esteban2017real, title={Real-valued (Medical) Time Series Generation with Recurrent Conditional GANs}, "
    "author={Esteban, Cristobal and Hyland, Stephanie L. and Raetsch, Gunnar}, eprint={1706.02633}, year={2017}}"
)


def column_distance(a: np.ndarray, b: np.ndarray, column: Column) -> float:
    """How far two samples (N,), (M,) of one column are apart, from 0 to 1.

    Categories: the total variation distance, half the summed differences of shares. Numbers: the Kolmogorov-Smirnov
    statistic, the greatest difference of the shares below a value; a missing number lies below all others.
    """
    if column.kind == "category":
        k = len(column.values)
        shares = [np.bincount(x.astype(int), minlength=k) / len(x) for x in (a, b)]
        return float(np.abs(shares[0] - shares[1]).sum() / 2)
    x, y = (np.sort(np.where(np.isnan(v), -np.inf, v)) for v in (a, b))
    at = np.unique(np.concatenate([x, y]))
    below = [np.searchsorted(v, at, side="right") / len(v) for v in (x, y)]
    return float(np.abs(below[0] - below[1]).max())


def column_distances(a: np.ndarray, b: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """`column_distance` of every column, (columns,)."""
    return np.array([column_distance(a[:, i], b[:, i], c) for i, c in enumerate(columns)])


def bins(cells: np.ndarray, columns: Sequence[Column], reference: np.ndarray, parts: int = 8) -> np.ndarray:
    """Every cell as a small code (N, columns): categories as they are; numbers by which of `parts` quantile ranges of
    the reference they fall into; missing ones by themselves."""
    out = np.empty(cells.shape, np.int64)
    for i, column in enumerate(columns):
        if column.kind == "category":
            out[:, i] = cells[:, i]
            continue
        edges = np.unique(np.nanquantile(reference[:, i], np.linspace(0, 1, parts + 1)[1:-1]))
        out[:, i] = np.where(np.isnan(cells[:, i]), len(edges) + 1, np.searchsorted(edges, cells[:, i], side="right"))
    return out


def pair_distances(a: np.ndarray, b: np.ndarray, columns: Sequence[Column]) -> np.ndarray:
    """Total variation distances of every pair of columns, (pairs,), numbers in the eighths of b's."""
    x, y = bins(a, columns, b), bins(b, columns, b)
    found = []
    for i in range(len(columns)):
        for j in range(i):
            width = int(max(x[:, j].max(), y[:, j].max())) + 1
            joint = [v[:, i] * width + v[:, j] for v in (x, y)]
            size = int(max(v.max() for v in joint)) + 1
            shares = [np.bincount(v, minlength=size) / len(v) for v in joint]
            found.append(float(np.abs(shares[0] - shares[1]).sum() / 2))
    return np.array(found)


def _classifier(columns: Sequence[Column], seed: int) -> Any:
    """Boosted trees: categories as such up to what the library takes, missing numbers as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    categorical = [c.kind == "category" and len(c.values) <= 200 for c in columns]
    return HistGradientBoostingClassifier(categorical_features=categorical, random_state=seed, max_iter=100)


def detection(samples: np.ndarray, real: np.ndarray, columns: Sequence[Column], seed: int) -> tuple[float, int]:
    """(area under the ROC curve, rows of each side) of boosted trees that tell samples from real rows, out of fold.

    0.5: they cannot be told apart; 1: every row is told.
    """
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    n = min(len(samples), len(real), MOST)
    rng = np.random.default_rng(seed)
    x = np.concatenate([part[rng.permutation(len(part))[:n]] for part in (samples, real)])
    y = np.repeat([1, 0], n)
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    judged = cross_val_predict(_classifier(columns, seed), x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, judged)), n


def area_interval(area: float, n: int, m: int) -> tuple[float, float]:
    """The 95% interval of an area under the ROC curve of n and m rows (Hanley and McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = (area * (1 - area) + (n - 1) * (q1 - area**2) + (m - 1) * (q2 - area**2)) / (n * m)
    half = 1.96 * float(np.sqrt(max(variance, 0.0)))
    return max(0.0, area - half), min(1.0, area + half)


def accuracy(train: np.ndarray, test: np.ndarray, columns: Sequence[Column], target: int, seed: int) -> tuple[int, int]:
    """(rows predicted rightly, rows) of `test` by boosted trees that learn column `target` from `train`'s others."""
    others = [i for i in range(len(columns)) if i != target]
    x, y = train[:MOST, others], train[:MOST, target]
    if len(np.unique(y)) < 2:
        return int((test[:, target] == y[0]).sum()), len(test)
    model = _classifier([columns[i] for i in others], seed).fit(x, y)
    return int((model.predict(test[:, others]) == test[:, target]).sum()), len(test)


def table_figures(
    samples: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    columns: Sequence[Column],
    *,
    target: str | None = None,
    seed: int = 0,
    protocol: Mapping[str, Any] = {},
) -> list[Result]:
    """All figures of samples (n, columns) against held-out rows, each beside its floor: n training rows in their place.

    target: the category that is predicted; the last one by default, none where there is none. Raises BadData for
    fewer than 30 samples or rows.
    """
    least = min(map(len, (samples, train, held_out)))
    if least < 30:
        raise BadData(
            f"figures of tables need at least 30 samples and as many rows of each part, got {least}: give more"
        )
    rng = np.random.default_rng(seed)
    real = train[rng.permutation(len(train))[: len(samples)]]
    shared = {"n_held_out": len(held_out), "seed": seed, **protocol}
    found = []
    for key, name, of in (("columns", "distance of columns", column_distances),
                          ("pairs", "distance of pairs of columns", pair_distances)):  # fmt: skip
        if key == "pairs" and len(columns) < 2:
            continue
        value, floor = (float(of(rows, held_out, columns).mean()) for rows in (samples, real))
        # No interval: the statistic is biased, and a bootstrap's interval would not hold it.
        found.append(Result(key, name, value, None, len(samples), {**shared, "floor": floor}, better="lower"))
    area, n = detection(samples, held_out, columns, seed)
    floor, _ = detection(real, held_out, columns, seed)
    found.append(Result("detection", "told from real rows (area under ROC)", area, area_interval(area, n, n), n,
                        {**shared, "floor": floor, "judge": "boosted trees, 3 folds"}, C2ST, "lower"))  # fmt: skip
    names = [c.name for c in columns if c.kind == "category"]
    wanted = target or (names[-1] if names else None)
    if wanted in names:
        at = [c.name for c in columns].index(wanted)
        right, rows = accuracy(samples, held_out, columns, at, seed)
        best, _ = accuracy(real, held_out, columns, at, seed)
        found.append(Result("utility", f"accuracy for {wanted!r}, learnt from samples", right / rows,
                            clopper_pearson(right, rows), len(samples),
                            {**shared, "floor": best / rows, "judge": "boosted trees"}, TSTR, "higher"))  # fmt: skip
    known = {row.tobytes() for row in np.ascontiguousarray(np.nan_to_num(train, nan=np.inf))}
    copied, natural = (
        sum(row.tobytes() in known for row in np.ascontiguousarray(np.nan_to_num(part, nan=np.inf)))
        for part in (samples, held_out)
    )
    found.append(Result("copied_rows", "rows that are training rows", copied / len(samples),
                        clopper_pearson(copied, len(samples)), len(samples),
                        {**shared, "floor": natural / len(held_out), "n_train": len(train)}))  # fmt: skip
    return found
