"""Whether a picture fits a caption: two small encoders, trained on the data set's own training items by contrast.

CLIP in small (Radford et al. 2021, arXiv:2103.00020): a convolutional network for pictures, a bag of words for
captions. It shares neither weights nor seeds with the models it judges, and has seen the training split only. A figure
carries its name and the hash of its weights, and compares with figures of the same hash only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from genloom.core import DataSpec, Step, derive_seed, the_item
from genloom.data.captions import drop_parts
from genloom.metrics.base import SplitLike
from genloom.metrics.extractor import _fast_bf16, faded
from genloom.metrics.store import DatasetLike, _read, _write, cache_folder, slug
from genloom.modalities.words import COMMA, PAD
from genloom.objectives.contrastive import contrastive

VERSION = 1  # rises whenever the recipe below changes: old cached networks are then left alone
DIMENSIONS = 128
BATCH = 128
SHIFT = 8  # pictures are moved by up to this part of their width while it learns


def caption_of(spec: DataSpec) -> str | None:
    """The name of the text that models are told; None where there is none."""
    return next((k for k, f in spec.items() if f.role == "condition" and f.modality == "text"), None)


class Scorer(nn.Module):
    """Pictures (B, C, H, W) in the item's range and captions (B, L) of word ids as unit vectors (B, 128)."""

    def __init__(self, shape: tuple[int, ...], vocabulary: int, name: str) -> None:
        super().__init__()
        channels, height, width = shape
        self.shape, self.vocabulary, self.name = shape, vocabulary, name
        self.patch = 1
        while -(-max(height, width) // self.patch) > 20:
            self.patch *= 2
        self.pad = (-width % self.patch, -height % self.patch)
        rows, columns = (math.ceil(math.ceil(s / self.patch) / 4) for s in (height, width))

        def block(a: int, b: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))

        self.body = nn.Sequential(
            block(channels * self.patch**2, 48), block(48, 96, 2), block(96, 96), block(96, 192, 2)
        )
        self.project = nn.Linear(192 * rows * columns, DIMENSIONS)
        self.words = nn.EmbeddingBag(vocabulary, DIMENSIONS, mode="mean", padding_idx=PAD)
        self.read = nn.Sequential(
            nn.LayerNorm(DIMENSIONS), nn.Linear(DIMENSIONS, 256), nn.SiLU(), nn.Linear(256, DIMENSIONS)
        )
        self.scale = nn.Parameter(torch.tensor(2.3))  # log of the inverse temperature

    def see(self, x: Tensor) -> Tensor:
        """Pictures as unit vectors."""
        x = F.pad(x.float(), (0, self.pad[0], 0, self.pad[1]), mode="replicate")
        x = F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x
        return F.normalize(self.project(self.body(x).flatten(1)).float(), dim=1)

    def hear(self, ids_BL: Tensor) -> Tensor:
        """Captions as unit vectors. Commas say nothing to a bag of words."""
        found: Tensor = self.read(self.words(ids_BL.masked_fill(ids_BL == COMMA, PAD)).float())
        return F.normalize(found.float(), dim=1)

    @property
    def identity(self) -> str:
        """Its name and the first eight digits of the hash of its weights: "emoji-captions@1a2b3c4d"."""
        digest = hashlib.blake2b(digest_size=16)
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(f"{key}{tuple(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return f"{self.name}-captions@{digest.hexdigest()[:8]}"


def scorer_for(
    dataset: DatasetLike,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    cached: bool = True,
    images: int | None = None,
) -> Scorer:
    """The data set's scorer: from the cache, or else trained on its training split now."""
    name, shape, vocabulary = slug(dataset.name), *_sizes(dataset.spec)
    key = derive_seed(dataset.digest, shape, vocabulary, VERSION, seed, images)
    path = cache_folder() / "extractors" / f"{name}-captions-{key:016x}.safetensors"
    if cached:
        with contextlib.suppress(OSError, SafetensorError, ValueError, KeyError, RuntimeError):
            tensors, metadata = _read(path)
            return _from_tensors(tensors, metadata).to(device)
    net = train_scorer(dataset.train, name=name, seed=seed, device=device, images=images)
    if cached:
        about = {"shape": net.shape, "vocabulary": net.vocabulary, "name": net.name}
        _write(path, net.state_dict(), {"genloom-scorer": json.dumps(about)})
    return net


def _sizes(spec: DataSpec) -> tuple[tuple[int, ...], int]:
    name = caption_of(spec)
    assert name is not None
    return the_item(spec, "image", "the caption scorer")[1].shape, spec[name].vocabulary


def _from_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Scorer:
    about: dict[str, Any] = json.loads(metadata["genloom-scorer"])
    with torch.random.fork_rng(devices=[]):  # weights that are drawn only to be replaced
        net = Scorer(tuple(about["shape"]), about["vocabulary"], about["name"])
    net.load_state_dict(dict(tensors))
    return net.eval().requires_grad_(False)


def train_scorer(
    split: SplitLike, *, name: str, seed: int = 0, images: int | None = None, device: torch.device | str = "cpu"
) -> Scorer:
    """The encoders, trained on the items of `split`. Deterministic for a machine and thread count.

    images: pictures seen in all, repeats counted; by default 15 epochs, between 20,000 and 120,000. Pictures are moved
    and faded and parts of captions left out on the way, so that short captions are understood too.
    """
    key, field = the_item(split.spec, "image", "the caption scorer")
    caption = caption_of(split.spec)
    assert caption is not None
    total = images or int(min(max(15 * split.items, 20_000), 120_000))
    batch = min(BATCH, len(split))
    steps = max(total // batch, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("scorer", seed))
        net = Scorer(field.shape, split.spec[caption].vocabulary, name).to(device).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.1)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1, pct_start=0.1)
    generator = torch.Generator().manual_seed(derive_seed("scorer", seed, "batches"))
    for i in range(steps):
        index = torch.randint(len(split), (batch,), generator=generator)
        items = split.batch(index)
        x = faded(_moved(items[key], generator), field.range, generator).to(device)
        step = Step(seed=derive_seed("scorer", seed, i), rows=(0, batch, batch))
        ids = drop_parts(items[caption], 0.5, step)
        same = (ids[:, None] == ids[None]).all(2)  # two pictures of one caption are both right
        with torch.autocast("cpu", torch.bfloat16) if _fast_bf16(torch.device(device)) else nullcontext():
            seen, heard = net.see(x), net.hear(ids.to(device))
        loss = contrastive(seen.float(), heard.float(), net.scale.clamp_max(4.6).exp(), same.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
    return net.eval().requires_grad_(False)


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """The batch moved by one random offset, edges repeated."""
    reach = [max(1, size // SHIFT) for size in x.shape[-2:]]
    padded = F.pad(x.float(), (reach[1], reach[1], reach[0], reach[0]), mode="replicate")
    top, left = (int(torch.randint(2 * r + 1, (), generator=generator)) for r in reach)
    return padded[:, :, top : top + x.shape[-2], left : left + x.shape[-1]]
