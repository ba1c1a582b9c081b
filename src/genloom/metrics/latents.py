"""Figures of what a model does with latents: reconstructions, codes it found, on demand the path length."""

from __future__ import annotations

import time
from collections.abc import MutableMapping

import torch

from genloom.core import TOKENS, Model
from genloom.errors import BadValue
from genloom.metrics.active_units import active_units_result
from genloom.metrics.base import Result
from genloom.metrics.codes import code_results
from genloom.metrics.lpips import load_lpips
from genloom.metrics.path_length import path_length_result
from genloom.metrics.reconstruction import can_reconstruct, copied_results, reconstruction_results
from genloom.metrics.store import DatasetLike, extractor_for
from genloom.metrics.weights import here


def latent_results(
    model: Model,
    dataset: DatasetLike,
    key: str,
    generator: torch.Generator,
    seconds: MutableMapping[str, float],
    path_length: bool,
) -> list[Result]:
    """Of a model that encodes and decodes: PSNR, SSIM and, where fetched, LPIPS of held-out items, and how many
    numbers of its codes are used; of items of tokens how many come back unchanged. path_length: also
    the perceptual path length of one with a latent space. seconds: told what each took. Raises BadValue."""
    item = dataset.spec[key]
    if item.modality != "image":
        if path_length:
            raise BadValue(f"--path-length is for images, and {dataset.name} holds {item.modality}s: leave it out")
        if item.modality not in TOKENS or not can_reconstruct(model):
            return []
        started = time.perf_counter()
        used = active_units_result(model, dataset.test)
        results = copied_results(model, dataset.test, key, item) + ([] if used is None else [used])
        seconds["reconstruction"] = time.perf_counter() - started
        return results
    results = []
    if can_reconstruct(model):
        started = time.perf_counter()
        results += reconstruction_results(model, dataset.test)
        used = active_units_result(model, dataset.test)
        results += [] if used is None else [used]
        seconds["reconstruction"] = time.perf_counter() - started
    results += code_results(model, dataset)
    if path_length:
        started = time.perf_counter()
        judge = load_lpips("vgg", generator.device) if here("lpips") else extractor_for(dataset)
        results.append(path_length_result(model, key, judge, generator))
        seconds["path length"] = time.perf_counter() - started
    return results
