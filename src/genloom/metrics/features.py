"""What an extractor of features is, and what its figures are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

NAMES = {"fd": "FD", "kd": "KD"}
PUBLISHED = {"fd": "FID", "kd": "KID"}  # what those are called in the one network they were published with


@runtime_checkable
class Extractor(Protocol):
    """Turns images into the numbers in which sets of images are compared.

    identity: "name@hash", where the hash changes whenever the numbers would; dimensions: D; resize: what is done to the
    pictures' size first, in one word, "" for nothing; classes: that `logits` knows, () for none; published: whether it
    is the network that FID and KID are defined by; facts: JSON-ready, how it came about.
    """

    @property
    def identity(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    @property
    def resize(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def published(self) -> bool: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...

    def features(self, images: Tensor) -> Tensor:
        """(N, D) fp32 on the CPU, of images (N, C, H, W): bytes, or floats in [-1, 1]."""
        ...

    def logits(self, features: Tensor) -> Tensor:
        """(N, K) of items with these features. Raises BadData where it knows no classes."""
        ...

    def judge(self, features: Tensor) -> Tensor:
        """The class index (N,) of items with these features. Raises BadData where it knows no classes."""
        ...


def embed(net: Extractor, batches: Iterable[Tensor]) -> Tensor:
    """Features (N, D) of image batches, fp32, on the CPU."""
    parts = [net.features(x) for x in batches]
    return torch.cat(parts) if parts else torch.empty(0, net.dimensions)


def key_of(net: Extractor, key: str) -> str:
    """The key of a figure, "fd" or "kd", in this extractor: "fid" and "kid" in the network they are defined by."""
    return PUBLISHED[key].lower() if net.published else key


def name_of(net: Extractor, key: str) -> str:
    """Its name: "FD(mnist@1a2b3c4d)", or "FID" and "KID" in the network they are defined by and in no other."""
    return PUBLISHED[key] if net.published else f"{NAMES[key]}({net.identity})"
