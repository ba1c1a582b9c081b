"""Two minutes of `vae` on Fashion-MNIST beside Pythae's benchmark VAE, equal wall time; and what a fitted prior gives.

    python benchmarks/vae_fashion.py [--seconds 120] [--n 5000]

Pythae (pip install pythae) is asked for its VAE with the convolutional networks of its own benchmark of MNIST, 17
million parameters and 16 numbers in a code, in a plain fp32 loop with Adam at 1e-3 and batches of 64; its trainer
counts whole epochs only. Both are sampled from N(0, I) and from a mixture of ten Gaussians fitted to 10,000 training
codes. The Frechet distance is genloom's own, in features of a network trained on the training images, against the
10,000 test images. Writes results/vae_fashion.json and a picture: a row of each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from _result import RESULTS, publish
from genloom.core import Sampling
from genloom.data import DataOptions, Dataset, load
from genloom.engine.load import load as load_run
from genloom.engine.train import Settings, create_run, train
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for
from genloom.modalities.image import labelled, to_bytes
from genloom.models.autoencoding.priors import draw_mixture, fit_mixture
from genloom.recipes import registry
from genloom.verbs.drawn import draw

BATCH = 64


def theirs(data: Dataset, seconds: float, n: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Facts, and samples in [-1, 1] by prior."""
    from pythae.data.datasets import DatasetOutput
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16)
    model: Any = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    started, updates = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        index = torch.randint(len(data.train), (BATCH,), generator=generator)
        loss = model(DatasetOutput(data=(data.train.batch(index)["image"] + 1) / 2)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        updates += 1
    spent = time.monotonic() - started
    model.eval()
    codes = []
    with torch.no_grad():
        for index in torch.arange(10_000).split(500):
            found = model.encoder((data.train.batch(index)["image"] + 1) / 2)
            noise = torch.randn(found.embedding.shape, generator=generator)
            codes.append(found.embedding + torch.exp(0.5 * found.log_covariance) * noise)
        mixture = [torch.from_numpy(a).float() for a in fit_mixture(torch.cat(codes).double().numpy(), 10, 0)]
        z = torch.randn(n, 16, generator=generator)
        latents = {"standard": z, "mixture": draw_mixture(*mixture, z, torch.rand(n, generator=generator))}
        drawn = {
            name: torch.cat([model.decoder(part).reconstruction for part in z.split(500)]) * 2 - 1
            for name, z in latents.items()
        }
    return facts(model, updates, spent), drawn


def ours(data: Dataset, seconds: float, n: int, root: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The same of the recipe as it comes."""
    made = registry.get("vae")
    options = replace(made.train, budget=f"{seconds:g}s", on_illness="off")
    run = create_run(root, Settings("vae", made.model, made.config, data.options, options), data)
    started = time.monotonic()
    outcome = train(run, data)
    spent, loaded = time.monotonic() - started, load_run(run)
    drawn = {
        "standard": draw(loaded, n, seed=0, options=Sampling(prior="standard")),
        "mixture": draw(loaded, n, seed=0, options=Sampling()),
    }
    return {**facts(loaded.model, outcome.steps, spent), "plan": run.environment["plan"]}, drawn


def facts(model: Any, updates: int, seconds: float) -> dict[str, Any]:
    """What was trained, and for how long."""
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "updates": updates,
        "seconds": round(seconds, 1),
        "images a second": round(BATCH * updates / seconds, 1),
    }


def main() -> None:
    """Both in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="wall time of each training")
    parser.add_argument("--n", type=int, default=5000, help="samples a figure")
    arguments = parser.parse_args()
    n = arguments.n
    data = load(DataOptions(source="fashion-mnist"))
    net = extractor_for(data)

    def features(x: Tensor) -> Tensor:
        return embed(net, iter(x.split(500)))

    held_out = features(data.test.batch(torch.arange(len(data.test)))["image"])
    index = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(1))[:n]
    floor = frechet_distance(features(data.train.batch(index)["image"]), held_out)
    peers: dict[str, Any] = {}
    rows: list[tuple[str, Tensor]] = []
    with tempfile.TemporaryDirectory() as root:
        for name in ("pythae", "genloom"):
            found, drawn = (theirs(data, arguments.seconds, n) if name == "pythae"
                            else ours(data, arguments.seconds, n, root))  # fmt: skip
            found["fd"] = {prior: round(frechet_distance(features(x), held_out), 2) for prior, x in drawn.items()}
            peers[name] = found
            rows += [
                (f"{name}, {prior} prior: FD {found['fd'][prior]}", to_bytes(x[:32])) for prior, x in drawn.items()
            ]
            print(name, found, flush=True)
    RESULTS.mkdir(exist_ok=True)
    labelled(rows, columns=16, scale=1).convert("L").save(RESULTS / "vae_fashion.png", optimize=True)
    a, b = peers["genloom"]["fd"], peers["pythae"]["fd"]
    publish(
        "vae_fashion",
        {
            "seconds": arguments.seconds,
            "n": n,
            "held out": len(held_out),
            "metric": f"FD({net.identity})",
            "floor": round(floor, 3),
            "machine was": "shared: one core for this, others in use",
            "peers": peers,
            "fd to pythae's, each as it is sampled by default": round(a["mixture"] / b["standard"], 3),
            "fd to pythae's, mixtures": round(a["mixture"] / b["mixture"], 3),
            "fd to pythae's, standard priors": round(a["standard"] / b["standard"], 3),
            "our mixture to our standard": round(a["mixture"] / a["standard"], 3),
        },
        "python benchmarks/vae_fashion.py",
    )


if __name__ == "__main__":
    main()
