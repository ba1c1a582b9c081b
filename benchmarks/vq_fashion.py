"""`vq-vae` on Fashion-MNIST: use of its codebook, copies beside a VAE's at equal bits, and its words written.

    python benchmarks/vq_fashion.py [--steps 150] [--n 1000]

Learnt codebooks of 512 words at factor 4 (49 words, 441 bits a picture) and 8 (16 words, 144 bits), rounded numbers
(fsq, 8 x 8 x 8) at factor 4, and two VAEs whose beta leaves them about as many bits (the divergence, which is what a
code costs by bits-back coding), all with the squared error alone and equally many steps. Errors are of 1,000 held-out
copies; a VAE's from drawn codes, which those bits pay for. The VAE's error at exactly a codebook's bits is read off the
line between the two in log error. Code use is counted over 20,000 training items. Then `vq-gpt` learns the words of a
`vq-vae` as the recipe comes, and the Frechet distance of what it writes is measured, beside that of copies. Writes
results/vq_fashion.json and a picture.
"""

from __future__ import annotations

import argparse
import math
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
from genloom.models.autoencoding.vae import VAE
from genloom.models.autoencoding.vq_vae import VQVAE
from genloom.objectives.likelihood import standard_normal_kl
from genloom.recipes import registry
from genloom.runs import Run
from genloom.verbs.drawn import draw

SQUARED = {"copy.pixels": "l2", "copy.laplacian": 0.0, "copy.adversarial": 0.0}
WORDS: dict[str, dict[str, Any]] = {
    "vq, factor 4": {"factor": 4},
    "vq, factor 8": {"factor": 8},
    "fsq, factor 4": {"factor": 4, "quantiser": "fsq"},
}
VAES = {
    "vae, beta 0.1": {"beta": 0.1, "latent": 64, "components": 1},
    "vae, beta 0.01": {"beta": 0.01, "latent": 128, "components": 1},
}


def trained(
    root: str, name: str, recipe: str, data: Dataset, steps: int, changes: dict[str, Any], **given: Run
) -> tuple[Run, Any]:
    """A finished run of a recipe with some fields changed, and its model."""
    made = registry.override(registry.get(recipe), {f"config.{k}": v for k, v in changes.items()})
    options = replace(made.train, budget=f"{steps}steps", batch=64, on_illness="off")
    run = create_run(root, Settings(recipe, made.model, made.config, data.options, options), data, name, given)
    train(run, data)
    return run, load_run(run).model


@torch.no_grad()
def copied(model: Any, x: Tensor) -> tuple[Tensor, float]:
    """Copies of items, and how many bits their codes cost each."""
    if isinstance(model, VQVAE):
        bits = math.prod(model.code_shape) * math.log2(model.vocabulary)
        return torch.cat([model.decode_codes(model.codes({"image": p}))["image"] for p in x.split(250)]), bits
    assert isinstance(model, VAE)
    generator, parts, bits = torch.Generator().manual_seed(0), [], 0.0
    for p in x.split(250):
        mean, log_variance = model.posterior(p)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator)
        parts.append(model.decode(z)["image"])
        bits += float(standard_normal_kl(mean, log_variance).sum()) / math.log(2)
    return torch.cat(parts), bits / len(x)


def main() -> None:
    """Trains, measures, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--gpt-steps", type=int, default=250)
    parser.add_argument("--n", type=int, default=1000, help="held-out copies, and samples a figure")
    arguments = parser.parse_args()
    steps, n = arguments.steps, arguments.n
    data = load(DataOptions(source="fashion-mnist"))
    net = extractor_for(data)
    held_out = embed(net, iter(data.test.batch(torch.arange(len(data.test)))["image"].split(500)))

    def distance(x: Tensor) -> float:
        return round(frechet_distance(embed(net, iter(x.split(500))), held_out), 2)

    x = data.test.batch(torch.arange(n))["image"]
    points: dict[str, Any] = {}
    rows = [("held-out originals", to_bytes(x[:16]))]
    with tempfile.TemporaryDirectory() as root:
        for name, changes in {**WORDS, **VAES}.items():
            recipe = "vq-vae" if name in WORDS else "vae"
            words = name.replace(" ", "").replace(",", "-")
            model = trained(root, words, recipe, data, steps, {**(SQUARED if name in WORDS else {}), **changes})[1]
            copies, bits = copied(model, x)
            points[name] = {"bits": round(bits, 1), "mse": round(float((copies - x).square().mean()), 5)}
            if isinstance(model, VQVAE):
                points[name] |= {k: round(v, 3) for k, v in model.code_use().items()}
            rows.append((f"{name}: {bits:.0f} bits, error {points[name]['mse']}", to_bytes(copies[:16])))
            print(name, points[name], flush=True)
        low, high = (points[name] for name in VAES)
        for name in WORDS:
            share = (points[name]["bits"] - low["bits"]) / (high["bits"] - low["bits"])
            error = math.exp(math.log(low["mse"]) + share * (math.log(high["mse"]) - math.log(low["mse"])))
            points[name] |= {"vae's mse at these bits": round(error, 5), "read between": 0 <= share <= 1}
        first, model = trained(root, "words", "vq-vae", data, steps, {})
        copies = copied(model, x)[0]
        used = {k: round(v, 3) for k, v in model.code_use().items()}
        fd_copies = distance(copies)
        started = time.monotonic()
        run, _ = trained(root, "writer", "vq-gpt", data, arguments.gpt_steps, {}, autoencoder=first)
        spent, started = time.monotonic() - started, time.monotonic()
        drawn = draw(load_run(run), n, seed=0, options=Sampling())
        told = [r["monitor"] for r in run.metrics() if "monitor" in r]
        written = {
            "steps": arguments.gpt_steps,
            "seconds": round(spent, 1),
            "sampling seconds": round(time.monotonic() - started, 1),
            "fd of copies": fd_copies,
            "fd of samples": distance(drawn),
            "held-out nats a word": round(float(told[-1]), 3),
            **used,
        }
        rows.append((f"vq-vae as it comes, copies: FD {fd_copies}", to_bytes(copies[:16])))
        rows.append((f"vq-gpt, samples: FD {written['fd of samples']}", to_bytes(drawn[:32])))
        print(written, flush=True)
    RESULTS.mkdir(exist_ok=True)
    labelled(rows, columns=16, scale=1).convert("L").save(RESULTS / "vq_fashion.png", optimize=True)
    publish(
        "vq_fashion",
        {
            "steps": steps,
            "n": n,
            "metric": f"FD({net.identity})",
            "machine was": "shared: one core for this, others in use",
            "copies": points,
            "vq-gpt": written,
        },
        "python benchmarks/vq_fashion.py",
    )


if __name__ == "__main__":
    main()
