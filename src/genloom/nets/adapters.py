"""Small changes to the weights of a frozen network: LoRA (Hu et al. 2021, arXiv:2106.09685), or changes of all of them.

    W' = W + (alpha / rank) B A          eq. 3; A (rank, in) drawn at random, B (out, rank) zero at first

With rank 0 every weight, of norms and tables too, has a change of its own size: full tuning, beside which the frozen
weights are still there. The changed weights are computed once for each use and worn for its length, so whatever the
network can do it can do with them, and merging them is no approximation.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genloom.errors import BadValue, nearest


def layers_of(network: nn.Module) -> list[str]:
    """The names of the layers that can be adapted: those with a matrix that multiplies."""
    return [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]


def chosen(network: nn.Module, patterns: tuple[str, ...]) -> list[str]:
    """The layers that any of the patterns names. Raises BadValue, with those there are, for one that names none."""
    there = layers_of(network)
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in there):
            kinds = sorted({f"*.{name.rpartition('.')[2]}" if "." in name else name for name in there})
            near = nearest(pattern, kinds, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadValue(f"LoRA on {pattern!r}: there is no such layer, there are {', '.join(kinds)}{hint}")
    return [name for name in there if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


class Adapters(nn.Module):
    """Changes of the weights of `network`, which it does not hold. Parameters are named by the weight, with - for
    dots."""

    def __init__(self, network: nn.Module, rank: int, alpha: float, patterns: tuple[str, ...]) -> None:
        super().__init__()
        if rank < 0:
            raise BadValue(f"rank must be a number of directions, or 0 to change all weights freely, got {rank}")
        self.scale = alpha / max(rank, 1)
        self.first, self.second, self.change = (nn.ParameterDict() for _ in range(3))
        weights = dict(network.named_parameters())
        for name in [f"{layer}.weight" for layer in chosen(network, patterns)] if rank else weights:
            weight, key = weights[name], name.replace(".", "-")
            if rank:
                self.first[key] = nn.Parameter(torch.randn(rank, weight.shape[1]) / math.sqrt(weight.shape[1]))
                self.second[key] = nn.Parameter(torch.zeros(weight.shape[0], rank))
            else:
                self.change[key] = nn.Parameter(torch.zeros_like(weight))

    def weights(self, network: nn.Module) -> dict[str, Tensor]:
        """The changed weights of the network, by name."""
        known = {name.replace(".", "-"): (name, p) for name, p in network.named_parameters()}
        found = {}
        for key, first in self.first.items():
            name, weight = known[key]
            found[name] = weight + self.scale * (self.second[key] @ first)
        for key, change in self.change.items():
            name, weight = known[key]
            found[name] = weight + change
        return found


@contextmanager
def worn(network: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """The network computes with these weights inside, and with its own again outside."""
    held = []
    for name, tensor in weights.items():
        path, _, last = name.rpartition(".")
        module = network.get_submodule(path)
        held.append((module, last, module._parameters[last]))
        module._parameters[last] = tensor  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, last, own in held:
            module._parameters[last] = own
