"""Unusual items found by an autoencoder that has never seen their kind, beside isolation forest and PCA.

    python benchmarks/anomaly.py [--steps 250]

Fashion-MNIST: for each of the ten classes an `autoencoder` learns the other nine (`--data.without CLASS`) and scores
the 9,000 held-out items of the nine and all 7,000 of the class; the figure is the area under the ROC curve. Scores are
the squared error of an item's copy and the same relative to the item's variance. Isolation forest (scikit-learn's, 100
trees) and the error of copies by PCA, with as many components as the code has numbers, learn and score the same items
(the forest learns 10,000 of them); of PCA both scores too. Then a table like card payments with 1% of planted frauds
(`_transactions.py`), none of them in training; PCA with 3, 6 and 12 components, the best of which is kept. Writes
results/anomaly.json and pictures.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

import genloom
from _result import RESULTS, publish
from _transactions import write
from genloom.data import DataOptions, Dataset, load
from genloom.data.judging import held_out
from genloom.metrics.anomaly import detection, relative
from genloom.verbs.anomaly import anomaly

TREES = 10_000


def peers(data: Dataset, key: str, components: tuple[int, ...], unusual: str) -> dict[str, dict[str, float]]:
    """Isolation forest and PCA on the same items."""
    items = held_out(data, key)
    train = data.train.batch(torch.arange(len(data.train)))[key].flatten(1).numpy()
    test = items.take(torch.arange(len(items)))[key].flatten(1).numpy()
    assert items.classes is not None
    truth = items.classes == items.kinds.index(unusual)
    started = time.perf_counter()
    forest = IsolationForest(random_state=0).fit(train[:TREES])
    found = {"isolation forest": figures(-forest.score_samples(test), truth, started)}
    for count in components:
        started = time.perf_counter()
        pca = PCA(min(count, train.shape[1]), random_state=0, svd_solver="covariance_eigh").fit(train)
        errors = (pca.inverse_transform(pca.transform(test)) - test) ** 2
        both = {"PCA error": errors.mean(1)}
        if data.spec[key].modality == "image":
            both["PCA relative error"] = relative(torch.from_numpy(errors), torch.from_numpy(test)).numpy()
        for name, scores in both.items():
            made = {**figures(scores, truth, started), "components": count}
            found[name] = max(found.get(name, made), made, key=lambda f: f["auroc"])
    return found


def figures(scores: np.ndarray, truth: np.ndarray, started: float) -> dict[str, float]:
    """Area, interval and average precision, with the seconds since `started`."""
    area, precision = detection(scores, truth)
    assert area.interval is not None
    low, high = area.interval
    return {"auroc": round(area.value, 4), "low": round(low, 4), "high": round(high, 4),
            "average precision": round(precision.value, 4), "by chance": round(precision.protocol["by_chance"], 4),
            "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip


def ours(
    root: str, source: str, unusual: str, steps: int, latent: int, scores: tuple[str, ...], **changes: Any
) -> tuple[dict[str, Any], Path]:
    """The autoencoder's figures by each score, and the run."""
    started = time.perf_counter()
    fields = {"config.latent": latent, "data.without": unusual, **changes}
    name = "".join(c if c.isalnum() else "-" for c in unusual)
    trained = genloom.train("autoencoder", data=source, budget=f"{steps}steps", name=name, runs=root, overrides=fields)
    found = {}
    for score in scores:
        area, precision = anomaly(trained, score=score)["results"]
        word = "autoencoder" if score == "reconstruction" else f"autoencoder, {score} error"
        found[word] = {
            "auroc": round(area["value"], 4),
            "low": round(area["interval"][0], 4),
            "high": round(area["interval"][1], 4),
            "average precision": round(precision["value"], 4),
            "by chance": round(precision["protocol"]["by_chance"], 4),
            "seconds": round(time.perf_counter() - started, 1),
        }  # fmt: skip
    return found, trained.run.path


def main() -> None:
    """Ten classes, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=250, help="of training, for each class")
    parser.add_argument("--table-steps", type=int, default=2000)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10, help="how many: a trial")
    arguments = parser.parse_args()
    classes = load(DataOptions(source="fashion-mnist")).spec["label"].classes[: arguments.classes]
    by_class: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        for name in classes:
            made, run = ours(
                root, "fashion-mnist", name, arguments.steps, arguments.latent, ("reconstruction", "relative")
            )
            data = load(DataOptions(source="fashion-mnist", without=name))
            by_class[name] = {**made, **peers(data, "image", (arguments.latent,), name)}
            print(name, {k: v["auroc"] for k, v in by_class[name].items()}, flush=True)
            if name == "Bag":
                RESULTS.mkdir(exist_ok=True)
                shutil.copyfile(next((run / "samples").glob("anomaly-*relative.png")), RESULTS / "anomaly.png")
        rows = str(write(Path(root) / "payments.csv"))
        changes = {"data.target": "fraud", "train.batch": 128}
        table, run = ours(root, rows, "fraud", arguments.table_steps, 3, ("reconstruction",), **changes)
        shutil.copyfile(next((run / "samples").glob("anomaly-*.png")), RESULTS / "anomaly_table.png")
        data = load(DataOptions(source=rows, target="fraud", without="fraud"))
        payments = {**table, **peers(data, "table", (3, 6, 12), "fraud")}
        print("fraud", {k: v["auroc"] for k, v in payments.items()}, flush=True)
    ways = tuple(next(iter(by_class.values())))
    publish(
        "anomaly",
        {
            "steps": arguments.steps,
            "latent": arguments.latent,
            "machine was": "shared: one core for this, others in use",
            "mean auroc": {w: round(float(np.mean([c[w]["auroc"] for c in by_class.values()])), 4) for w in ways},
            "classes": by_class,
            "payments": payments,
        },
        "python benchmarks/anomaly.py",
    )


if __name__ == "__main__":
    main()
