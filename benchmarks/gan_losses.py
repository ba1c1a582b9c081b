"""The losses of the GAN of the literature side by side: modes found on the ring, the grid and StackedMNIST.

    python benchmarks/gan_losses.py [--steps 4000] [--stacked 1500] [--only ring,grid,stacked,curves]

Each loss comes with what its paper asks for. Ring and grid: two hidden layers of 128, z of 2 numbers, batches of 128,
2,500 samples, a mode is found where a sample lies within three deviations. StackedMNIST: the convolutional networks of
recipe `gan`, 25,600 samples, each colour judged by the classifier of mnist-full. All with averaged weights, counted in
steps. Curves: the discriminator's loss along a run on small digits beside the distance of its samples from held-out
ones, and their rank correlation. Parts that are not run keep their last figures. Writes results/gan_losses.json,
gan_losses.png (ring and grid) and gan_curves.png.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.stats import spearmanr

from _play import play
from _result import RESULTS, publish
from genloom import data
from genloom.core import Model
from genloom.data import Dataset
from genloom.data.options import DataOptions
from genloom.engine.precision import Plan
from genloom.engine.preview import Monitor
from genloom.metrics.drawing import draw, draw_floats
from genloom.metrics.modes import Modes, expected_modes, mixture_modes, stacked_modes
from genloom.metrics.points import mixture_of
from genloom.metrics.store import extractor_for
from genloom.modalities import image
from genloom.modalities.vector import scatter
from genloom.models.adversarial.gan import ADAM, GAN, GANConfig

# What each paper asks for beside its loss.
LOSSES: dict[str, dict[str, Any]] = {
    "minimax": {},
    "non-saturating": {},
    "least-squares": {},
    "hinge": {"spectral_norm": True},
    "wgan": {"n_critic": 5, "weight_clip": 0.1},
    "wgan-gp": {"n_critic": 5, "gradient_penalty": 1.0},
    "relativistic": {"r1": 0.1, "r2": 0.1},
}
STACKED: dict[str, dict[str, Any]] = {
    "non-saturating": {},
    "wgan-gp": {"n_critic": 2},
    "relativistic": {"r1": 0.5, "r2": 0.5},
}
PUBLISHED = {  # modes, divergence: as the papers of VEEGAN, PacGAN and R3GAN give them
    "ring": {"GAN": (1, None), "VEEGAN": (8, None), "GAN (PacGAN's)": (6.3, 0.45), "PacGAN2": (7.9, 0.07)},
    "grid": {"GAN": (3.3, None), "VEEGAN": (24.6, None), "GAN (PacGAN's)": (17.3, 0.70), "PacGAN2": (23.8, 0.13)},
    "stacked": {"DCGAN": (99, 3.40), "VEEGAN": (150, 2.95), "PacGAN2": (1000, 0.06), "R3GAN": (1000, 0.029)},
}
PLANE = GANConfig(latent=2, hidden=(128, 128), conditional=False, generator=ADAM, discriminator=ADAM)
RATE = replace(ADAM, lr=1e-3, final=0.01)  # a mode's width is a hundredth of the plane: the end must be still


def plane(name: str, steps: int) -> tuple[dict[str, Any], Image.Image]:
    """Modes of each loss on the ring or the grid, and of packing; their samples as a picture."""
    dataset = data.load(DataOptions(source=name))
    mixture = mixture_of(dataset.train, "vector")
    assert mixture is not None
    found, shown = {}, []
    kinds = {**{k: {"loss": k, **v} for k, v in LOSSES.items()}, "non-saturating, packing 2": {"packing": 2}}
    for title, changes in kinds.items():
        config = replace(PLANE, generator=RATE, discriminator=RATE, **changes)
        model = play(GAN, config, dataset, steps=steps, batch=128)
        points = draw_floats(model, "vector", 2500, torch.Generator().manual_seed(0))
        found[title] = figures(mixture_modes(points, *mixture))
        shown.append(scatter(points.numpy(), dataset.spec["vector"].range, 150))
        print(name, title, found[title], flush=True)
    real = dataset.test.batch(torch.arange(2500))["vector"]
    found["real points"] = figures(mixture_modes(real, *mixture))
    sheet = Image.new("RGB", (152 * len(shown), 150), "white")
    for i, picture in enumerate(shown):
        sheet.paste(picture, (152 * i, 0))
    return found, sheet


def figures(modes: Modes) -> dict[str, Any]:
    return {"modes": modes.found, "quality": modes.quality, "kl": modes.kl if modes.found else None}


def stacked(steps: int) -> dict[str, Any]:
    """Modes of three losses on StackedMNIST."""
    dataset = data.load(DataOptions(source="stacked-mnist"))
    judge = extractor_for(data.load(DataOptions(source="mnist-full")))
    expected = expected_modes(25_600, 1000)
    found: dict[str, Any] = {}
    for loss, changes in STACKED.items():
        started = time.perf_counter()
        config = GANConfig(loss=loss, **changes)  # type: ignore[arg-type]
        model = play(GAN, config, dataset, steps=steps, batch=32, plan=Plan("bf16", channels_last=True))
        seconds = time.perf_counter() - started
        samples = draw(model, "image", 25_600, torch.Generator().manual_seed(0))
        found[loss] = {**figures(stacked_modes(samples, judge)), "steps": steps, "seconds": round(seconds)}
        image.save(samples[:48], RESULTS / f"stacked_{loss}.png", columns=12)
        print("stacked", loss, found[loss], flush=True)
    real = dataset.test.raw(torch.arange(len(dataset.test)))["image"]
    found["real items"] = {**figures(stacked_modes(real, judge)), "n": len(real)}
    found["expected of a perfect sampler"] = {"modes": expected[0], "kl": expected[1]}
    return found


def curves(steps: int) -> tuple[dict[str, Any], Image.Image]:
    """The discriminator's loss beside the samples' distance along a run, and how far one follows the other."""
    dataset = data.load(DataOptions(source="digits", labels=False))
    found: dict[str, Any] = {}
    for loss, changes in (("wgan", {"n_critic": 5, "weight_clip": 0.05}), ("minimax", {})):
        config = GANConfig(loss=loss, network="mlp", hidden=(128,), latent=32, **changes)  # type: ignore[arg-type]
        rows = along(config, dataset, steps)
        # wgan's loss is minus the critic's distance: its size falls; minimax's is taken as it is
        size = [abs(d) if loss == "wgan" else d for _, d, _ in rows]
        rank = spearmanr(size, [q for *_, q in rows])
        found[loss] = {
            "rank_correlation": float(rank.statistic),
            "p": float(rank.pvalue),
            "steps": [i for i, *_ in rows],
            "loss": size,
            "distance": [q for *_, q in rows],
        }
        print("curves", loss, found[loss]["rank_correlation"], flush=True)
    return found, chart(found)


def along(config: GANConfig, dataset: Dataset, steps: int) -> list[tuple[int, float, float]]:
    """(step, the discriminator's mean loss since the last row, the samples' distance), thirty rows a run."""
    monitor = Monitor(GAN(config, dataset.spec), dataset, 0, 128, Plan(), torch.device("cpu"))
    rows: list[tuple[int, float, float]] = []
    recent: list[float] = []

    def watch(i: int, model: Model, values: dict[str, float]) -> None:
        recent.append(values["discriminator/play"])
        if (i + 1) % (steps // 30) == 0:
            rows.append((i + 1, sum(recent) / len(recent), monitor.measure(model)))
            recent.clear()

    play(GAN, config, dataset, steps=steps, batch=64, ema=0.0, watch=watch)
    return rows


def chart(found: dict[str, Any]) -> Image.Image:
    """Loss and distance of each run over its steps, each from its least to its greatest value."""
    width, height, edge = 340, 190, 24
    sheet = Image.new("RGB", (width * len(found), height), "white")
    draw_, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for k, (name, run) in enumerate(found.items()):
        left = k * width
        words = "critic's distance" if name == "wgan" else "discriminator's loss"
        draw_.text((left + edge, 2), f"{name}: rank correlation {run['rank_correlation']:.2f}", fill="black", font=font)
        for y, (key, colour, label) in enumerate(
            (("loss", (200, 90, 40), words), ("distance", (40, 80, 150), "samples to held-out digits"))
        ):
            values = torch.tensor(run[key])
            scaled = (values - values.min()) / (values.max() - values.min()).clamp_min(1e-12)
            xs = torch.linspace(left + edge, left + width - edge, len(values)).tolist()
            ys = (height - edge - scaled * (height - 3 * edge)).tolist()
            draw_.line(list(zip(xs, ys, strict=True)), fill=colour, width=2)
            draw_.text((left + edge + 150 * y, height - 18), label, fill=colour, font=font)
    return sheet


def main() -> None:
    """Runs the parts that are asked for and publishes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--stacked", type=int, default=1500)
    parser.add_argument("--curves", type=int, default=1500)
    parser.add_argument("--only", default="ring,grid,stacked,curves")
    options = parser.parse_args()
    parts = options.only.split(",")
    place = RESULTS / "gan_losses.json"
    known = json.loads(place.read_text()) if place.exists() else {}
    figures_ = {k: known[k] for k in ("ring", "grid", "stacked", "curves") if k in known}
    sheets = []
    for name in ("ring", "grid"):
        if name in parts:
            figures_[name], sheet = plane(name, options.steps)
            sheets.append(sheet)
    if sheets:
        whole = Image.new("RGB", (sheets[0].width, sum(s.height + 2 for s in sheets)), "white")
        for i, sheet in enumerate(sheets):
            whole.paste(sheet, (0, i * (sheet.height + 2)))
        image.write_bytes(RESULTS / "gan_losses.png", image.png(whole))
    if "stacked" in parts:
        figures_["stacked"] = stacked(options.stacked)
    if "curves" in parts:
        figures_["curves"], picture = curves(options.curves)
        image.write_bytes(RESULTS / "gan_curves.png", image.png(picture))
    shared = "the machine was shared with other work; figures are counted in steps"
    publish(
        "gan_losses", {"steps": options.steps, **figures_, "published": PUBLISHED, "shared": shared},
        "python benchmarks/gan_losses.py",
    )  # fmt: skip


if __name__ == "__main__":
    main()
