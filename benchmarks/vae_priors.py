"""`vae`: what its codes are drawn from, how tight its bound is, and what beta buys.

    python benchmarks/vae_priors.py [--data fashion-mnist] [--steps 250] [--n 5000] [--only vamp | curve]

Runs of equally many steps and one seed. Priors: N(0, I), a mixture of ten Gaussians and a second VAE, all three of the
same trained network (the second VAE sends nothing back), and a VampPrior's runs, with the divergence charged in full
from the start and with KL warm-up over half of the run. The bound of held-out items with 1, 5
and 50 draws. beta from 0.25 to 16: the divergence in bits (what a code costs), the squared error of held-out copies,
the active numbers of a code and the Frechet distance of samples by the mixture. Distances are genloom's own, against
the test images. Writes results/vae_priors.json (with --data results/vae_priors_DATA.json), two pictures and a plot of
beta against copies and codes. --only vamp: the VampPrior's two runs alone, to results/vae_vamp.json; --only curve: the
plot alone, from the figures that were stored. matplotlib is needed here only.
"""

from __future__ import annotations

import argparse
import json
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
from genloom.metrics.active_units import active_units_result
from genloom.metrics.extractor import embed
from genloom.metrics.frechet import frechet_distance
from genloom.metrics.store import extractor_for
from genloom.modalities.image import labelled, to_bytes
from genloom.models.autoencoding.priors import draw_mixture, fit_mixture
from genloom.models.autoencoding.vae import VAE
from genloom.objectives.likelihood import standard_normal_kl
from genloom.recipes import registry

BETAS = (0.25, 1.0, 4.0, 16.0)
CODES = 10_000
WARM = 0.5  # share of a VampPrior's run in which its divergence is charged little by little


def trained(root: str, name: str, data: Dataset, steps: int, **changes: Any) -> VAE:
    """A finished VAE with some fields changed."""
    made = registry.override(registry.get("vae"), {f"config.{k}": v for k, v in changes.items()})
    options = replace(made.train, budget=f"{steps}steps", on_illness="off")
    run = create_run(root, Settings("vae", made.model, made.config, data.options, options), data, name)
    train(run, data)
    model = load_run(run).model
    assert isinstance(model, VAE)
    return model


@torch.no_grad()
def codes_of(model: VAE, data: Dataset) -> Tensor:
    """Drawn codes of training items."""
    generator, parts = torch.Generator().manual_seed(0), []
    for index in torch.arange(min(CODES, len(data.train))).split(500):
        mean, log_variance = model.posterior(data.train.batch(index)["image"])
        parts.append(mean + torch.exp(0.5 * log_variance) * torch.randn(mean.shape, generator=generator))
    return torch.cat(parts)


@torch.no_grad()
def decoded(model: VAE, latents: Tensor) -> Tensor:
    return torch.cat([model.decode(z)["image"] for z in latents.split(500)])


@torch.no_grad()
def rate_and_error(model: VAE, data: Dataset, n: int = 2000) -> dict[str, float]:
    """Over held-out items: the divergence in bits, the mean squared error of copies, active numbers."""
    x = data.test.batch(torch.arange(min(n, len(data.test))))["image"]
    mean, log_variance = model.posterior(x)
    copies = decoded(model, mean)
    used = active_units_result(model, data.test)
    assert used is not None
    return {
        "kl bits": round(float(standard_normal_kl(mean, log_variance).mean()) / math.log(2), 1),
        "mse": round(float((copies - x).square().mean()), 5),
        "active": int(used.value),
    }


