"""Weights of networks that others trained, for extractors: from a fetched set's folder, hashed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from genloom.errors import Damaged


def read(entry: str, name: str, path: Path | None = None) -> dict[str, Tensor]:
    """The tensors of a file of a fetched set. Raises NotFound with the command that fetches it, Damaged."""
    if path is None:
        from genloom.data.sets.weights import converted

        path = converted(entry) / name
    try:
        with safe_open(str(path), framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise Damaged(
            f"{path} cannot be read ({error}): `genloom data fetch {entry} --remove`, then fetch it again"
        ) from None


def here(entry: str) -> bool:
    """Whether a set of weights has been fetched."""
    from genloom.data.fetch.manifest import present
    from genloom.data.sets.registry import find

    return present(find(entry)) is not None


def weights_hash(tensors: Mapping[str, Tensor]) -> str:
    """A hash of names, shapes and values, in 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for key, tensor in sorted(tensors.items()):
        digest.update(f"{key}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def colours(x: Tensor) -> Tensor:
    """Pictures (B, 1 or 3, H, W) with three channels: grey stands in all three."""
    return x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
