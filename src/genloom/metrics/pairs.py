"""Pictures made of other pictures, beside what they should have become: L1, PSNR, SSIM, and LPIPS where it was fetched.

And what simple methods make of the same pictures, which a translator must beat: the given picture as it is, the mean of
all training pictures, and the partner of the training picture that is most like the given one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import Batch, CanSample, CanTranslate, DataSpec, Model, Sampling, pictures, translations
from genloom.errors import BadValue
from genloom.metrics import lpips, similarity
from genloom.metrics.base import Result, SplitLike, spread
from genloom.metrics.weights import here

MOST = 1000  # held-out pairs that are scored
BATCH = 64
SPAN = 2.0  # of pixels in [-1, 1]


def tasks_of(model: Model, spec: DataSpec) -> dict[str, tuple[str, str]]:
    """The translations between the data's fields that a model does: task -> (given, made)."""
    own = model.tasks if isinstance(model, CanTranslate) else ()
    told = isinstance(model, CanSample) and not isinstance(model, CanTranslate)
    return {
        task: (a, b)
        for task, (a, b) in translations(spec).items()
        if task in own or (told and spec[a].role == "condition" and a in getattr(model, "spec", {}))
    }


def source_of(model: Model, spec: DataSpec, made: str) -> str | None:
    """The picture that the model is given to make the field `made`; None where it makes it of noise alone."""
    return next((a for a, b in tasks_of(model, spec).values() if b == made and a in pictures(spec)), None)


def to_be_made(model: Model, spec: DataSpec, test: SplitLike, made: str, n: int) -> Batch | None:
    """n held-out pictures, from the first again after the last, of which the model makes samples of the field `made`;
    None where it makes them of noise alone."""
    source = source_of(model, spec, made)
    return None if source is None else {source: test.batch(torch.arange(n) % max(1, len(test)))[source]}


@torch.no_grad()
def translated(
    model: Model,
    task: str,
    between: tuple[str, str],
    given: Tensor,
    generator: torch.Generator,
    *,
    condition: Batch | None = None,
    options: Sampling = Sampling(),
) -> Tensor:
    """What the model makes of pictures (B, C, H, W) in [-1, 1], in [-1, 1], on the CPU. Raises BadValue where it does
    no such task."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    source, made = between
    training, parts = model.training, []
    model.eval()
    try:
        for start in range(0, len(given), BATCH):
            some = given[start : start + BATCH].to(device)
            told = {k: v[start : start + BATCH].to(device) for k, v in (condition or {}).items()}
            if isinstance(model, CanTranslate):
                out = model.translate(some, task=task, condition=told or None, options=options, generator=generator)
            elif isinstance(model, CanSample):
                told[source] = some
                out = model.sample(len(some), condition=told, options=options, generator=generator)
            else:
                raise BadValue(f"a model of type {type(model).__name__} makes no pictures of pictures")
            parts.append(out[made].float().clamp(-1, 1).cpu())
    finally:
        model.train(training)
    return torch.cat(parts)


def likeness(made: Tensor, originals: Tensor, way: str, key: str = "") -> list[Result]:
    """Mean figures of pictures (B, C, H, W) in [-1, 1] beside the ones they should be, with normal 95% intervals. L1 is
    the mean absolute difference of values in [0, 1]."""
    found: list[tuple[str, Tensor, str, str, dict[str, str]]] = [
        ("L1", (made - originals).abs().flatten(1).mean(1).double() / SPAN, "lower", "", {}),
        ("PSNR", similarity.psnr(made, originals, SPAN).clamp(max=100), "higher", similarity.CITATION, {}),
        ("SSIM", similarity.ssim(made, originals, SPAN), "higher", similarity.CITATION, {}),
    ]
    if here("lpips"):
        net = lpips.load_lpips("alex")
        apart = torch.cat([net.distance(a, b) for a, b in zip(made.split(BATCH), originals.split(BATCH), strict=True)])
        told = {"network": net.identity, "resize": net.resize}
        found.append(("LPIPS", apart.double(), "lower", lpips.CITATION, told))
    results = []
    for name, values, better, citation, told in found:
        mean, interval = float(values.mean()), None
        if len(values) > 1:
            half = 1.96 * float(values.std()) / len(values) ** 0.5
            interval = (mean - half, mean + half)
        protocol = {"interval": "normal, 95%, over items", **told}
        says = f"{name} of {way}"
        results.append(Result(f"{name.lower()}{key}", says, mean, interval, len(values), protocol, citation, better))
    return results


def held_out(split: SplitLike, between: tuple[str, str], most: int = MOST) -> tuple[Tensor, Tensor, Tensor]:
    """(rows, given, originals) of at most `most` held-out pairs, spread over the split, in [-1, 1]."""
    rows = spread(len(split), most)
    batch = split.batch(rows)
    return rows, batch[between[0]], batch[between[1]]


def pair_results(
    model: Model, spec: DataSpec, test: SplitLike, generator: torch.Generator, options: Sampling = Sampling()
) -> list[Result]:
    """The likeness of each translation of held-out pictures to their true partners; [] where there are no pairs."""
    results: list[Result] = []
    if not getattr(test, "paired", True) or not len(test):
        return results
    for task, between in tasks_of(model, spec).items():
        rows, given, originals = held_out(test, between)
        told = {k: v for k, v in test.batch(rows).items() if k != between[0] and spec[k].role == "condition"}
        made = translated(model, task, between, given, generator, condition=told, options=options)
        results += likeness(made, originals, task, f":{task}")
    return results


def simple(given: Tensor, sources: Tensor | None, targets: Tensor) -> dict[str, Tensor]:
    """Name -> pictures made of `given` without a model. sources, targets: training pictures, pairs where there are
    sources; else targets alone, among which the one most like the given picture itself is found."""
    channels = targets.shape[1]
    copied = given.expand(-1, channels, -1, -1) if given.shape[1] == 1 else given
    copied = copied if copied.shape[1] == channels else copied.mean(1, keepdim=True)
    asked, known = (copied, targets) if sources is None else (given, sources)
    near = torch.cat([torch.cdist(part.flatten(1), known.flatten(1)).argmin(1) for part in asked.split(BATCH)])
    return {
        "the given picture": copied,
        "the training mean": targets.mean(0, keepdim=True).expand_as(copied),
        "the nearest training pair" if sources is not None else "the nearest training picture": targets[near],
    }
