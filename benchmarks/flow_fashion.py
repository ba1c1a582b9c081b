"""Flow matching on Fashion-MNIST for equal wall time: genloom beside diffusers, and our engine beside a plain loop.

    python benchmarks/flow_fashion.py [--seconds 300] [--n 2000]

(a) diffusers' UNet2DModel in a plain fp32 loop, as its unconditional tutorial trains it: epsilon loss, batch 64, AdamW
    1e-4, DDIM with 50 steps (drawn in bf16, to wait less). Its warm-up of 500 updates is left out, since a CPU makes
    fewer in the whole time.
(b) `genloom train flow` as it comes, through the engine, for the same wall time.
(c) the network of (b) in a plain fp32 loop, NCHW and eager, shortly before and after (b); our figure counts everything
    the engine does in that time: measuring the precision, averaging, validation, previews, checkpoints.
The Frechet distance is genloom's own, in features of a network trained on the training images, against the test split.
Writes results/flow_fashion.json and two sample grids. diffusers is needed here only: pip install diffusers.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.core import Sampling
from genloom.data import DataOptions, Dataset, load
from genloom.engine.load import load as load_run
from genloom.engine.precision import processor
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import Extractor, embed, train_extractor
from genloom.metrics.frechet import frechet_distance
from genloom.modalities.image import grid
from genloom.models.diffusion.flow import Flow
from genloom.objectives.diffusion import interpolate, velocity_target
from genloom.recipes.diffusion import flow
from genloom.recipes.registry import Recipe
from genloom.verbs.drawn import draw

RESULTS = Path(__file__).parent / "results"


def features(net: Extractor, images: Tensor) -> Tensor:
    return embed(net, iter(images.split(500)))


def batches(dataset: Dataset, size: int, seed: int = 0) -> Any:
    """Endless batches in random order: uint8 in memory, one index a batch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        for index in torch.randperm(len(dataset.train), generator=generator).split(size):
            yield dataset.train.batch(index)


def run_diffusers(dataset: Dataset, seconds: float, n: int) -> tuple[dict[str, Any], Tensor]:
    from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

    torch.manual_seed(0)
    net: Any = UNet2DModel(
        sample_size=28,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )
    noising: Any = DDPMScheduler(1000)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    started, items, updates = time.monotonic(), 0, 0
    for batch in batches(dataset, 64):
        if time.monotonic() - started > seconds:
            break
        x = batch["image"]
        noise, t = torch.randn_like(x), torch.randint(0, 1000, (len(x),))
        loss = F.mse_loss(net(noising.add_noise(x, noise, t), t).sample, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        items, updates = items + len(x), updates + 1
    spent = time.monotonic() - started
    scheduler: Any = DDIMScheduler.from_config(noising.config)
    scheduler.set_timesteps(50)
    drawn, begun = [], time.monotonic()
    generator = torch.Generator().manual_seed(0)
    net.to(memory_format=torch.channels_last)  # sampling is not what is compared: give it all the speed there is
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, n, 250):
            x = torch.randn(min(250, n - start), 1, 28, 28, generator=generator)
            for t in scheduler.timesteps:
                x = scheduler.step(net(x, t).sample.float(), t, x).prev_sample
            drawn.append(x.clamp(-1, 1))
    facts = {
        "parameters": sum(p.numel() for p in net.parameters()),
        "seconds": spent,
        "items": items,
        "updates": updates,
        "items_per_second": items / spent,
        "sampling_seconds": time.monotonic() - begun,
        "network_evaluations": 50,
    }
    return facts, torch.cat(drawn)


