"""The Inception network of 2015 in which the FID is measured (Szegedy et al. 2016; Heusel et al. 2017): 2,048 features.

It is the network of one certain file of weights, and the number named FID belongs to that file and to what is done to
pictures before it. What sets it apart from Inception networks that are trained today:

- pictures are brought to 299 x 299 by the bilinear rule of early TensorFlow, which looks at source pixel i * h / 299
  and its successor, neither centred nor smoothed, and become (x - 128) / 128 without rounding;
- average pools inside blocks divide by the pixels that are there, not by nine at the edge;
- the last block takes a maximum where the one before it takes an average;
- layers are normalised with a mean, a variance and a shift, without a scale, and an epsilon of 0.001.

The weights come with `genloom data fetch inception-fid`; their hash is pinned. They hold no classifier, so there is no
Inception Score in this network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from genloom.errors import BadData, Damaged
from genloom.metrics.weights import colours, read, weights_hash
from genloom.modalities.image import to_bytes

CITATION = (
    "@inproceedings{heusel2017gans, title={GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash "
    "Equilibrium}, author={Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and "
    "Hochreiter, Sepp}, booktitle={NeurIPS}, year={2017}}"
)
HASH = "8da7ff06c922a06427ea958382e42098"
SIDE = 299
BATCH = 32
RESIZE = "bilinear-tf1-299"
EPSILON = 1e-3
UNPADDED = frozenset(("conv", "conv_1", "conv_4", "mixed_3.conv", "mixed_3.tower.conv_2", "mixed_8.tower.conv_1",
                      "mixed_8.tower_1.conv_3"))  # fmt: skip
STRIDED = UNPADDED - {"conv_1", "conv_4"}


class Inception(nn.Module):
    """The network itself. weights: {layer: (out, in, height, width)} and mean, var, beta (out,) of each, as
    "mixed_3.tower.conv_2.weight"; any widths that fit together."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleDict()
        self.towers: dict[str, list[str]] = {}
        for name in dict.fromkeys(key.rpartition(".")[0] for key in weights):
            weight, beta, mean, var = (weights[f"{name}.{part}"].double() for part in ("weight", "beta", "mean", "var"))
            scale = (var + EPSILON).rsqrt()
            sides = tuple(weight.shape[2:])
            padding = (0, 0) if name in UNPADDED else (sides[0] // 2, sides[1] // 2)
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], sides, 2 if name in STRIDED else 1, padding)  # type: ignore[arg-type]
            layer.weight.data = (weight * scale[:, None, None, None]).float()  # the normalisation, folded in
            layer.bias.data = (beta - mean * scale).float()  # type: ignore[union-attr]
            self.layers[name.replace(".", "/")] = layer
            self.towers.setdefault(name.rpartition(".")[0], []).append(name)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _layer(self, name: str, x: Tensor) -> Tensor:
        return self.layers[name.replace(".", "/")](x).relu_()

    def _tower(self, name: str, x: Tensor) -> Tensor:
        for layer in sorted(self.towers[name], key=lambda n: int(n.rpartition("conv")[2].strip("_") or 0)):
            x = self._layer(layer, x)
        return x

    def _block(self, i: int, x: Tensor) -> Tensor:
        name = "mixed" if i == 0 else f"mixed_{i}"
        if i in (9, 10):
            pooled = F.max_pool2d(x, 3, 1, 1) if i == 10 else _average(x)
            a = self._layer(f"{name}.tower_conv", x)
            b = self._layer(f"{name}.tower_1_conv_1", self._layer(f"{name}.tower_1_conv", x))
            ends = [("tower_mixed_conv", a), ("tower_mixed_conv_1", a), ("tower_1_mixed_conv", b),
                    ("tower_1_mixed_conv_1", b), ("tower_2_conv", pooled)]  # fmt: skip
            return torch.cat([self._layer(f"{name}.{n}", y) for n, y in [("conv", x), *ends]], 1)
        parts = [] if i == 8 else [self._layer(f"{name}.conv", x)]
        parts.append(self._tower(f"{name}.tower", x))
        if i != 3:
            parts.append(self._tower(f"{name}.tower_1", x))
        halves = i in (3, 8)
        parts.append(F.max_pool2d(x, 3, 2) if halves else self._tower(f"{name}.tower_2", _average(x)))
        return torch.cat(parts, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (B, 3, 299, 299) in [-1, 1) -> features (B, 2048), in fp32 whatever surrounds it."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().contiguous(memory_format=torch.channels_last)
            for name in ("conv", "conv_1", "conv_2"):
                x = self._layer(name, x)
            x = F.max_pool2d(x, 3, 2)
            for name in ("conv_3", "conv_4"):
                x = self._layer(name, x)
            x = F.max_pool2d(x, 3, 2)
            for i in range(11):
                x = self._block(i, x)
            return x.mean((2, 3))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def resized(x: Tensor, side: int = SIDE) -> Tensor:
    """Floats (B, C, H, W) at (B, C, side, side), as `ResizeBilinear` of TensorFlow 1 does it by default."""
    for axis in (2, 3):
        length = x.shape[axis]
        at = torch.arange(side, dtype=torch.float32, device=x.device) * (length / side)
        low = at.floor().long().clamp_(max=length - 1)
        part = (at - low).view(-1, 1) if axis == 2 else at - low
        first, second = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp_(max=length - 1))
        x = torch.lerp(first, second, part)
    return x


class InceptionFID:
    """The extractor of the FID: figures in it bear their published names."""

    resize = RESIZE
    classes: tuple[str, ...] = ()
    dimensions = 2048
    published = True

    def __init__(self, net: Inception, name: str, facts: Mapping[str, Any]) -> None:
        self.net, self.identity, self.facts = net, name, facts
        self.device = next(net.parameters()).device

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(N, 2048) of images (N, 1 or 3, H, W), bytes or floats in [-1, 1], which are rounded to bytes first."""
        parts = []
        for part in images.split(BATCH):
            x = resized(colours(to_bytes(part).to(self.device).float()))
            parts.append(self.net((x - 128) / 128).cpu())
        return torch.cat(parts) if parts else torch.empty(0, self.dimensions)

    def logits(self, features: Tensor) -> Tensor:
        """Raises BadData: these weights end before the classifier."""
        raise BadData(f"{self.identity} knows no classes: the file of weights ends before its classifier")

    judge = logits


def load_inception(device: torch.device | str = "cpu", path: Path | None = None) -> InceptionFID:
    """The network of the fetched file. Raises NotFound with the command that fetches it, Damaged where the weights are
    not the ones that the FID is defined by. path: of the file, by default that of the set inception-fid."""
    tensors = read("inception-fid", "inception-2015.safetensors", path)
    found = weights_hash(tensors)
    if found != HASH:
        raise Damaged(
            f"the weights of inception-fid are not those of the FID ({found[:8]}, expected {HASH[:8]}): "
            "`genloom data fetch inception-fid --remove`, then fetch it again"
        )
    name = f"inception-2015@{found[:8]}"
    return InceptionFID(Inception(tensors).to(device), name, {"weights": found, "resize": RESIZE})
