"""How surprised a model is by held-out items: bits per dimension of 8-bit images, nats per token of texts.

Means carry the standard error of the mean over items; neighbouring windows of one text are alike, so there the interval
is somewhat too narrow. A bound is never below the exact value: a bound and an exact figure compare only one way.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from genloom.core import TOKENS, Field, HasLikelihood, Model, counted
from genloom.errors import BadData
from genloom.metrics.base import Result, SplitLike
from genloom.modalities.ended import lengths
from genloom.modalities.strokes import counts

CITATION = (
    "@inproceedings{theis2016note, title={A Note on the Evaluation of Generative Models}, author={Theis, Lucas and "
    'van den Oord, A{\\"a}ron and Bethge, Matthias}, booktitle={ICLR}, year={2016}}'
)


class Decodes(Protocol):
    """What a tokenizer must do so that figures per character can be given."""

    def decode(self, ids: list[int]) -> str: ...


def windows(split: SplitLike, limit: int | None = None) -> Tensor:
    """Indices (N,) of items that do not overlap: all of them, or `limit` spread evenly over the split."""
    rows = (f for f in split.spec.values() if f.role == "item" and f.modality in TOKENS)
    stride = next((f.shape[0] // f.cycle for f in rows), 1)
    stride = stride if len(split) > split.items else 1  # whole items are rows, not windows into one long one
    n = split.items if limit is None else min(limit, split.items)
    return torch.arange(n) * split.items // max(n, 1) * stride


@torch.no_grad()
def nlls(model: Model, split: SplitLike, index: Tensor, *, generator: torch.Generator, batch: int = 128) -> Tensor:
    """Negative log-likelihood in nats (N,), float64, of the items at `index`. Puts the model into evaluation mode."""
    if not isinstance(model, HasLikelihood):
        raise BadData(f"{type(model).__name__} gives items no probability: measure its samples instead")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    try:
        with torch.autocast(device.type, enabled=False):
            parts = []
            for rows in index.split(batch):
                items = {k: v.to(device) for k, v in split.batch(rows).items()}
                parts.append(model.nll(items, generator=generator).double().cpu())
    finally:
        model.train(training)
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.float64)


def mean_interval(values: Tensor) -> tuple[float, tuple[float, float] | None]:
    """The mean and its 95% interval by the normal law; no interval for fewer than two values."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, None
    half = 1.96 * float(values.std()) / math.sqrt(len(values))
    return mean, (mean - half, mean + half)


def perplexity(nats: Result) -> Result:
    """e to the nats per token: among how many equally likely tokens the model would be as unsure."""

    def power(x: float) -> float:
        return math.exp(min(x, 700.0))  # of a model that has gone astray, a huge number and no error

    ends = nats.interval and (power(nats.interval[0]), power(nats.interval[1]))
    return replace(nats, key="perplexity", name="perplexity per token", value=power(nats.value), interval=ends)


def _said(kind: str) -> str:
    return {"bound": " (upper bound)", "estimate": " (estimate)"}.get(kind, "")


def likelihood(
    model: Model,
    split: SplitLike,
    field: Field,
    *,
    generator: torch.Generator,
    limit: int | None = None,
    batch: int = 128,
    tokenizer: Decodes | None = None,
    text_key: str = "text",
) -> list[Result]:
    """Bits per dimension (images), nats per token, character and byte (texts) or movement (drawings) over `split`.

    limit: measure only so many items, spread evenly; a model that takes long is measured on fewer (`model.items`).
    Raises BadData where the split is empty.
    """
    most = model.items if isinstance(model, HasLikelihood) else None
    if most is not None:
        limit = most if limit is None else min(limit, most)
    index = windows(split, limit)
    if not len(index):
        raise BadData("no held-out items to measure a likelihood on: give the data set a test part")
    values = nlls(model, split, index, generator=generator, batch=batch)
    kind = model.kind if isinstance(model, HasLikelihood) else ""
    protocol = {
        "kind": kind,
        "split": "test",
        "items": len(index),
        "of": split.items,
        "interval": "mean +- 1.96 standard errors over items",
        **(model.facts if isinstance(model, HasLikelihood) else {}),
    }

    def result(key: str, name: str, values: Tensor, n: int, **extra: object) -> Result:
        mean, interval = mean_interval(values)
        return Result(key, name, mean, interval, n, {**protocol, **extra}, CITATION, "lower")

    dimensions = math.prod(field.shape)
    if field.modality == "strokes":
        moves = sum(int(counts(split.batch(rows)["strokes"]).sum()) for rows in index.split(512))
        per = values * (len(index) / max(moves, 1))  # one ratio of sums, the ends' share included
        return [result("nats_per_movement", "nats per movement" + _said(kind), per, len(index), movements=moves)]
    if field.whole:  # every item with its own number of tokens, its end included
        rows = (split.batch(some) for some in index.split(512))
        own = sum(int(counted(v, field).sum()) for row in rows for v in row.values() if v.shape[1:] == field.shape)
        per_token = values * (len(index) / max(own, 1))
        return [
            result("nats_per_item", f"nats per {field.modality}", values, len(index)),
            result("nats_per_token", "nats per token", per_token, len(index), tokens=own),
        ]
    if field.modality != "text":
        bits = values / (dimensions * math.log(2))
        name = "bits per dimension" + _said(kind)
        return [result("bits_per_dimension", name, bits, len(index), dimensions=dimensions)]
    tokens = len(index) * dimensions
    if field.end < 0:
        protocol |= {"context": dimensions, "stride": dimensions}  # windows do not overlap: the first has no context
    else:
        tokens = sum(int(lengths(split.batch(rows)[text_key], field.end).sum()) for rows in index.split(512))
        protocol |= {"end": "counted as a token"}
    per_token = values * (len(index) / tokens)
    results = [result("nats_per_token", "nats per token", per_token, len(index), tokens=tokens)]
    results.append(perplexity(results[0]))
    if tokenizer is not None:
        texts = [tokenizer.decode(row.tolist()) for rows in index.split(512) for row in split.batch(rows)[text_key]]
        for key, unit, size in (
            ("nats_per_character", "character", sum(map(len, texts))),
            ("nats_per_byte", "byte", sum(len(t.encode()) for t in texts)),
        ):
            # One ratio of sums: windows of fewer characters must not weigh as much as longer ones.
            scaled = values * (len(index) / max(size, 1))
            results.append(result(key, f"nats per {unit}", scaled, len(index), **{f"{unit}s": size}))
            results.append(result(key.replace("nats", "bits"), f"bits per {unit}", scaled / math.log(2), len(index),
                                  **{f"{unit}s": size}))  # fmt: skip
    return results
