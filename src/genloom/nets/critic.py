"""Networks without normalisation that judge items, so that a penalty on their gradient means what it says."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from genloom.core import DataSpec, the_class
from genloom.nets.conv import Unshuffle, pad, padded, to_rows
from genloom.nets.labels import Labels


class ConvFeatures(nn.Module):
    """Images (B, C, H, W) of any size to features (B, D): a 3x3 convolution after every halving, LeakyReLU(0.2).

    shape: (C, H, W); out: D; width: channels at half size, doubled at every further halving up to four times; count:
    how often the size is halved.
    """

    def __init__(self, shape: tuple[int, ...], out: int, *, width: int, count: int) -> None:
        super().__init__()
        channels, height, width_px = shape
        self.stride = 2**count
        widths = [channels, *(width * 2 ** min(i, 2) for i in range(count))]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [Unshuffle(), nn.Conv2d(4 * before, after, 3, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        area = padded(height, self.stride) * padded(width_px, self.stride) // self.stride**2
        self.out = nn.Linear(widths[-1] * area, out)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.out(to_rows(self.layers(pad(x, self.stride)))), 0.2)


class DenseFeatures(nn.Module):
    """Items (B, ...) to features (B, widths[-1]) by fully connected layers, LeakyReLU(0.2) after each."""

    def __init__(self, pixels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise((pixels, *widths)):
            layers += [nn.Linear(before, after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Discriminator(nn.Module):
    """Items (B, *shape) to logits (B,), and what is known of their classes.

    features: items to (B, width), of one channel more where classes stand beside them; spec: whose class field is told;
    supervision: "projection" adds the product of the features with a vector of the class (Miyato and Koyama 2018),
    "input" puts an embedding of the class beside the item as a further channel (Mirza and Osindero 2014), "auxiliary"
    names the class from the features (Odena et al. 2017). Without classes all three are the same.
    """

    def __init__(
        self,
        features: nn.Module,
        width: int,
        spec: DataSpec,
        shape: tuple[int, ...],
        supervision: Literal["projection", "input", "auxiliary"] = "projection",
    ) -> None:
        super().__init__()
        self.features, self.place = features, shape[1:]
        self.out = nn.Linear(width, 1, bias=False)  # half of the losses see differences of logits alone
        self.direction = Labels(spec if supervision == "projection" else {}, width)
        found = the_class(spec)
        self.channel = Labels(spec, math.prod(self.place)) if found and supervision == "input" else None
        self.kind = nn.Linear(width, len(found[1].classes)) if found and supervision == "auxiliary" else None

    def forward(self, x: Tensor, label: Tensor | None) -> Tensor:
        """The logits alone."""
        return self.judge(x, label)[0]

    def judge(self, x: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The logits, and with "auxiliary" the logits of each class (B, K)."""
        if label is not None and self.channel is not None:
            x = torch.cat([x, self.channel(label).view(len(x), 1, *self.place).to(x.dtype)], 1)
        h = self.features(x).float()
        logit = self.out(h)[:, 0]
        if label is not None and self.direction.name:
            logit = logit + (h * self.direction(label)).sum(1) / math.sqrt(h.shape[1])
        return logit, None if self.kind is None else self.kind(h)


class Spectral(nn.Module):
    """W / sigma(W), as a parametrisation: sigma, the largest singular value of W as (out, rest), comes from a vector u
    that follows it by power iteration (Miyato et al. 2018, algorithm 1).

    `forward` changes nothing; `follow` makes one step of the iteration, to be taken after every turn of the player.
    """

    u: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", F.normalize(matrix @ torch.ones(matrix.shape[1]), dim=0))
        for _ in range(10):
            self.follow(weight)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # sigma in full precision
            matrix = weight.flatten(1)
            with torch.no_grad():
                v = F.normalize(matrix.T @ self.u, dim=0)
            return weight / torch.dot(self.u, matrix @ v)

    @torch.no_grad()
    def follow(self, weight: Tensor) -> None:
        """One power iteration of u."""
        matrix = weight.detach().flatten(1)
        self.u.copy_(F.normalize(matrix @ F.normalize(matrix.T @ self.u, dim=0), dim=0))


def spectrally_normalise(network: nn.Module) -> None:
    """Gives every linear layer, convolution and table of a network a weight whose largest singular value is 1."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.Embedding):
            parametrize.register_parametrization(layer, "weight", Spectral(layer.weight))


def follow(network: nn.Module) -> None:
    """One power iteration of every spectrally normalised weight; nothing where there is none."""
    for layer in network.modules():
        if isinstance(layer, parametrize.ParametrizationList):
            for part in layer:
                if isinstance(part, Spectral):
                    part.follow(layer.original)
