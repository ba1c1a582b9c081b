"""Two kinds of models on the same data: p(y | x), which tells classes apart, and p(x, y), which knows how items look.

    python examples/two_kinds.py       # ten seconds; writes two_kinds.png and prints the figures of docs/two-kinds.md

Logistic regression and linear discriminant analysis are the classic pair (Efron 1975; Ng & Jordan 2001): both say
log p(y | x) = w_y x + b_y + const, so as classifiers they can express exactly the same. Only what is fitted differs:
the first maximises p(y | x), the second p(x, y) = p(y) N(x; mean_y, covariance).
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import genloom
from genloom.modalities import image

Floats = NDArray[np.float64]
CLASSES, SIDE = 10, 8


class Generative:
    """p(x, y) = p(y) N(x; mean_y, covariance): one Gaussian a class, one covariance for all, shrunk towards a multiple
    of the identity (Ledoit & Wolf 2004) so that few items are enough."""

    def fit(self, x: Floats, y: NDArray[np.int64]) -> Generative:
        """x (N, D), y (N,) in 0..9, every class at least once."""
        self.prior = np.bincount(y, minlength=CLASSES) / len(y)
        self.mean = np.stack([x[y == c].mean(0) for c in range(CLASSES)])
        self.covariance = ledoit_wolf(x - self.mean[y], assume_centered=True)[0]
        return self

    def log_joint(self, x: Floats, seen: NDArray[np.bool_] | None = None) -> Floats:
        """log p(x, y) for every class, (N, 10). seen (D,): pixels that are known; the others are integrated out, which
        for a Gaussian means leaving out their rows and columns."""
        seen = np.ones(x.shape[1], bool) if seen is None else seen
        factor = np.linalg.cholesky(self.covariance[np.ix_(seen, seen)])
        apart = np.linalg.solve(factor, (x[:, None, seen] - self.mean[None][:, :, seen]).reshape(-1, seen.sum()).T)
        distance = (apart**2).sum(0).reshape(len(x), CLASSES)
        constant = seen.sum() * np.log(2 * np.pi) + 2 * np.log(np.diag(factor)).sum()
        return np.log(self.prior) - 0.5 * (distance + constant)

    def predict(self, x: Floats, seen: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Bayes' rule: the class of the largest p(y | x) = p(x, y) / p(x)."""
        return self.log_joint(x, seen).argmax(1)

    def log_density(self, x: Floats) -> Floats:
        """log p(x), the sum over classes: how usual an item is."""
        return logsumexp(self.log_joint(x), axis=1)

    def sample(self, y: NDArray[np.int64], random: np.random.Generator) -> Floats:
        """One new item of each class in y."""
        return self.mean[y] + random.multivariate_normal(np.zeros(self.mean.shape[1]), self.covariance, len(y))

    def complete(self, x: Floats, seen: NDArray[np.bool_]) -> Floats:
        """x with the unseen pixels at their conditional mean given the seen ones and the likeliest class."""
        mean = self.mean[self.predict(x, seen)]
        gain = np.linalg.solve(self.covariance[np.ix_(seen, seen)], self.covariance[np.ix_(seen, ~seen)])
        out = x.copy()
        out[:, ~seen] = mean[:, ~seen] + (x[:, seen] - mean[:, seen]) @ gain
        return out


def discriminative(x: Floats, y: NDArray[np.int64], penalty: bool = True) -> LogisticRegression:
    """p(y | x) by logistic regression, with the usual squared penalty on its weights or with almost none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without a penalty the weights grow for ever where classes can be separated
        return LogisticRegression(C=1.0 if penalty else 1e6, max_iter=300).fit(x, y)


def digits() -> tuple[Floats, NDArray[np.int64], Floats, NDArray[np.int64]]:
    """genloom's `digits`: training and test images as rows in [-1, 1], and their classes."""
    data = genloom.data.load(genloom.data.DataOptions("digits"))
    parts = [split.batch(torch.arange(len(split))) for split in (data.train, data.test)]
    return tuple(a for p in parts for a in (p["image"].flatten(1).double().numpy(), p["label"].numpy()))  # type: ignore[return-value]


