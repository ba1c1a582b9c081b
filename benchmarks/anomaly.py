"""Unusual items found by an autoencoder that has never seen their kind, beside isolation forest and PCA.

    python benchmarks/anomaly.py [--steps 700]

Fashion-MNIST: for each of the ten classes an `autoencoder` learns the other nine (`--data.without CLASS`) and scores
the 10,000 held-out items and what else there is of the class by the squared error of their copies; the figure is the
area under the ROC curve of the tenth class against held-out items of the nine. Isolation forest (scikit-learn's, 100
trees) and the error of copies by PCA with as many components as the code has numbers learn the same 60,000 - 6,000
items (the forest, 10,000 of them) and score the same ones. Then a table like card payments with 1% of planted frauds
(`_transactions.py`), none of them in training. Writes results/anomaly.json and a picture of one class.
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
from genloom.metrics.anomaly import detection
from genloom.verbs.anomaly import anomaly

TREES = 10_000


def peers(data: Dataset, key: str, components: int, unusual: str) -> dict[str, dict[str, float]]:
    """Isolation forest and PCA on the same items."""
    items = held_out(data, key)
    train = data.train.batch(torch.arange(len(data.train)))[key].flatten(1).numpy()
    test = items.take(torch.arange(len(items)))[key].flatten(1).numpy()
    assert items.classes is not None
    truth = items.classes == items.kinds.index(unusual)
    started = time.perf_counter()
    forest = IsolationForest(random_state=0).fit(train[:TREES])
    found = {"isolation forest": figures(-forest.score_samples(test), truth, started)}
    started = time.perf_counter()
    pca = PCA(min(components, train.shape[1]), random_state=0, svd_solver="covariance_eigh").fit(train)
    copies = pca.inverse_transform(pca.transform(test))
    found["PCA error"] = figures(((copies - test) ** 2).mean(1), truth, started)
    return found


def figures(scores: np.ndarray, truth: np.ndarray, started: float) -> dict[str, float]:
    """Area, interval and average precision, with the seconds since `started`."""
    area, precision = detection(scores, truth)
    assert area.interval is not None
    low, high = area.interval
    return {"auroc": round(area.value, 4), "low": round(low, 4), "high": round(high, 4),
            "average precision": round(precision.value, 4), "by chance": round(precision.protocol["by_chance"], 4),
            "seconds": round(time.perf_counter() - started, 1)}  # fmt: skip


def ours(root: str, source: str, unusual: str, steps: int, latent: int, **changes: Any) -> tuple[dict[str, Any], Path]:
    """The autoencoder's figures, and the run."""
    started = time.perf_counter()
    fields = {"config.latent": latent, "data.without": unusual, **changes}
    name = "".join(c if c.isalnum() else "-" for c in unusual)
    trained = genloom.train("autoencoder", data=source, budget=f"{steps}steps", name=name, runs=root, overrides=fields)
    found = anomaly(trained)
    area, precision = found["results"]
    return {
        "auroc": round(area["value"], 4), "low": round(area["interval"][0], 4), "high": round(area["interval"][1], 4),
        "average precision": round(precision["value"], 4), "by chance": round(precision["protocol"]["by_chance"], 4),
        "seconds": round(time.perf_counter() - started, 1), "first": found["items"][:3],
    }, trained.run.path  # fmt: skip


def main() -> None:
    """Ten classes, then the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=700, help="of training, for each class")
    parser.add_argument("--table-steps", type=int, default=3000)
    parser.add_argument("--latent", type=int, default=32)
    parser.add_argument("--classes", type=int, default=10, help="how many: a trial")
    arguments = parser.parse_args()
    classes = load(DataOptions(source="fashion-mnist")).spec["label"].classes[: arguments.classes]
    by_class: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as root:
        for name in classes:
            made, run = ours(root, "fashion-mnist", name, arguments.steps, arguments.latent)
            data = load(DataOptions(source="fashion-mnist", without=name))
            by_class[name] = {"autoencoder": made, **peers(data, "image", arguments.latent, name)}
            print(name, {k: v["auroc"] for k, v in by_class[name].items()}, flush=True)
            if name == "Sandal":
                RESULTS.mkdir(exist_ok=True)
                shutil.copyfile(next((run / "samples").glob("anomaly-*.png")), RESULTS / "anomaly.png")
        rows = str(write(Path(root) / "payments.csv"))
        table, run = ours(root, rows, "fraud", arguments.table_steps, 8, **{"data.target": "fraud", "train.batch": 128})
        shutil.copyfile(next((run / "samples").glob("anomaly-*.png")), RESULTS / "anomaly_table.png")
        data = load(DataOptions(source=rows, target="fraud", without="fraud"))
        payments = {"autoencoder": table, **peers(data, "table", 8, "fraud")}
        print("fraud", {k: v["auroc"] for k, v in payments.items()}, flush=True)
    ways = ("autoencoder", "isolation forest", "PCA error")
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
