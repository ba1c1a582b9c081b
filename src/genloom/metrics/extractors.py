"""Extractors by name: the data set's own, published networks whose weights are fetched, and any function of yours."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genloom.errors import BadData, BadValue, GenloomError, NotFound
from genloom.metrics.features import Extractor
from genloom.metrics.store import DatasetLike, extractor_for, slug
from genloom.metrics.weights import weights_hash
from genloom.modalities.image import to_bytes

NAMES = ("own", "inception", "lpips-vgg", "lpips-alex")
BATCH = 256


def extractor_named(name: str, dataset: DatasetLike, device: torch.device | str = "cpu") -> Extractor:
    """The extractor of that name: own, inception, lpips-vgg, lpips-alex, or package.module:function.

    Raises NotFound with the command that fetches missing weights, BadValue for another name.
    """
    if name == "own":
        return extractor_for(dataset, device=device)
    if name == "inception":
        from genloom.metrics.inception import load_inception

        return load_inception(device)
    if name in ("lpips-vgg", "lpips-alex"):
        from genloom.metrics.lpips import load_lpips

        return load_lpips(name.partition("-")[2], device)
    if ":" in name:
        return UserExtractor(imported(name), name)
    raise BadValue(f"--extractor {name}: expected one of {', '.join(NAMES)}, or package.module:function")


def imported(name: str, flag: str = "--extractor", of: str = "images") -> Callable[[Tensor], Any]:
    """The function that package.module:function names; modules in the current folder are found too.

    flag, of: what asked for it and what it is a function of, for messages.

    Raises NotFound where there is none, BadValue where it cannot be called.
    """
    module, _, attribute = name.partition(":")
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise NotFound(f"{flag} {name}: {error}; expected package.module:function that can be imported") from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise BadValue(f"{flag} {name}: it is {type(found).__name__}, expected a function of {of}")
    return found


class UserExtractor:
    """A function from bytes (N, C, H, W) to features (N, D), as an extractor.

    Attributes that the function may carry: name; hash, which must change whenever its numbers do (by default that of
    its weights, if it is a torch module, and of the source file it stands in); resize; classes, with logits(features).
    """

    published = False

    def __init__(self, function: Callable[[Tensor], Any], name: str) -> None:
        self.function = function
        if isinstance(function, nn.Module):
            function.eval()
        told = str(getattr(function, "name", "") or name.rpartition(":")[2])
        digest = str(getattr(function, "hash", "") or _hash(function))
        self.identity = f"{slug(told)}@{slug(digest)[:8]}"
        self.resize = str(getattr(function, "resize", ""))
        self.classes = tuple(map(str, getattr(function, "classes", ())))
        self.facts: Mapping[str, Any] = {"function": name, "hash": digest}
        self.dimensions = 0  # known from the first features on

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """(N, D). Raises BadData for what are no features, and where the function fails."""
        parts = [self._checked(to_bytes(part).cpu()) for part in images.split(BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, self.dimensions)

    def _checked(self, images: Tensor) -> Tensor:
        try:
            found = self.function(images)
        except GenloomError:
            raise
        except Exception as error:  # it is somebody else's code, and may say anything
            why = " ".join(str(error).split())[:200]
            raise BadData(f"the extractor {self.identity} failed on images {tuple(images.shape)}: "
                          f"{type(error).__name__}: {why}") from error  # fmt: skip
        made = torch.as_tensor(found).detach().float().cpu()
        if made.ndim != 2 or len(made) != len(images) or not made.shape[1]:
            raise BadData(
                f"the extractor {self.identity} made {tuple(made.shape)} of {len(images)} images: "
                f"expected features ({len(images)}, D)"
            )
        if self.dimensions not in (0, made.shape[1]):
            raise BadData(f"the extractor {self.identity} made {made.shape[1]} features, and {self.dimensions} before")
        if not bool(torch.isfinite(made).all()):
            bad = int((~torch.isfinite(made)).any(1).sum())
            raise BadData(f"the extractor {self.identity} made features that are not finite of {bad} images")
        self.dimensions = made.shape[1]
        return made

    def logits(self, features: Tensor) -> Tensor:
        """Raises BadData where the function carries none."""
        make = getattr(self.function, "logits", None)
        if not self.classes or make is None:
            raise BadData(f"{self.identity} knows no classes: its function carries no `classes` and `logits`")
        return torch.as_tensor(make(features)).detach().float().cpu()

    def judge(self, features: Tensor) -> Tensor:
        """The likeliest class (N,)."""
        return self.logits(features).argmax(1)


def _hash(function: Callable[[Tensor], Any]) -> str:
    """Of the weights, if there are any, and of the source file: what decides the numbers, as far as is known."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(function, nn.Module):
        digest.update(weights_hash(function.state_dict()).encode())
    try:
        source = inspect.getsourcefile(function if inspect.isroutine(function) else type(function))
    except TypeError:
        source = None
    if source is not None and Path(source).exists():
        digest.update(Path(source).read_bytes())
    digest.update(str(getattr(function, "__qualname__", type(function).__qualname__)).encode())
    return digest.hexdigest()