def plot(curve: dict[str, Any], place: Any) -> None:
    """The squared error of held-out copies, and the bits of a code, by beta."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, left = pyplot.subplots(figsize=(5.2, 3.2), dpi=110)
    right = left.twinx()
    betas = [float(beta) for beta in curve]
    for axis, key, said, style in (
        (left, "mse", "squared error of copies", "o-C0"),
        (right, "kl bits", "bits of a code", "s--C1"),
    ):
        axis.plot(betas, [row[key] for row in curve.values()], style)
        axis.set_ylabel(said, color=style[-2:])
        axis.set_ylim(bottom=0)
    left.set_xscale("log", base=2)
    left.set_xticks(betas, [f"{beta:g}" for beta in betas])
    left.set_xlabel("beta")
    left.spines["top"].set_visible(False)
    right.spines["top"].set_visible(False)
    figure.tight_layout()
    figure.savefig(place)
    pyplot.close(figure)


def main() -> None:
    """Trains, measures, publishes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--n", type=int, default=5000, help="samples a figure")
    parser.add_argument("--only", choices=("vamp", "curve"))
    arguments = parser.parse_args()
    steps, n = arguments.steps, arguments.n
    end = "" if arguments.data == "fashion-mnist" else f"_{arguments.data}"
    if arguments.only == "curve":
        plot(json.loads((RESULTS / f"vae_priors{end}.json").read_text())["beta"], RESULTS / f"vae_curve{end}.png")
        return
    data = load(DataOptions(source=arguments.data))
    net = extractor_for(data)
    held_out = embed(net, iter(data.test.batch(torch.arange(len(data.test)))["image"].split(500)))

    def distance(x: Tensor) -> float:
        return round(frechet_distance(embed(net, iter(x.split(500))), held_out), 2)

    rows: list[tuple[str, Tensor]] = []
    priors: dict[str, float] = {}
    curve: dict[str, Any] = {}
    shown = data.test.batch(torch.arange(16))["image"]
    copies: list[tuple[str, Tensor]] = [("held-out originals", to_bytes(shown))]
    seconds: dict[str, float] = {}

    def drawn(model: VAE, prior: str) -> Tensor:
        generator = torch.Generator().manual_seed(1)
        if prior == "mixture":
            found = fit_mixture(codes_of(model, data).double().numpy(), 10, 0)
            noise, dart = torch.randn(n, 32, generator=generator), torch.rand(n, generator=generator)
            return decoded(model, draw_mixture(*(torch.from_numpy(a).float() for a in found), noise, dart))
        with torch.no_grad():
            options = Sampling(prior="standard") if prior == "standard" else Sampling()
            return decoded(model, model.prior(n, options=options, generator=generator))

    def measured(model: VAE, name: str, prior: str) -> None:
        x = drawn(model, prior)
        priors[name] = distance(x)
        rows.append((f"{name}: FD {priors[name]}", to_bytes(x[:32])))
        print(rows[-1][0], flush=True)

    def vamps(root: str) -> None:
        for warm in (0.0, WARM):
            started = time.monotonic()
            name = f"VampPrior, warm-up {warm:g}" if warm else "VampPrior"
            model = trained(root, f"vamp-{warm:g}", data, steps, prior="vamp", kl_warmup=(0.0, warm))
            seconds[name] = round(time.monotonic() - started, 1)
            measured(model, name, "own")

    about = {"data": arguments.data, "held out": len(data.test), "steps": steps, "n": n}
    about |= {"metric": f"FD({net.identity})", "machine was": "shared with other work"}
    command = f"python benchmarks/vae_priors.py --data {arguments.data} --steps {steps} --n {n}"
    if arguments.only == "vamp":
        with tempfile.TemporaryDirectory() as root:
            vamps(root)
        labelled(rows, columns=16).convert("L").save(RESULTS / f"vae_vamp{end}.png", optimize=True)
        found = {"fd by prior": priors, "seconds of training": seconds}
        publish(f"vae_vamp{end}", {**about, **found}, f"{command} --only vamp")
        return
    with tempfile.TemporaryDirectory() as root:
        started = time.monotonic()
        plain = trained(root, "plain", data, steps, prior="two-stage")
        seconds["two-stage"] = round(time.monotonic() - started, 1)
        for name, prior in (("standard normal", "standard"), ("mixture of 10", "mixture"), ("two-stage", "own")):
            measured(plain, name, prior)
        vamps(root)
        bounds, some = {}, {"image": data.test.batch(torch.arange(min(300, len(data.test))))["image"]}
        for count in (1, 5, 50):
            plain.config = replace(plain.config, nll_samples=count)
            with torch.no_grad():
                nats = float(plain.nll(some, generator=torch.Generator().manual_seed(0)).mean())
            bounds[str(count)] = round(nats / math.log(2) / math.prod(plain.shape), 4)
        print("bits per dimension by draws", bounds, flush=True)
        for beta in BETAS:
            model = plain if beta == 1 else trained(root, f"beta-{beta:g}", data, steps, beta=beta)
            x = drawn(model, "mixture")
            curve[f"{beta:g}"] = {**rate_and_error(model, data), "fd": distance(x)}
            with torch.no_grad():
                again = model.decode(model.encode({"image": shown}))["image"]
            copies.append((f"beta {beta:g}: {curve[f'{beta:g}']['kl bits']} bits, copies", to_bytes(again)))
            copies.append(("samples", to_bytes(x[:16])))
            print(beta, curve[f"{beta:g}"], flush=True)
    RESULTS.mkdir(exist_ok=True)
    for name, groups in (("vae_priors", rows), ("vae_beta", copies)):
        labelled(groups, columns=16).convert("L").save(RESULTS / f"{name}{end}.png", optimize=True)
    plot(curve, RESULTS / f"vae_curve{end}.png")
    found = {"fd by prior": priors, "seconds of training": seconds}
    publish(f"vae_priors{end}", {**about, **found, "bits per dimension by draws": bounds, "beta": curve}, command)


if __name__ == "__main__":
    main()
