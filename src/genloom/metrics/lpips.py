"""LPIPS: how different two pictures look, from networks that learnt to see (Zhang et al. 2018, eq. 1), version 0.1.

    d(x, y) = sum over layers of the mean over positions of  w . (a - b)^2

where a and b are the layer's activations at a position, each scaled to length 1, and w >= 0 weighs channels by what
people called different. 0 for a picture and itself, symmetric, and roughly .1 to .8 for pictures people can tell
apart. The networks are VGG16 or AlexNet, trained on photographs; the heads were fitted to patches of 64 x 64 pixels, so
smaller pictures are enlarged to that. The weights come with `genloom data fetch lpips`; their hashes are pinned.

As an extractor of features a network gives, layer by layer, the mean over positions of sqrt(w) times the activations of
length 1: distances of sets are then measured in what LPIPS looks at, though not where in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from genloom.errors import BadData, BadValue, Damaged
from genloom.metrics.weights import colours, read, weights_hash
from genloom.modalities.image import to_float

CITATION = (
    "@inproceedings{zhang2018unreasonable, title={The Unreasonable Effectiveness of Deep Features as a Perceptual "
    "Metric}, author={Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, Oliver}, "
    "booktitle={CVPR}, year={2018}}"
)
HASHES = {"vgg": "c5b5f9497558cb9d44480230af1b9156", "alex": "1e47cc9d0905060ce03b648df1bc00ff"}
FILES = {"vgg": "vgg16.safetensors", "alex": "alexnet.safetensors"}
SIDE = 64  # pixels that the shorter side has at least
BATCH = 64
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# Of each network: (kernel, stride) of its pools; the convolutions before which they stand; stride and padding of
# convolutions; the convolutions whose activations are compared.
_Shape = tuple[tuple[int, int], tuple[int, ...], tuple[tuple[int, int], ...], tuple[int, ...]]
_ALEX: _Shape = ((3, 2), (1, 2), ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1)), (0, 1, 2, 3, 4))
_VGG: _Shape = ((2, 2), (2, 4, 7, 10), ((1, 1),) * 13, (1, 3, 6, 9, 12))


class Lpips:
    """Distance and extractor. net: "vgg" or "alex"; weights: convI.weight, convI.bias, headI of any widths that fit."""

    resize = f"bilinear-to-{SIDE}-if-smaller"
    classes: tuple[str, ...] = ()
    published = False

    def __init__(self, net: str, weights: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
        if net not in HASHES:
            raise BadValue(f"expected a network vgg or alex, got {net!r}")
        digest = weights_hash(weights)
        self.net, self.identity = net, f"lpips-{net}@{digest[:8]}"
        self.facts: Mapping[str, Any] = {"weights": digest, "resize": self.resize, "version": "0.1"}
        self.device = torch.device(device)
        self.weights = {k: v.to(self.device) for k, v in weights.items()}
        self.pool, self.pooled, self.shapes, self.taps = _ALEX if net == "alex" else _VGG
        self.dimensions = sum(len(weights[f"head{i}"]) for i in range(len(self.taps)))

    def layers(self, images: Tensor) -> list[Tensor]:
        """Activations (B, C, h, w) of length 1 at each position, of bytes or floats in [-1, 1] (B, 1 or 3, H, W)."""
        x = images.to(self.device)
        x = colours(to_float(x) if x.dtype == torch.uint8 else x.float())
        short = min(x.shape[2:])
        if short < SIDE:
            sides = [max(SIDE, round(s * SIDE / short)) for s in x.shape[2:]]
            x = F.interpolate(x, sides, mode="bilinear", align_corners=False)
        shift, scale = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (SHIFT, SCALE))
        x = (x - shift) / scale
        found = []
        with torch.autocast(x.device.type, enabled=False):
            for i, (stride, padding) in enumerate(self.shapes):
                if i in self.pooled:
                    x = F.max_pool2d(x, *self.pool)
                x = F.conv2d(x, self.weights[f"conv{i}.weight"], self.weights[f"conv{i}.bias"], stride, padding).relu()
                if i in self.taps:
                    found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """LPIPS of each pair, (B,), of images (B, 1 or 3, H, W), bytes or floats in [-1, 1]; differentiable in floats.

        Raises BadData where the shapes differ."""
        if x.shape != y.shape or x.ndim != 4:
            raise BadData(f"expected two batches (B, C, H, W) of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
        total = torch.zeros(len(x), device=self.device)
        for i, (a, b) in enumerate(zip(self.layers(x), self.layers(y), strict=True)):
            weight = self.weights[f"head{i}"].view(1, -1, 1, 1)
            total = total + (weight * (a - b).square()).sum(1).mean((1, 2))
        return total

    @torch.no_grad()
    def distances(self, x: Tensor, y: Tensor) -> Tensor:
        """The same for any number of pairs, in batches, on the CPU."""
        parts = [self.distance(a, b).cpu() for a, b in zip(x.split(BATCH), y.split(BATCH), strict=True)]
        return torch.cat(parts) if parts else torch.empty(0)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(N, D) fp32 on the CPU: means over positions, weighted so that squared differences add up as in LPIPS."""
        parts = []
        for part in images.split(BATCH):
            means = [a.mean((2, 3)) * self.weights[f"head{i}"].clamp_min(0).sqrt()
                     for i, a in enumerate(self.layers(part))]  # fmt: skip
            parts.append(torch.cat(means, 1).cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.dimensions)

    def logits(self, features: Tensor) -> Tensor:
        """Raises BadData: there is no classifier."""
        raise BadData(f"{self.identity} knows no classes: it holds no classifier")

    judge = logits


def load_lpips(net: str = "alex", device: torch.device | str = "cpu", path: Path | None = None) -> Lpips:
    """The fetched network. Raises NotFound with the command that fetches it, Damaged where its weights are others."""
    if net not in HASHES:
        raise BadValue(f"expected a network vgg or alex, got {net!r}")
    tensors = read("lpips", FILES[net], path)
    if weights_hash(tensors) != HASHES[net]:
        raise Damaged(
            f"the weights of lpips-{net} are not those of LPIPS 0.1: `genloom data fetch lpips --remove`, then fetch it"
        )
    return Lpips(net, tensors, device)
