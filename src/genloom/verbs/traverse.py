"""`genloom traverse`: what one number of a latent does while all others stay, code by code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.drawn import picture
from genloom.verbs.opened import AnyRun, open_run
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Picture
from genloom.verbs.walks import class_turns, decoded

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import CanDecode
    from genloom.engine.load import Loaded

DIMENSIONS = 8  # numbers of a plain latent that are shown
REACH = 2.0  # deviations to either side of a plain latent's numbers


def traverse(
    run: AnyRun,
    n: int = 2,
    points: int = 10,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    *,
    code: str | None = None,
    runs: str | Path = "runs",
) -> Picture:
    """n rows for each code: a sample with that code at `points` values from one end to the other, all else as it was.

    Of a model that names no codes, the eight numbers of its latent that change pictures most. code: only the one of
    that name. out: a .png or .npy. Raises BadValue where the model has no latent space, or no such code.
    """
    import torch

    from genloom.core import CanDecode
    from genloom.modalities import image

    check_count(n)
    if points < 2:
        raise BadValue(f"--points: a traversal has at least 2 points, got {points}")
    loaded = open_run(run, runs, raw)
    name, field = next((k, f) for k, f in loaded.spec.items() if f.role == "item")
    kind = modality(field.modality)
    if not kind.tiled:
        raise BadValue(f"`genloom traverse` shows images; {loaded.run.path} makes {kind.plural} (try `genloom sample`)")
    if not isinstance(loaded.model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space to traverse (try `genloom sample`)")
    stem = f"traverse-n{n}-seed{seed}{'-raw' * raw}.png"
    place = check_out(out or loaded.run.samples / stem, "image", folder=False)
    rows = traversals(loaded, name, n, points, seed, code)
    items = torch.cat(list(rows.values()))
    data: dict[str, Any] = {
        "run": str(loaded.run.path),
        "n": n,
        "points": points,
        "seed": seed,
        "raw": raw,
        "codes": list(rows),
    }
    made = picture(items, field, place, data, columns=points)
    if place.suffix == ".npy":
        return made
    tiles = {title: kind.codec.tiles(row, field) for title, row in rows.items()}
    png = image.png(image.labelled(tiles, columns=max(len(t) // n for t in tiles.values())))
    image.write_bytes(place, png)
    return replace(made, png=png)


def traversals(loaded: Loaded, name: str, n: int, points: int, seed: int, code: str | None) -> dict[str, Tensor]:
    """Items (n points, ...) by the name of what changes, a sample's after another's."""
    import torch

    from genloom.core import HasCodes

    model = cast("CanDecode", loaded.model)
    told = class_turns(loaded, n, None)
    with torch.no_grad():
        start = model.prior(n, generator=torch.Generator(loaded.device).manual_seed(seed))
        if isinstance(loaded.model, HasCodes):
            codes = {c.name: c for c in loaded.model.codes}
            if code is not None and code not in codes:
                raise BadValue(f"--code {code}: expected one of {', '.join(codes)}")
            out = {}
            for one in codes.values() if code is None else [codes[code]]:
                ends = torch.arange(one.values) if one.values else torch.linspace(-1, 1, points)
                many = start.repeat_interleave(len(ends), 0)
                set_to = loaded.model.with_code(many, one.name, ends.repeat(n).to(start.device))
                condition = {k: v.repeat_interleave(len(ends)) for k, v in told.items()}
                title = f"{one.name}: {f'its {one.values} values' if one.values else 'from -1 to 1'}"
                out[title] = decoded(model, set_to, name, condition)
            return out
        if code is not None:
            raise BadValue(f"--code {code}: the model of {loaded.run.path} names no codes; leave --code out")
        if start.ndim != 2:
            shape = " x ".join(map(str, start.shape[1:]))
            raise BadValue(f"{loaded.run.path}: its latents are maps of {shape}, not rows of numbers")
        spread = model.prior(256, generator=torch.Generator(loaded.device).manual_seed(seed)).std(0)
        ends = torch.linspace(-REACH, REACH, points, device=start.device)
        out = {}
        for i in range(start.shape[1]):
            many = start.repeat_interleave(points, 0)
            many[:, i] = spread[i] * ends.repeat(n)
            condition = {k: v.repeat_interleave(points) for k, v in told.items()}
            out[f"number {i + 1}: from -{REACH:g} to {REACH:g} deviations"] = decoded(model, many, name, condition)
    change = {k: float((v.unflatten(0, (n, points)).diff(dim=1)).abs().mean()) for k, v in out.items()}
    return {k: out[k] for k in sorted(change, key=lambda k: -change[k])[:DIMENSIONS]}