def run_genloom(dataset: Dataset, recipe: Recipe, n: int, root: str) -> tuple[dict[str, Any], Tensor]:
    settings = Settings("flow", recipe.model, recipe.config, recipe.data, recipe.train)
    run = create_run(root, settings, dataset)
    started = time.monotonic()
    outcome = train(run, dataset)
    spent, begun = time.monotonic() - started, time.monotonic()
    drawn = draw(load_run(run), n, seed=0, options=Sampling())
    model = Flow(recipe.config, dataset.spec)
    facts = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": spent,
        "items": outcome.items,
        "updates": outcome.steps,
        "items_per_second": outcome.items / spent,
        "sampling_seconds": time.monotonic() - begun,
        "network_evaluations": recipe.config.steps,
        "plan": run.environment["plan"],
    }
    return facts, drawn


def plain_rate(dataset: Dataset, recipe: Recipe, seconds: float) -> float:
    """Training images a second of the recipe's network in a loop as most people write it."""
    torch.manual_seed(0)
    model = Flow(recipe.config, dataset.spec)
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.config.optimizer.lr)
    items, started = 0, 0.0
    for i, batch in enumerate(batches(dataset, recipe.train.batch)):
        if i == 5:  # the first updates warm up caches
            items, started = 0, time.monotonic()
        if i > 5 and time.monotonic() - started > seconds:
            break
        x, noise, t = batch["image"], torch.randn_like(batch["image"]), torch.rand(len(batch["image"]))
        loss = F.mse_loss(model.velocity(interpolate(x, noise, t), t, batch), velocity_target(x, noise))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        items += len(x)
    return items / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="wall time of each training")
    parser.add_argument("--n", type=int, default=2000, help="samples to measure")
    parser.add_argument("--skip-diffusers", action="store_true")
    arguments = parser.parse_args()
    seconds, n = arguments.seconds, arguments.n
    RESULTS.mkdir(exist_ok=True)

    dataset = load(DataOptions(source="fashion-mnist"))
    recipe = flow()
    recipe = replace(recipe, data=dataset.options, train=replace(recipe.train, budget=f"{seconds:g}s"))
    extractor = train_extractor(dataset.train, name="fashion-mnist")
    held_out = features(extractor, dataset.test.batch(torch.arange(len(dataset.test)))["image"])
    index = torch.randperm(len(dataset.train), generator=torch.Generator().manual_seed(1))[:n]
    floor = frechet_distance(features(extractor, dataset.train.batch(index)["image"]), held_out)
    name = f"FD({extractor.identity})"
    print(f"{name}: floor {floor:.3f} (n = {n} training images against {len(held_out)} test images)")

    peers: dict[str, dict[str, Any]] = {}

    def measured(peer: str, facts: dict[str, Any], images: Tensor) -> None:
        distance = frechet_distance(features(extractor, images), held_out)
        peers[peer] = {**facts, "fd": distance}
        grid(images[:100], 10).save(RESULTS / f"flow_fashion_{peer}.png")
        print(f"{peer}: FD {distance:.2f}, {facts['items']:,} images in {facts['seconds']:.0f} s", flush=True)

    if not arguments.skip_diffusers:
        measured("diffusers", *run_diffusers(dataset, seconds, n))
    lull = min(20.0, seconds / 4)
    rates = [plain_rate(dataset, recipe, lull)]
    with tempfile.TemporaryDirectory() as root:
        measured("genloom", *run_genloom(dataset, recipe, n, root))
    rates.append(plain_rate(dataset, recipe, lull))

    plain = sum(rates) / len(rates)
    ratio = peers["genloom"]["items_per_second"] / plain
    print(f"same network: plain fp32 loop {plain:.0f} images/s, engine {ratio:.2f} times that")
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads(),
                    "torch": torch.__version__},
        "seconds": seconds,
        "n": n,
        "metric": name,
        "floor": floor,
        "peers": peers,
        "plain_loop_items_per_second": rates,
        "engine_over_plain_loop": ratio,
    }  # fmt: skip
    if "diffusers" in peers:
        result["fd_ratio"] = peers["diffusers"]["fd"] / peers["genloom"]["fd"]
        print(f"diffusers' FD is {result['fd_ratio']:.1f} times genloom's")
    (RESULTS / "flow_fashion.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
