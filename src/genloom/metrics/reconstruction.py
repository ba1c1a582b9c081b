"""How well a model gives back held-out items from their codes: PSNR, SSIM, and LPIPS where its weights were fetched."""

from __future__ import annotations

import torch
from torch import Tensor

from genloom.core import Batch, CanDecode, CanEncode, Field, Model, counted, the_class, the_item
from genloom.metrics import lpips, similarity
from genloom.metrics.base import Result, SplitLike, spread
from genloom.metrics.weights import here
from genloom.modalities.image import to_bytes

ITEMS = 500
BATCH = 100


def can_reconstruct(model: Model) -> bool:
    """Whether the model encodes and decodes, and does so in passing: not where each code costs as much as a sample."""
    return isinstance(model, CanEncode) and isinstance(model, CanDecode) and model.quick


@torch.no_grad()
def reconstructed(model: Model, split: SplitLike, most: int = ITEMS) -> tuple[Tensor, Tensor]:
    """At most `most` items spread over a split, and what the model makes of their codes: bytes (n, C, H, W), as people
    see them. Classes are told to a model that was trained with them."""
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    key, label = the_item(split.spec, "image", "reconstruction")[0], the_class(getattr(model, "spec", {}))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    pairs = []
    for rows in spread(len(split), most).split(BATCH):
        batch = {k: v.to(device) for k, v in split.batch(rows).items()}
        told: Batch | None = {label[0]: batch[label[0]]} if label and label[0] in batch else None
        pairs.append(
            (to_bytes(batch[key]).cpu(), to_bytes(model.decode(model.encode(batch), condition=told)[key]).cpu())
        )
    return torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])


def reconstruction_results(model: Model, split: SplitLike, most: int = ITEMS) -> list[Result]:
    """Means over items with normal intervals. PSNR leaves out items that are given back without an error."""
    originals, copies = reconstructed(model, split, most)
    decibels = similarity.psnr(originals, copies, 255)
    found: list[tuple[str, str, Tensor, str, str, dict[str, str]]] = [
        ("psnr", "PSNR of reconstructions, dB", decibels[decibels.isfinite()], similarity.CITATION, "higher", {}),
        ("ssim", "SSIM of reconstructions", similarity.ssim(originals, copies, 255), similarity.CITATION, "higher", {}),
    ]
    if here("lpips"):
        net = lpips.load_lpips("alex")
        told = {"network": net.identity, "resize": net.resize}
        apart = net.distances(originals, copies)
        found.append(("lpips", "LPIPS of reconstructions", apart, lpips.CITATION, "lower", told))
    return [_mean(key, name, values.double(), len(originals), told, citation, better)
            for key, name, values, citation, better, told in found if len(values)]  # fmt: skip


def same_tokens(originals_NL: Tensor, copies_NL: Tensor, field: Field) -> tuple[Tensor, Tensor]:
    """Whether each item came back unchanged (N,), and the share of its own tokens that did, in their places (N,)."""
    own = counted(originals_NL, field)
    same = ((originals_NL == copies_NL) & own).sum(1)
    return (same == own.sum(1)).double(), same.double() / own.sum(1)


@torch.no_grad()
def copied_results(model: Model, split: SplitLike, key: str, field: Field, most: int = ITEMS) -> list[Result]:
    """The same of items of tokens: how many come back unchanged, and how many tokens stay in their places."""
    assert isinstance(model, CanEncode)
    assert isinstance(model, CanDecode)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    both = []
    for rows in spread(len(split), most).split(BATCH):
        batch = {k: v.to(device) for k, v in split.batch(rows).items()}
        both.append(same_tokens(batch[key], model.decode(model.encode(batch))[key], field))
    whole, share = (torch.cat([pair[i] for pair in both]).cpu() for i in (0, 1))
    n = len(whole)
    told = {"items": "held-out, spread evenly", "decoded": "the likeliest item of the code"}
    return [
        _mean("exact_copies", "items given back unchanged", whole, n, told, "", "higher"),
        _mean("same_tokens", "tokens given back in their places", share, n, told, "", "higher"),
    ]


def _mean(key: str, name: str, values: Tensor, n: int, told: dict[str, str], citation: str, better: str) -> Result:
    mean, interval = float(values.mean()), None
    if len(values) > 1:
        half = 1.96 * float(values.std()) / len(values) ** 0.5
        interval = (mean - half, mean + half)
    protocol = {"items": "held-out, spread evenly, as bytes", "interval": "normal, 95%, over items", **told}
    return Result(key, name, mean, interval, n, protocol, citation, better)
