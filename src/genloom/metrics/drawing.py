"""Samples of a model as a person would get them, and what stands in the way of measuring samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from genloom.core import Batch, CanSample, Field, Model, Sampling
from genloom.errors import BadData
from genloom.metrics.likelihood import Decodes
from genloom.metrics.pictured import as_pictures, seen
from genloom.modalities import modality
from genloom.modalities.image import to_bytes

CHUNK = 256
TEXTS = 100  # texts that are drawn to see whether a model recites


class NotFinite(BadData):
    """A model drew samples that hold NaN or infinity."""


@torch.no_grad()
def draw(
    model: Model,
    key: str,
    n: int,
    generator: torch.Generator,
    options: Sampling = Sampling(),
    batch: int = CHUNK,
    field: Field | None = None,
    told: Batch | None = None,
) -> Tensor:
    """n samples as the bytes a person would get, (n, C, H, W) uint8 on the CPU, drawn in chunks. Raises NotFinite.

    field: of sounds and clips, which become the pictures they are compared by; told: pictures that samples are made of,
    n of each."""
    if not isinstance(model, CanSample):
        raise BadData(f"{type(model).__name__} cannot draw samples")
    training = model.training
    model.eval()
    try:
        sizes = [min(batch, n - start) for start in range(0, n, batch)]
        parts, bad = [], 0
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        for i, size in enumerate(sizes):
            some = None if told is None else {k: x[i * batch :][:size].to(device) for k, x in told.items()}
            made = model.sample(size, condition=some, options=options, generator=generator)[key]
            bad += not_finite(made)
            parts.append(to_bytes(made).cpu() if field is None else as_pictures(made, field))
    finally:
        model.train(training)
    if bad:
        raise NotFinite(
            f"{bad:,} of {n:,} samples that the model drew hold NaN or infinity: there is nothing to measure; "
            "choose an earlier checkpoint, or train anew at a lower rate"
        )
    return torch.cat(parts)


@torch.no_grad()
def draw_both(
    model: CanSample, keys: Sequence[str], n: int, generator: torch.Generator, options: Sampling = Sampling()
) -> dict[str, Tensor]:
    """n samples of several fields made together, each as bytes (n, C, H, W) on the CPU."""
    assert isinstance(model, Model)
    training = model.training
    model.eval()
    try:
        sizes = [min(CHUNK, n - start) for start in range(0, n, CHUNK)]
        parts = [model.sample(size, options=options, generator=generator) for size in sizes]
    finally:
        model.train(training)
    return {key: torch.cat([to_bytes(part[key]).cpu() for part in parts]) for key in keys}


def draw_floats(
    model: Model, key: str, n: int, generator: torch.Generator, options: Sampling = Sampling(), batch: int = CHUNK
) -> Tensor:
    """n samples as the model makes them, as floats on the CPU, drawn in chunks."""
    return draw_ids(model, key, n, generator, options, batch).float()


@torch.no_grad()
def draw_ids(
    model: Model, key: str, n: int, generator: torch.Generator, options: Sampling = Sampling(), batch: int = CHUNK
) -> Tensor:
    """n items of a field as they are (of tokens, ids (n, L)) on the CPU, drawn in chunks."""
    if not isinstance(model, CanSample):
        raise BadData(f"{type(model).__name__} cannot draw samples")
    training = model.training
    model.eval()
    try:
        sizes = [min(batch, n - start) for start in range(0, n, batch)]
        return torch.cat([model.sample(m, options=options, generator=generator)[key].cpu() for m in sizes])
    finally:
        model.train(training)


def not_finite(items: Tensor) -> int:
    """How many items of a batch hold a value that is NaN or infinite, which would be drawn as black."""
    if not items.is_floating_point():
        return 0
    return int((~torch.isfinite(items)).flatten(1).any(1).sum())


@torch.no_grad()
def write(
    model: Model,
    key: str,
    field: Field,
    tokenizer: Decodes,
    generator: torch.Generator,
    options: Sampling = Sampling(),
    n: int = TEXTS,
) -> list[str]:
    """n texts of a window's length, as a person would get them."""
    if not isinstance(model, CanSample):
        raise BadData(f"{type(model).__name__} cannot draw samples")
    training = model.training
    model.eval()
    try:
        length = options.length or field.shape[0]
        ids = model.sample(n, options=replace(options, length=length), generator=generator)[key].cpu()
    finally:
        model.train(training)
    return [tokenizer.decode(row.tolist()) for row in ids]


def checked_items(items: Tensor, field: Field, notes: list[str]) -> Tensor:
    """Samples of the field as the bytes (n, C, H, W) they are compared by. Raises BadData as `checked_images` does."""
    if field.modality == "image" or not seen(field):
        return checked_images(items, field, notes)
    if tuple(items.shape[1:]) != field.shape:
        raise BadData(f"expected samples (n, {', '.join(map(str, field.shape))}), got {tuple(items.shape)}: fit them")
    if bad := not_finite(items):
        raise BadData(f"{bad} of {len(items)} samples hold NaN or infinity: leave them out or mend the model")
    measured = modality(field.modality).codec.measured(field)
    assert measured is not None
    return checked_images(as_pictures(items, field), measured, notes)


def checked_images(images: Tensor, field: Field, notes: list[str]) -> Tensor:
    """Samples as bytes (n, C, H, W). Raises BadData where they are none that could be measured."""
    if images.ndim != 4 or tuple(images.shape[1:]) != field.shape:
        raise BadData(
            f"expected samples (n, {', '.join(map(str, field.shape))}), got {tuple(images.shape)}: scale them"
        )
    if bad := not_finite(images):
        raise BadData(f"{bad} of {len(images)} samples hold NaN or infinity: leave them out or mend the model")
    found = to_bytes(images)
    flat = int((found.flatten(2).amin(2) == found.flatten(2).amax(2)).all(1).sum())
    if flat == len(found):
        raise BadData(f"all {flat:,} samples are constant, pictures of one flat colour: there is nothing to measure")
    if flat:
        notes.append(f"{flat:,} of {len(found):,} samples are constant, pictures of one flat colour")
    if bool((found[1:] == found[:1]).all()):
        notes.append(f"all {len(found):,} samples are one and the same picture")
    return found