def some(y: NDArray[np.int64], n: int, random: np.random.Generator) -> NDArray[np.int64]:
    """n rows drawn at random, each class at least twice."""
    order = random.permutation(len(y))
    first = np.concatenate([order[y[order] == c][:2] for c in range(CLASSES)])
    rest = np.setdiff1d(order, first)
    return np.concatenate([first, random.permutation(rest)[: n - len(first)]])


def photographs(n: int, random: np.random.Generator) -> Floats:
    """n grey patches of a photograph, of the digits' size and range: things that are no digits."""
    grey = load_sample_image("china.jpg").mean(2) / 127.5 - 1
    rows, columns = (random.integers(0, s - SIDE, n) for s in grey.shape)
    return np.stack([grey[r : r + SIDE, c : c + SIDE].ravel() for r, c in zip(rows, columns, strict=True)])


def measure(sizes: list[int], repeats: int) -> tuple[dict[str, object], dict[str, Floats]]:
    """All figures, and the pictures behind them."""
    x, y, x_test, y_test = digits()
    seen = np.tile(np.arange(SIDE) < SIDE // 2, SIDE)  # the left half of every row
    curve = {}
    for n in sizes:
        wrong = []
        for repeat in range(repeats if n < len(y) else 1):
            at = some(y, n, np.random.default_rng(repeat)) if n < len(y) else np.arange(len(y))
            by_rule = Generative().fit(x[at], y[at]).predict(x_test) != y_test
            directly = discriminative(x[at], y[at]).predict(x_test) != y_test
            bare = discriminative(x[at], y[at], penalty=False).predict(x_test) != y_test
            wrong.append((by_rule.mean(), directly.mean(), bare.mean()))
        curve[n] = [round(float(v), 4) for v in np.mean(wrong, 0)]
    whole, direct = Generative().fit(x, y), discriminative(x, y)
    filled = np.where(seen, x_test, x.mean(0))
    foreign = photographs(len(x_test), np.random.default_rng(0))
    both, truth = np.concatenate([x_test, foreign]), np.repeat([1, 0], len(x_test))
    figures: dict[str, object] = {
        "error by training items: generative, discriminative, discriminative without a penalty": curve,
        "error with the right half hidden": {
            "generative, hidden pixels integrated out": round(float((whole.predict(x_test, seen) != y_test).mean()), 4),
            "discriminative, hidden pixels at their mean": round(float((direct.predict(filled) != y_test).mean()), 4),
        },
        "AUROC, digits against patches of a photograph": {
            "generative, log p(x)": round(float(roc_auc_score(truth, whole.log_density(both))), 4),
            "discriminative, largest p(y | x)": round(
                float(roc_auc_score(truth, direct.predict_proba(both).max(1))), 4
            ),
        },
    }
    shown = np.array([np.flatnonzero(y_test == c)[0] for c in range(CLASSES)])
    pictures = {
        "real": x_test[shown],
        "new": whole.sample(np.arange(CLASSES), np.random.default_rng(0)),
        "half": np.where(seen, x_test, -1.0)[shown],
        "completed": whole.complete(x_test, seen)[shown],
    }
    return figures, pictures


def main() -> None:
    """Prints the figures and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--sizes", default="20,50,100,200,500,1437")
    parser.add_argument("--out", default="two_kinds.png")
    options = parser.parse_args()
    figures, pictures = measure([int(n) for n in options.sizes.split(",")], options.repeats)
    print(json.dumps(figures, indent=1))
    rows = torch.from_numpy(np.concatenate(list(pictures.values()))).float().clamp(-1, 1)
    big = image.to_bytes(rows.reshape(-1, 1, SIDE, SIDE)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    image.grid(big, columns=CLASSES).save(Path(options.out))


if __name__ == "__main__":
    main()
