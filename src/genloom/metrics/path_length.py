"""Perceptual path length: how evenly a latent space is laid out (Karras, Laine & Aila 2019, section 4.1).

Two latents are drawn from the prior and a point t on the arc between them; the figure is the mean of
d(G(t), G(t + e)) / e^2, where d is a squared perceptual distance. It is small where small steps change pictures by
little, and large where the path crosses what is no picture. As published, the lowest and the highest hundredth of the
values are left out.

d is LPIPS with VGG16 where its weights were fetched, and else the squared difference of features in the data set's own
extractor, which the figure's name says. e is 0.01 in fp32: at 0.0001, as published, the rounding of fp32 would be felt.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from genloom.core import Batch, CanDecode, Model, the_class
from genloom.errors import BadValue
from genloom.metrics.base import Result
from genloom.metrics.features import Extractor
from genloom.metrics.lpips import Lpips
from genloom.samplers.latent import slerp

CITATION = (
    "@inproceedings{karras2019style, title={A Style-Based Generator Architecture for Generative Adversarial Networks}, "
    "author={Karras, Tero and Laine, Samuli and Aila, Timo}, booktitle={CVPR}, year={2019}}"
)
EPSILON = 1e-2
PATHS = 500
BATCH = 50
TRIMMED = 0.01

Distance = Callable[[Tensor, Tensor], Tensor]


def path_lengths(
    decode: Callable[[Tensor, slice], Tensor],
    ends: tuple[Tensor, Tensor],
    distance: Distance,
    generator: torch.Generator,
    epsilon: float = EPSILON,
) -> Tensor:
    """d(G(t), G(t + e)) / e^2 of each path, (N,). ends: latents (N, ...) each; decode(latents, rows): the items of
    those rows of the paths; distance: of two batches of items, (B,); t is uniform in [0, 1)."""
    t = torch.rand(len(ends[0]), generator=generator, device=generator.device).cpu()
    found = []
    for start in range(0, len(t), BATCH):
        rows = slice(start, start + BATCH)
        a, b = ends[0][rows], ends[1][rows]
        points = [torch.cat([slerp(a[i : i + 1], b[i : i + 1], at + shift)[0] for i, at in enumerate(t[rows, None])])
                  for shift in (0.0, epsilon)]  # fmt: skip
        found.append(distance(decode(points[0], rows), decode(points[1], rows)).double().cpu() / epsilon**2)
    return torch.cat(found)


@torch.no_grad()
def path_length_result(
    model: Model, key: str, judge: Lpips | Extractor, generator: torch.Generator, n: int = PATHS
) -> Result:
    """The figure of a model with a latent space, from n paths. Where the model listens to classes, each path keeps one.

    Raises BadValue where the model has no latent space.
    """
    if not isinstance(model, CanDecode):
        raise BadValue(f"{type(model).__name__} has no latent space: leave out --path-length")
    latents = model.prior(2 * n, generator=generator)
    label = the_class(getattr(model, "spec", {}))
    classes: Tensor | None = None
    if label is not None and label[1].classes:
        classes = torch.arange(n, device=latents.device) % len(label[1].classes)

    def decode(points: Tensor, rows: slice) -> Tensor:
        condition: Batch | None = {label[0]: classes[rows]} if label is not None and classes is not None else None
        return model.decode(points, condition=condition)[key].clamp(-1, 1)

    perceptual = isinstance(judge, Lpips)
    distance = judge.distance if isinstance(judge, Lpips) else _squared(judge)
    values = path_lengths(decode, (latents[:n], latents[n:]), distance, generator)
    low, high = torch.quantile(values, torch.tensor([TRIMMED, 1 - TRIMMED], dtype=values.dtype))
    kept = values[(values >= low) & (values <= high)]
    mean, half = float(kept.mean()), 1.96 * float(kept.std()) / len(kept) ** 0.5
    protocol = {
        "features": judge.identity,
        "distance": "LPIPS" if perceptual else "squared difference of features",
        "epsilon": EPSILON,
        "paths": "slerp between two draws of the prior, t uniform",
        "left_out": f"{TRIMMED:.0%} at either end",
        "interval": "normal, 95%, over the paths kept",
        **({"resize": judge.resize} if judge.resize else {}),
    }
    name = "PPL" if perceptual else f"path length({judge.identity})"
    return Result("path_length", name, mean, (mean - half, mean + half), n, protocol, CITATION, "lower")


def _squared(judge: Extractor) -> Distance:
    return lambda x, y: (judge.features(x) - judge.features(y)).double().square().sum(1)
