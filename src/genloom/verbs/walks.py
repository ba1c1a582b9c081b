"""Walks through a latent space and maps of it, as items: what `interpolate` and reports show."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from genloom.errors import BadValue
from genloom.verbs.opened import class_indices, listens

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import CanDecode
    from genloom.engine.load import Loaded

CHUNK = 256
CORNERS = 3  # samples that a moving walk leads through before it is back


def decoded(model: CanDecode, latents: Tensor, name: str, condition: dict[str, Tensor] | None) -> Tensor:
    import torch

    parts = []
    for start in range(0, len(latents), CHUNK):
        rows = {k: v[start : start + CHUNK] for k, v in (condition or {}).items()}
        parts.append(model.decode(latents[start : start + CHUNK], condition=rows or None)[name].cpu())
    return torch.cat(parts)


def latent_shape(loaded: Loaded) -> tuple[int, ...]:
    """The shape of one latent of a model that can decode."""
    import torch

    return tuple(cast("CanDecode", loaded.model).prior(1, generator=torch.Generator(loaded.device)).shape[1:])


def map_of(loaded: Loaded, name: str, points: int) -> Tensor:
    """points x points items spread evenly over a two-dimensional latent space, row by row from the top."""
    import torch

    from genloom.samplers.latent import plane

    with torch.no_grad():
        return decoded(cast("CanDecode", loaded.model), plane(points).to(loaded.device), name, None)


def walks(
    loaded: Loaded, name: str, n: int, points: int, seed: int, condition: dict[str, Tensor] | None = None
) -> Tensor:
    """n walks of `points` items each, one after another, along great circles between two draws of the prior.

    condition: n rows, one a walk; by default, where the data has classes, walks take turns through them.
    """
    import torch

    from genloom.samplers.latent import slerp

    model = cast("CanDecode", loaded.model)
    with torch.no_grad():
        ends = model.prior(2 * n, generator=torch.Generator(loaded.device).manual_seed(seed))
        paths = slerp(ends[:n], ends[n:], torch.linspace(0, 1, points)).transpose(0, 1).flatten(0, 1)
        told = class_turns(loaded, n, None) if condition is None else condition
        return decoded(model, paths, name, {k: v.repeat_interleave(points) for k, v in told.items()})


def loops(loaded: Loaded, name: str, corners: Tensor, points: int, condition: dict[str, Tensor] | None) -> Tensor:
    """Walks through the latents `corners` (P, n, ...) and back to the first, `points` frames a leg: (P points, n, ...)
    items. condition: n rows, one a walk."""
    import torch

    from genloom.samplers.latent import walk

    model, n = cast("CanDecode", loaded.model), corners.shape[1]
    paths = torch.stack([walk(corners[:, i], points, closed=True) for i in range(n)], 1)
    told = {k: v.repeat(len(paths)) for k, v in (condition or {}).items()} or None
    with torch.no_grad():
        return decoded(model, paths.flatten(0, 1), name, told).unflatten(0, paths.shape[:2])


def class_turns(loaded: Loaded, n: int, label: str | int | None) -> dict[str, Tensor]:
    """What n walks are told: of --label its classes in turn, and of every other class there is all of them."""
    import torch

    from genloom.core import the_class

    labelled = the_class(loaded.spec)
    turns = {
        k: list(range(max(1, len(f.classes))))
        for k, f in loaded.spec.items()
        if f.role == "condition" and f.modality == "class"
    }
    if label is not None:
        indices = class_indices(loaded.spec, label)
        if labelled is None or not listens(loaded, labelled[0]):
            raise BadValue(f"--label {label}: the model of {loaded.run.path} does not listen to classes; leave it out")
        turns[labelled[0]] = indices
    return {k: torch.tensor(v).repeat(-(-n // len(v)))[:n].to(loaded.device) for k, v in turns.items()}


def corners_of(loaded: Loaded, n: int, seed: int) -> Tensor:
    """CORNERS draws of the prior for each of n walks: (CORNERS, n, ...)."""
    import torch

    drawn = cast("CanDecode", loaded.model).prior(
        CORNERS * n, generator=torch.Generator(loaded.device).manual_seed(seed)
    )
    return drawn.unflatten(0, (CORNERS, n))
