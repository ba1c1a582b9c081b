"""Diffusion for equal wall time on Fashion-MNIST: quality against minutes and sampling speed, genloom beside diffusers.

    python benchmarks/diffusion.py [--seconds 60 300 1200] [--n 1000]

diffusers' UNet2DModel trains once for the longest time in a plain fp32 loop, as its unconditional tutorial does it
(epsilon loss, batch 64, AdamW 1e-4; its learning rate is constant here, so that its weights after 60 s are those of a
run of 60 s), and is sampled at every moment with 50 steps of DDIM in bf16 and channels_last: all the speed there is.
`genloom train flow` runs once for every time, as it comes. Frechet distances are genloom's own, of n samples against
the test split, n the same for both. Takes about 70 minutes. Writes results/diffusion.json, .png and two sample grids.
diffusers and matplotlib are needed here only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from _result import RESULTS, publish
from flow_fashion import batches, features, run_genloom
from genloom.data import DataOptions, Dataset, load
from genloom.metrics.extractor import train_extractor
from genloom.metrics.frechet import frechet_distance
from genloom.modalities.image import grid
from genloom.recipes.diffusion import flow

EVALUATIONS = 50


def unet() -> Any:
    """The tutorial's network at the size of these pictures."""
    from diffusers import UNet2DModel

    return UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )


def train_diffusers(dataset: Dataset, moments: Sequence[float]) -> Iterator[tuple[dict[str, Any], Any]]:
    """The facts and the network at each moment; the clock stands still while the caller looks at them."""
    from diffusers import DDPMScheduler

    torch.manual_seed(0)
    net, noising = unet(), DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    spent, items, updates = 0.0, 0, 0
    stream, rest = batches(dataset, 64), list(moments)
    while rest:
        started = time.monotonic()
        x = next(stream)["image"]
        noise, t = torch.randn_like(x), torch.randint(0, 1000, (len(x),))
        loss = F.mse_loss(net(noising.add_noise(x, noise, t), t).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        items, updates, spent = items + len(x), updates + 1, spent + time.monotonic() - started
        if spent >= rest[0]:
            yield {"seconds": spent, "items": items, "updates": updates, "moment": rest.pop(0)}, net


def sample_diffusers(net: Any, n: int) -> Tensor:
    """n images by DDIM, in bf16 and channels_last."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(1000)
    scheduler.set_timesteps(EVALUATIONS)
    drawn, generator = [], torch.Generator().manual_seed(0)
    net.to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, n, 250):
            x = torch.randn(min(250, n - start), 1, 28, 28, generator=generator)
            for t in scheduler.timesteps:
                x = scheduler.step(net(x, t).sample.float(), t, x).prev_sample
            drawn.append(x.clamp(-1, 1))
    net.to(memory_format=torch.contiguous_format)
    return torch.cat(drawn)


def plot(points: dict[str, list[dict[str, Any]]], floor: float, metric: str) -> None:
    """Distance against time, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
    for name, found in points.items():
        axes.loglog([p["moment"] for p in found], [p["fd"] for p in found], "o-", label=name)
    axes.axhline(floor, color="grey", linestyle=":", label="training images")
    axes.set(xlabel="seconds of training", ylabel=metric)
    axes.legend()
    figure.savefig(RESULTS / "diffusion.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 300.0, 1200.0], help="wall times to train")
    parser.add_argument("--n", type=int, default=1000, help="samples to measure")
    arguments = parser.parse_args()
    moments, n = sorted(arguments.seconds), arguments.n

    dataset = load(DataOptions(source="fashion-mnist"))
    extractor = train_extractor(dataset.train, name="fashion-mnist")
    held_out = features(extractor, dataset.test.batch(torch.arange(len(dataset.test)))["image"])
    index = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(1))[:n]
    floor = frechet_distance(features(extractor, dataset.train.batch(index)["image"]), held_out)
    metric = f"FD({extractor.identity})"
    points: dict[str, list[dict[str, Any]]] = {"genloom": [], "diffusers": []}

    def measured(peer: str, facts: dict[str, Any], images: Tensor, seconds: float) -> None:
        distance = frechet_distance(features(extractor, images), held_out)
        points[peer].append({**facts, "fd": distance, "sampled_images_per_second": n / seconds})
        grid(images[:100], 10).save(RESULTS / f"diffusion_{peer}.png")
        print(f"{peer}, {facts['moment']:.0f} s: FD {distance:.2f}, sampling {n / seconds:.1f} images/s", flush=True)

    recipe = flow()
    for seconds in moments:
        mine = replace(recipe, data=dataset.options, train=replace(recipe.train, budget=f"{seconds:g}s"))
        with tempfile.TemporaryDirectory() as root:
            facts, images = run_genloom(dataset, mine, n, root)
        measured("genloom", {**facts, "moment": seconds}, images, facts["sampling_seconds"])
    for facts, net in train_diffusers(dataset, moments):
        begun = time.monotonic()
        images = sample_diffusers(net, n)
        measured("diffusers", {**facts, "network_evaluations": EVALUATIONS}, images, time.monotonic() - begun)

    plot(points, floor, metric)
    ours, theirs = ({p["moment"]: p for p in points[peer]} for peer in ("genloom", "diffusers"))
    figures = {
        "metric": metric,
        "n": n,
        "floor": floor,
        "points": points,
        "fd_ratio": {f"{m:g}": theirs[m]["fd"] / ours[m]["fd"] for m in moments},
        "sampling_ratio": {
            f"{m:g}": ours[m]["sampled_images_per_second"] / theirs[m]["sampled_images_per_second"] for m in moments
        },
    }
    publish("diffusion", figures, "python benchmarks/diffusion.py")


if __name__ == "__main__":
    main()
