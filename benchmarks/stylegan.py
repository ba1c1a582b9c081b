"""StyleGAN on emoji of 32 pixels: styles mixed, truncation against precision and recall, path lengths in w and in z.

    python benchmarks/stylegan.py [--budget 1500steps] [--run RUN]

Trains `genloom train stylegan --data emoji --data.size 32` as it comes (or takes a run that was trained so), then draws
with the averaged weights. Precision and recall (k = 5) and the Frechet distance compare n samples with n held-out emoji
in the features of LPIPS' AlexNet (`genloom data fetch lpips`). Path lengths are LPIPS over e^2, e = 0.01, along arcs
between two z and between two w, the same ends. Writes results/stylegan.json and docs/pictures/stylegan.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import genloom
from _result import publish, save_small
from genloom.core import Sampling
from genloom.data import DataOptions, load
from genloom.engine.load import load as load_run
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.lpips import load_lpips
from genloom.metrics.path_length import path_lengths
from genloom.metrics.precision_recall import precision_recall
from genloom.modalities import image
from genloom.models.adversarial.stylegan import StyleGAN
from genloom.verbs.drawn import draw
from genloom.verbs.opened import find_run
from genloom.verbs.styles import mixed

PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "stylegan.png"
PSI = (0.3, 0.5, 0.7, 0.85, 1.0)
PATHS = 200


def gen(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="1500steps")
    parser.add_argument("--run", default=None)
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--runs", default="runs")
    a = parser.parse_args()
    dataset = load(DataOptions(source="emoji", size="32"))
    if a.run is None:
        a.run = genloom.train("stylegan", data="emoji", budget=a.budget, runs=a.runs, overrides={"data.size": "32"}).run
    run = find_run(a.run)
    loaded = load_run(run)
    model = loaded.model
    assert isinstance(model, StyleGAN)
    net = load_lpips("alex")
    n = a.n
    real, chosen = (
        embed(net, iter(split.batch(torch.randperm(len(split), generator=gen(0))[:n])["image"].split(500)))
        for split in (dataset.test, dataset.train)
    )
    curve = {}
    for psi in PSI:
        fake = embed(net, iter(draw(loaded, n, seed=0, options=Sampling(truncation=psi)).split(500)))
        precision, recall = precision_recall(real, fake)
        curve[str(psi)] = {
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "frechet": round(frechet_distance(fake, real), 3),
        }
    held = precision_recall(real, chosen)

    def length(in_z: bool) -> dict[str, float]:
        z = torch.randn(2, PATHS, model.config.latent, generator=torch.Generator().manual_seed(1))
        ends = (z[0], z[1]) if in_z else (model.styles(z[0]), model.styles(z[1]))

        def decode(points: Tensor, rows: slice) -> Tensor:
            w = model.styles(points) if in_z else points
            return model.decode(w[:, None].expand(-1, model.levels, -1))[model.item]

        values = path_lengths(decode, ends, net.distance, torch.Generator().manual_seed(2))
        low, high = torch.quantile(values, torch.tensor([0.01, 0.99], dtype=values.dtype))
        kept = values[(values >= low) & (values <= high)]
        return {"mean": round(float(kept.mean()), 2), "half": round(1.96 * float(kept.std()) / len(kept) ** 0.5, 2)}

    with torch.no_grad():
        lengths = {"w": length(False), "z": length(True)}
    rows = {f"psi {psi}": draw(loaded, 14, seed=1, options=Sampling(truncation=psi)) for psi in (0.0, 0.5, 0.7, 1.0)}
    table = mixed(loaded, model.item, 6, "coarse", 3).unflatten(0, (7, 7))
    fine = mixed(loaded, model.item, 6, "fine", 3).unflatten(0, (7, 7))
    rows["coarse styles of the column | fine styles of the column"] = torch.cat([table, fine], 1).flatten(0, 1)
    save_small(image.labelled(rows, columns=14, scale=1), PICTURE)
    figures = {
        "run": {k: run.status.get(k) for k in ("step", "items", "seconds")} | {"budget": run.config["train"]["budget"]},
        "plan": run.environment["plan"],
        "cost": run.status.get("cost"),
        "shared_machine": True,
        "n": n,
        "k": 5,
        "features": net.identity,
        "p at the end": round(float(model.p), 3),
        "truncation": curve,
        "training items instead of samples": {
            "precision": round(held[0], 4),
            "recall": round(held[1], 4),
            "frechet": round(frechet_distance(chosen, real), 3),
        },
        "path_length": lengths,
    }
    publish("stylegan", figures, "python benchmarks/stylegan.py")


if __name__ == "__main__":
    main()
