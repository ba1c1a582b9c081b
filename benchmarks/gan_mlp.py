"""The course's small GAN on Fashion-MNIST, 60,000 images x 10 epochs = 9,380 updates a player, three ways in turn.

    python benchmarks/gan_mlp.py [--epochs 10] [--rounds 1]

(a) course: the loop as courses print it. A DataLoader opens each image with PIL, makes it a float tensor and normalises
    it, one by one, in the main process (workers would take the cores that train); BCELoss after a Sigmoid.
(b) tensors: the same loop, the same networks, over one float tensor in memory with a random permutation an epoch.
(c) genloom: `genloom train gan-mlp` through the engine: its recipe as it comes, with checkpoints, previews, validation.
Writes results/gan_mlp.json: wall and CPU seconds, ratios, mean losses of every epoch. Best of `rounds`, in turn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from _result import publish
from genloom.data import DataOptions, Dataset, load
from genloom.engine.journal import Reporter
from genloom.engine.train import Settings, create_run, train
from genloom.recipes.adversarial import gan_mlp

BATCH, NOISE = 64, 100
Losses = list[tuple[float, float]]


class OneByOne(TorchDataset[Tensor]):
    """Images as PIL pictures, converted when they are asked for: ToTensor, then Normalize((.5,), (.5,))."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        picture = Image.fromarray(self.images[index])
        tensor = torch.from_numpy(np.array(picture, np.uint8, copy=True)).unsqueeze(0).to(torch.float32).div(255)
        mean, deviation = torch.tensor((0.5,)), torch.tensor((0.5,))
        return tensor.sub_(mean.view(-1, 1, 1)).div_(deviation.view(-1, 1, 1))


def networks() -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of the listing."""
    generator = nn.Sequential(nn.Linear(NOISE, 256), nn.ReLU(), nn.Linear(256, 784), nn.Tanh())
    discriminator = nn.Sequential(nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1), nn.Sigmoid())
    return generator, discriminator


def plain_loop(epochs: int, batches: Any) -> tuple[Losses, nn.Module]:
    """The listing's loop over whatever yields image batches; mean losses of D and G for each epoch, and G."""
    torch.manual_seed(0)
    generator, discriminator = networks()
    bce = nn.BCELoss()
    g_adam = torch.optim.Adam(generator.parameters(), lr=2e-4)
    d_adam = torch.optim.Adam(discriminator.parameters(), lr=2e-4)
    losses: Losses = []
    for _ in range(epochs):
        sums, count = [0.0, 0.0], 0
        for images in batches():
            real = images.view(images.size(0), -1)
            ones, zeros = torch.ones(len(real), 1), torch.zeros(len(real), 1)
            fake = generator(torch.randn(len(real), NOISE))
            d_loss = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
            d_adam.zero_grad()
            d_loss.backward()
            d_adam.step()
            g_loss = bce(discriminator(generator(torch.randn(len(real), NOISE))), ones)
            g_adam.zero_grad()
            g_loss.backward()
            g_adam.step()
            sums[0] += d_loss.item()
            sums[1] += g_loss.item()
            count += 1
        losses.append((sums[0] / count, sums[1] / count))
    return losses, generator


def course(epochs: int, raw: np.ndarray) -> tuple[Losses, nn.Module]:
    """(a)"""
    return plain_loop(epochs, lambda: DataLoader(OneByOne(raw), batch_size=BATCH, shuffle=True))


def tensors(epochs: int, raw: np.ndarray) -> Losses:
    """(b): the conversion of the whole set is part of its time."""
    images = torch.from_numpy(raw).unsqueeze(1).float().div(127.5).sub(1)

    def batches() -> Iterator[Tensor]:
        for index in torch.randperm(len(images)).split(BATCH):
            yield images[index]

    return plain_loop(epochs, batches)[0]


def engine(epochs: int, dataset: Dataset) -> Losses:
    """(c); the losses of an epoch are the means of the rows the engine writes about once a second."""
    recipe = gan_mlp()
    options = replace(recipe.train, budget=f"{epochs}epochs")
    with tempfile.TemporaryDirectory() as root:
        run = create_run(root, Settings("gan-mlp", recipe.model, recipe.config, dataset.options, options), dataset)
        train(run, dataset, reporter=Reporter(None))
        rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    per_epoch = -(-dataset.train.items // BATCH)
    losses: Losses = []
    for epoch in range(epochs):
        inside = [
            r for r in rows if "loss/discriminator" in r and epoch * per_epoch < r["step"] <= (epoch + 1) * per_epoch
        ]
        n = max(len(inside), 1)
        losses.append((sum(r["loss/discriminator"] for r in inside) / n, sum(r["loss/generator"] for r in inside) / n))
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    a = parser.parse_args()
    dataset = load(DataOptions(source="fashion-mnist", labels=False, validation="test"))
    raw = dataset.train.raw(torch.arange(dataset.train.items))["image"][:, 0].numpy()
    ways = {
        "course": lambda: course(a.epochs, raw)[0],
        "tensors": lambda: tensors(a.epochs, raw),
        "genloom": lambda: engine(a.epochs, dataset),
    }
    figures: dict[str, dict[str, Any]] = {}
    for round_ in range(a.rounds):
        for name, way in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            losses = way()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"round {round_}, {name}: {wall:.1f} s wall, {cpu:.1f} s CPU", flush=True)
            if name not in figures or wall < figures[name]["wall_seconds"]:
                figures[name] = {
                    "wall_seconds": round(wall, 2),
                    "cpu_seconds": round(cpu, 2),
                    "d_loss": [round(d, 3) for d, _ in losses],
                    "g_loss": [round(g, 3) for _, g in losses],
                }
    ours = figures["genloom"]["wall_seconds"]
    ratios = {f"genloom_over_{k}": round(ours / figures[k]["wall_seconds"], 3) for k in ("course", "tensors")}
    facts = {"items": len(raw), "epochs": a.epochs, "batch": BATCH, "rounds": a.rounds}
    publish("gan_mlp", {**facts, "ways": figures, **ratios}, "python benchmarks/gan_mlp.py")


if __name__ == "__main__":
    main()
