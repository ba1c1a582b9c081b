"""`genloom interpolate` and `genloom reconstruct`: looking into a model's latent space."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.evaluate import data_of
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Picture
from genloom.verbs.sample import AnyRun, open_run, picture

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import CanDecode
    from genloom.engine.load import Loaded


CHUNK = 256


def _pictured(loaded: Loaded, verb: str) -> str:
    from genloom.engine.preview import item_field

    name, found = item_field(loaded.spec)
    kind = modality(found)
    if not kind.tiled:
        raise BadValue(f"`genloom {verb}` shows images; {loaded.run.path} makes {kind.plural} (try `genloom sample`)")
    return name


def _decode(model: CanDecode, latents: Tensor, name: str, condition: dict[str, Tensor] | None) -> Tensor:
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
        return _decode(cast("CanDecode", loaded.model), plane(points).to(loaded.device), name, None)


def walks(loaded: Loaded, name: str, n: int, points: int, seed: int) -> Tensor:
    """n walks of `points` items each, one after another, along great circles between two draws of the prior.

    Where the data has classes, a walk keeps one class; walks take turns through them.
    """
    import torch

    from genloom.samplers.latent import slerp

    model = cast("CanDecode", loaded.model)
    with torch.no_grad():
        ends = model.prior(2 * n, generator=torch.Generator(loaded.device).manual_seed(seed))
        paths = slerp(ends[:n], ends[n:], torch.linspace(0, 1, points)).transpose(0, 1).flatten(0, 1)
        condition = {
            k: (torch.arange(n) % max(1, len(f.classes))).repeat_interleave(points).to(loaded.device)
            for k, f in loaded.spec.items()
            if f.role == "condition" and f.modality == "class"
        } or None
        return _decode(model, paths, name, condition)


def interpolate(
    run: AnyRun,
    n: int = 8,
    points: int | None = None,
    map: bool = False,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    *,
    runs: str | Path = "runs",
) -> Picture:
    """n walks, one a row, of `points` (10) items between two samples each, along great circles of the latent space.

    Where the data has classes, a walk keeps one class; rows take turns through them. map: instead, `points` x `points`
    (20) items spread evenly over the whole of a two-dimensional latent space. out: a .png or .npy; None writes into
    RUN/samples/. Raises BadValue where the model has no latent space, or for a map not one of two dimensions.
    """
    from genloom.core import CanDecode

    check_count(n)
    points = (20 if map else 10) if points is None else points
    if points < 2:
        raise BadValue(f"--points: a walk has at least 2 points, got {points}")
    data: dict[str, Any]
    loaded = open_run(run, runs, raw)
    name = _pictured(loaded, "interpolate")
    model = loaded.model
    if not isinstance(model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space to walk through (try `genloom sample`)")
    kind = f"map-{points}" if map else f"interpolate-n{n}-seed{seed}"
    place = check_out(out or loaded.run.samples / f"{kind}{'-raw' * raw}.png", "image", folder=False)
    if map:
        shape = latent_shape(loaded)
        if shape != (2,):
            raise BadValue(
                f"--map: {loaded.run.path} has {' x '.join(str(s) for s in shape)} latent numbers, a map needs 2: "
                "train with --config.latent 2"
            )
        data = {"run": str(loaded.run.path), "points": points, "raw": raw}
        return picture(map_of(loaded, name, points), loaded.spec[name], place, data, columns=points)
    items = walks(loaded, name, n, points, seed)
    data = {"run": str(loaded.run.path), "n": n, "points": points, "seed": seed, "raw": raw}
    return picture(items, loaded.spec[name], place, data, columns=points)


def reconstruct(
    run: AnyRun,
    n: int = 32,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    *,
    runs: str | Path = "runs",
) -> Picture:
    """n held-out items (test split) and what the model makes of their codes, with the mean squared error of pixels
    in [-1, 1]. A .npy holds the n originals, then the n reconstructions. Raises BadValue where there is no encoder.
    """
    import torch

    from genloom.core import CanDecode, CanEncode
    from genloom.modalities import image

    check_count(n)
    loaded = open_run(run, runs, raw)
    name = _pictured(loaded, "reconstruct")
    model = loaded.model
    if not isinstance(model, CanEncode) or not isinstance(model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model cannot encode given items (autoencoders do: try recipe vae)")
    place = check_out(
        out or loaded.run.samples / f"reconstruct-n{n}-seed{seed}{'-raw' * raw}.png", "image", folder=False
    )
    test = data_of(loaded).test
    chosen = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))[: min(n, len(test))]
    batch = {k: v.to(loaded.device) for k, v in test.batch(chosen).items()}
    with torch.no_grad():
        told = {k: batch[k] for k, f in loaded.spec.items() if f.role == "condition" and f.modality == "class"}
        condition = told or None
        copies = _decode(model, model.encode(batch), name, condition)
    originals = batch[name].cpu()
    error = float((originals - copies).square().mean())
    data = {"run": str(loaded.run.path), "n": len(chosen), "seed": seed, "raw": raw, "mse": error}
    result = picture(torch.cat([originals, copies]), loaded.spec[name], place, data)
    if place.suffix == ".npy":
        return result
    codec, field = modality(loaded.spec[name].modality).codec, loaded.spec[name]
    titles = {
        "held-out originals": codec.tiles(originals, field),
        f"reconstructions (mean squared error {error:.4f})": codec.tiles(copies, field),
    }
    png = image.png(image.labelled(titles, columns=min(16, len(chosen))))
    image.write_bytes(place, png)
    return Picture(place, result.images, png, data, (f"mean squared error {error:.4f} (pixels in [-1, 1])",))
