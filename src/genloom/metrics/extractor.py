"""Features to compare images in: a small network trained on the data set itself, in seconds, without downloads.

A network trained on photographs says little about digits, and one that only knows classes is blind to all that a class
contains. This one must do three things from the same 64 numbers: name the class (where there are labels), name what
was done to the picture (nothing, blur, noise, two pictures blended, two halves joined, and turned pictures where there
are no labels), and redraw it as a thumbnail. The second task makes it sensitive to just the faults generators have.
The features are normalised like a LayerNorm's, and contrast is varied in training: otherwise a shade of grey in the
background that nobody sees would weigh more than a missing class (it did: 120 against 1.6 on Fashion-MNIST; now .4
against 1.8).

It sees the training split only. A figure measured in it carries its name and the hash of its weights,
`FD(mnist@1a2b3c4d)`, and can be compared only with figures of the same hash. It is not the FID, which stands for one
certain network trained on ImageNet.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.core import Field, derive_seed, the_class, the_item
from genloom.errors import BadData
from genloom.metrics.base import SplitLike, spread
from genloom.metrics.features import Extractor as Extractor
from genloom.metrics.features import embed as embed
from genloom.metrics.weights import weights_hash
from genloom.modalities.image import to_float

VERSION = 1  # rises whenever the recipe below changes: old cached networks are then left alone
DIMENSIONS = 64
BATCH = 128
CORRUPTED = 48  # rows of each batch that are turned into something else
THUMBNAIL = 7
MANY = 1 << 20  # items from which training draws from a fixed share of them
FAULTS = 0.1  # weight of the task of naming faults: at 1 faults drown all else, at 0 light blur costs a fifth as much


class OwnExtractor(nn.Module):
    """Images (B, C, H, W) in `field.range` -> features (B, 64), class logits, verdicts.

    field: the image field; classes: names of the classes, () without labels; name: of the data set.
    turns: in how many ways pictures are turned as a task of its own; 1 where there are labels.
    """

    mean: Tensor
    scale: Tensor
    dimensions = DIMENSIONS
    resize = ""
    published = False

    def __init__(self, field: Field, classes: tuple[str, ...], name: str) -> None:
        super().__init__()
        channels, height, width = field.shape
        self.field, self.classes, self.name = field, tuple(classes), name
        self.turns = 1 if self.classes else 4 if height == width else 2
        self.patch = 1
        while -(-max(height, width) // self.patch) > 20:
            self.patch *= 2
        self.pad = (-width % self.patch, -height % self.patch)
        rows, columns = ((s + p) // self.patch for s, p in ((height, self.pad[1]), (width, self.pad[0])))
        rows, columns = -(-rows // 4), -(-columns // 4)

        def block(a: int, b: int, stride: int = 1) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True))

        self.body = nn.Sequential(
            block(channels * self.patch**2, 32), block(32, 64, 2), block(64, 64), block(64, 128, 2)
        )
        self.project = nn.Linear(128 * rows * columns, DIMENSIONS)
        self.thumbnail = (min(THUMBNAIL, height), min(THUMBNAIL, width))
        self.redraw = nn.Linear(DIMENSIONS, channels * self.thumbnail[0] * self.thumbnail[1])
        self.fault = nn.Linear(DIMENSIONS, 5)
        self.turn = nn.Linear(DIMENSIONS, self.turns)
        self.kind = nn.Linear(DIMENSIONS, max(len(self.classes), 1))
        self.register_buffer("mean", torch.zeros(DIMENSIONS))
        self.register_buffer("scale", torch.ones(()))
        self.facts: dict[str, Any] = {}  # how it was trained; not part of the hash

    def _raw(self, x: Tensor) -> Tensor:
        low, high = self.field.range
        x = F.pad((x - low) * (2 / (high - low)) - 1, (0, self.pad[0], 0, self.pad[1]), mode="replicate")
        if self.patch > 1:
            x = F.pixel_unshuffle(x, self.patch)
        found = self.project(self.body(x.contiguous(memory_format=torch.channels_last)).flatten(1))
        return F.layer_norm(found.float(), (DIMENSIONS,))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, 64) in fp32, centred on the training data and scaled to a mean variance of 1 there."""
        with torch.autocast(x.device.type, enabled=False):
            return (self._raw(x.float()) - self.mean) * self.scale

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The same of any number of images, bytes or floats in `field.range`, on the CPU."""
        parts = [self(to_float(x) if x.dtype == torch.uint8 else x)
                 for x in (part.to(self.mean.device) for part in images.split(512))]  # fmt: skip
        return torch.cat(parts).cpu() if parts else torch.empty(0, DIMENSIONS)

    def judge(self, features: Tensor) -> Tensor:
        """The class index (B,) of items with these features. Raises BadData where the data had no labels."""
        if not self.classes:
            raise BadData(f"the extractor {self.identity} knows no classes: its data set carries no labels")
        return self.logits(features).argmax(1)

    def logits(self, features: Tensor) -> Tensor:
        """Unnormalised log-probabilities (B, K) of the classes of items with these features."""
        found: Tensor = self.kind(features.to(self.mean.device) / self.scale + self.mean)
        return found.to(features.device)

    @property
    def identity(self) -> str:
        """Its name and the first eight digits of the hash of its weights: "mnist@1a2b3c4d"."""
        return f"{self.name}@{weights_hash(self.state_dict())[:8]}"


def train_extractor(
    split: SplitLike,
    *,
    name: str,
    seed: int = 0,
    images: int | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[float], None] | None = None,
) -> OwnExtractor:
    """The network, trained on the items of `split` (the training split). Deterministic for a machine and thread count.

    images: pictures it sees in all, repeats counted; by default 1.5 epochs of 60,000 or 8 of 3,000, between 20,000 and
    120,000. progress: called with the share done. The global random state is left as it was.
    """
    key, field = the_item(split.spec, "image", "the feature extractor")
    label = the_class(split.spec)
    classes = label[1].classes if label else ()
    device = torch.device(device)
    total = images or int(min(max(8 * split.items, 20_000), 90_000))
    steps = max(total // BATCH, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("extractor", seed))
        net = OwnExtractor(field, classes, name).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.02)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1, pct_start=0.15)
    generator = torch.Generator().manual_seed(derive_seed("extractor", seed, "batches"))
    for step, index in enumerate(_batches(split, steps, generator)):
        batch = split.batch(index)
        x = batch[key].to(device)
        truth = batch[label[0]].to(device) if label else None
        with torch.autocast("cpu", torch.bfloat16) if _fast_bf16(device) else nullcontext():
            loss = _loss(net, x, truth, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        rate.step()
        if progress is not None:
            progress((step + 1) / steps)
    net.eval().requires_grad_(False)
    _standardise(net, split, key, generator)
    net.facts = {"version": VERSION, "seed": seed, "images": steps * BATCH, "train_items": split.items}
    return net


def _loss(net: OwnExtractor, x: Tensor, truth: Tensor | None, generator: torch.Generator) -> Tensor:
    clean = len(x) - len(x) * CORRUPTED // BATCH
    x = faded(x, net.field.range, generator)
    x, fault = corrupt(x, clean, net.patch, net.field.range, generator)
    turn = torch.randint(net.turns, (len(x),), generator=generator).to(x.device)
    if net.turns > 1:
        x = turned(x, turn, net.turns)
    raw = net._raw(x)
    # The heads are small: fp32 costs nothing there and keeps the features' scale honest.
    with torch.autocast(x.device.type, enabled=False):
        target = F.adaptive_avg_pool2d(x, net.thumbnail).flatten(1)
        loss = FAULTS * F.cross_entropy(net.fault(raw), fault) + 2 * F.mse_loss(net.redraw(raw), target)
        if truth is not None and net.classes:
            loss = loss + F.cross_entropy(net.kind(raw[:clean]), truth[:clean])
        if net.turns > 1:
            loss = loss + F.cross_entropy(net.turn(raw), turn)
    return loss


def faded(x: Tensor, span: tuple[float, float], generator: torch.Generator) -> Tensor:
    """Each picture with its contrast lowered by up to a quarter, around a brightness that stays within the range."""
    shape = (len(x), 1, 1, 1)
    keep = (1 - 0.25 * torch.rand(shape, generator=generator)).to(x.device)
    at = span[0] + (span[1] - span[0]) * torch.rand(shape, generator=generator).to(x.device)
    return at + keep * (x - at)


def corrupt(
    x: Tensor, clean: int, patch: int, span: tuple[float, float], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The batch with its rows from `clean` on spoilt in four ways, and what was done to each row: 0 nothing, 1 blur,
    2 noise, 3 blended with another picture, 4 joined with the half of another."""
    n = len(x)
    if n - clean < 4:
        return x, torch.zeros(n, dtype=torch.int64, device=x.device)
    bounds = [clean + (n - clean) * i // 4 for i in range(5)]
    blur, noise, blend, join = (x[a:b] for a, b in pairwise(bounds))
    reach = min(patch, min(x.shape[2:]) // 2, 4)
    blur = F.avg_pool2d(blur, 2 * reach + 1, 1, reach, count_include_pad=False) if reach else blur
    strength = (0.05 + 0.25 * torch.rand(len(noise), 1, 1, 1, generator=generator)).to(x.device)
    noise = noise + (span[1] - span[0]) * strength * torch.randn(noise.shape, generator=generator).to(x.device)
    blend = 0.5 * (blend + x[: len(blend)])
    upper = torch.arange(x.shape[2], device=x.device)[:, None] < x.shape[2] // 2
    join = torch.where(upper, join, x[clean - len(join) : clean]) if clean >= len(join) else join
    parts = [x[:clean], blur, noise.clamp(*span), blend, join]
    kinds = torch.cat([torch.full((len(p),), i, dtype=torch.int64) for i, p in enumerate(parts)])
    return torch.cat(parts), kinds.to(x.device)


def turned(x: Tensor, turn: Tensor, turns: int) -> Tensor:
    """Row i of x turned by turn[i] quarters of a circle (turns = 4), or upside down where turn[i] is 1 (turns = 2)."""
    out = x.clone()
    for t in range(1, turns):
        rows = turn == t
        out[rows] = torch.rot90(x[rows], t if turns == 4 else 2, (2, 3))
    return out


def _batches(split: SplitLike, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index batches of BATCH rows; every item once before any comes again. Of very many items only some are used."""
    rows, order = spread(len(split), MANY), torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < BATCH:
            order = torch.cat([order, torch.randperm(len(rows), generator=generator)])
        yield rows[order[:BATCH]]
        order = order[BATCH:]


def _standardise(net: OwnExtractor, split: SplitLike, key: str, generator: torch.Generator) -> None:
    """Centre and scale, so that distances mean the same from one data set to the next: 64 is the total variance."""
    rows = spread(len(split), MANY)
    index = rows[torch.randperm(len(rows), generator=generator)[:4096]]
    found = embed(net, (split.batch(part)[key] for part in index.split(512)))
    net.mean.copy_(found.mean(0))
    net.scale.copy_(found.var(0).mean().clamp_min(1e-12).rsqrt() if len(found) > 1 else torch.ones(()))


def _fast_bf16(device: torch.device) -> bool:
    """Whether this CPU multiplies bf16 in hardware; elsewhere bf16 would be emulated."""
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def to_metadata(net: OwnExtractor) -> dict[str, str]:
    """What must stand beside the weights to build the network again."""
    low, high = net.field.range
    described = {"shape": net.field.shape, "range": [low, high], "classes": net.classes, "name": net.name}
    return {"genloom-extractor": json.dumps({**described, "facts": net.facts})}


def from_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> OwnExtractor:
    """The network that `to_metadata` and its state dict describe; ValueError, KeyError or RuntimeError if damaged."""
    described = json.loads(metadata["genloom-extractor"])
    field = Field("image", tuple(described["shape"]), tuple(described["range"]))
    net = OwnExtractor(field, tuple(described["classes"]), described["name"])
    net.load_state_dict(dict(tensors))
    net.facts = described["facts"]
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
