"""`genloom interpolate` and `genloom reconstruct`: looking into a model's latent space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.animate import check_items, check_kind, check_moving, is_moving, moving
from genloom.verbs.drawn import picture
from genloom.verbs.opened import AnyRun, class_indices, data_of, open_run
from genloom.verbs.photo import read_photo
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Picture
from genloom.verbs.styles import mixed, rows_of
from genloom.verbs.walks import class_turns, corners_of, decoded, latent_shape, loops, map_of, walks

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import CanDecode
    from genloom.engine.load import Loaded


MOMENTS = 16  # frames of a moving walk from one sample to the next
FRAMES_A_SECOND = 12


def _pictured(loaded: Loaded, verb: str) -> str:
    from genloom.engine.preview import item_field

    name, found = item_field(loaded.spec)
    kind = modality(found)
    if not kind.tiled:
        raise BadValue(f"`genloom {verb}` shows images; {loaded.run.path} makes {kind.plural} (try `genloom sample`)")
    return name


def _labels(loaded: Loaded, label: str | int) -> dict[str, Tensor]:
    """The class that both ends of a walk are told, and nothing else."""
    from genloom.core import the_class

    labelled = the_class(loaded.spec)
    told = class_turns(loaded, 2, label)
    return {k: v for k, v in told.items() if labelled is not None and k == labelled[0]}


def interpolate(
    run: AnyRun,
    n: int | None = None,
    points: int | None = None,
    map: bool = False,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    *,
    between: Sequence[str | Path] | None = None,
    mix: str | None = None,
    label: str | int | None = None,
    animate: bool = False,
    runs: str | Path = "runs",
) -> Picture:
    """n (8) walks, one a row, of `points` (10) items between two samples each, along great circles of the latent space.

    Where the data has classes, a walk keeps one class; rows take turns through them, or through those of `label`. map:
    instead, `points` x `points` (20) items spread evenly over the whole of a two-dimensional latent space. mix:
    instead, n (6) by n samples, each with the "coarse", "middle" or "fine" styles of its column's and all others of
    its row's. between: two pictures of the model's size; one walk leads from what the model makes of one to what it
    makes of the other. animate: walks beside each other that move and end where they began, as a .gif or .mp4. out: a
    .png, .npy, .gif or .mp4; None writes into RUN/samples/. Raises BadValue where the model has no latent space or no
    styles, cannot encode pictures, or for a map not one of two dimensions.
    """
    from genloom.core import CanDecode

    animate = animate or is_moving(out)
    if n is not None:
        check_count(n)
    if points is not None and points < 2:
        raise BadValue(f"--points: a walk has at least 2 points, got {points}")
    if map and (animate or between is not None):
        other = "--animate" if animate else "--between"
        raise BadValue(f"--map is one still picture of the whole space: leave {other} out, and name a .png")
    if mix is not None and (map or animate or between is not None or points is not None or label is not None):
        raise BadValue("--mix is one still table of samples: of -n, --seed, --raw and --out alone")
    if between is not None and len(between) != 2:
        raise BadValue(f"--between: expected two pictures, got {len(between)}")
    if between is not None and n is not None:
        raise BadValue("--between is one walk: leave -n out")
    loaded = open_run(run, runs, raw)
    name = _pictured(loaded, "interpolate")
    model = loaded.model
    if not isinstance(model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space to walk through (try `genloom sample`)")
    if mix is not None:
        rows_of(loaded, mix)
    if animate:
        check_kind(loaded.spec[name].modality, loaded.run.path)
    n = 1 if between is not None else n or (8 if mix is None else 6)
    points = points or (20 if map else MOMENTS if animate else 10)
    ending = ".gif" if animate else ".png"
    kind = f"map-{points}" if map else f"interpolate-n{n}-seed{seed}"
    if between is not None:
        kind = f"between-{'-'.join(Path(p).stem for p in between)}"
    if mix is not None:
        kind = f"mix-{mix}-n{n}-seed{seed}"
    place = out or loaded.run.samples / f"{kind}{'-raw' * raw}{ending}"
    place = check_moving(place) if animate else check_out(place, "image", folder=False)
    data: dict[str, Any] = {"run": str(loaded.run.path), "points": points, "raw": raw}
    if mix is not None:
        data = {"run": str(loaded.run.path), "mix": mix, "n": n, "seed": seed, "raw": raw}
        return picture(mixed(loaded, name, n, mix, seed), loaded.spec[name], place, data, columns=n + 1)
    if map:
        shape = latent_shape(loaded)
        if shape != (2,):
            raise BadValue(
                f"--map: {loaded.run.path} has {' x '.join(str(s) for s in shape)} latent numbers, a map needs 2: "
                "train with --config.latent 2"
            )
        return picture(map_of(loaded, name, points), loaded.spec[name], place, data, columns=points)
    if between is not None:
        return _between(loaded, name, between, points, label, animate, place, data)
    data |= {"n": n, "seed": seed, **({} if label is None else {"label": label})}
    if not animate:
        items = walks(loaded, name, n, points, seed, class_turns(loaded, n, label))
        return picture(items, loaded.spec[name], place, data, columns=points)
    check_items(n)
    items = loops(loaded, name, corners_of(loaded, n, seed), points, class_turns(loaded, n, label))
    return _film(loaded, name, items, place, data)


def _film(
    loaded: Loaded, name: str, items: Tensor, place: Path, data: dict[str, Any], notes: tuple[str, ...] = ()
) -> Picture:
    """Items (frames, n, ...) as a moving picture."""
    field = loaded.spec[name]
    frames = [modality(field.modality).codec.tiles(moment, field) for moment in items]
    seconds = max(2.0, len(frames) / FRAMES_A_SECOND)
    return moving(frames, items.flatten(0, 1), field, place, data, seconds=seconds, notes=notes)


def _between(
    loaded: Loaded,
    name: str,
    between: Sequence[str | Path],
    points: int,
    label: str | int | None,
    animate: bool,
    place: Path,
    data: dict[str, Any],
) -> Picture:
    """One walk between two pictures' latents, there and back where it moves; says how well its ends were met."""
    import torch

    from genloom.core import CanEncode
    from genloom.metrics.similarity import psnr
    from genloom.modalities import image
    from genloom.samplers.latent import slerp

    model, field = loaded.model, loaded.spec[name]
    if field.modality != "image":
        raise BadValue(f"--between takes pictures; {loaded.run.path} makes {modality(field.modality).plural}")
    if not isinstance(model, CanEncode):
        raise BadValue(f"--between: the model of {loaded.run.path} cannot encode given pictures (flows and vae can)")
    if label is not None and len(class_indices(loaded.spec, label)) > 1:
        raise BadValue(f"--label {label}: a walk between two pictures keeps one class")
    channels, height, width = field.shape
    given = torch.cat([read_photo(path, [(height, width)], channels) for path in between])
    told = {} if label is None else _labels(loaded, label)
    with torch.no_grad():
        ends = model.encode({name: given.to(loaded.device), **told})  # what it is not told, it does without
    if animate:
        items = loops(loaded, name, ends[:, None], points, {k: v[:1] for k, v in told.items()})
        first, last = items[0], items[points]
    else:
        path = slerp(ends[:1], ends[1:], torch.linspace(0, 1, points))[:, 0]
        items = decoded(cast("CanDecode", model), path, name, {k: v[:1].expand(points) for k, v in told.items()})
        first, last = items[:1], items[-1:]
    near = [float(p) for p in psnr(torch.cat([first, last]), given, 2.0)]
    said = f"the ends are the pictures at PSNR {near[0]:.1f} and {near[1]:.1f} dB"
    data |= {"between": [str(p) for p in between], "psnr": near, **({} if label is None else {"label": label})}
    if animate:
        return _film(loaded, name, items, place, data, (said,))
    result = picture(items, field, place, data, columns=points)
    if place.suffix == ".npy":
        return replace(result, notes=(said,))
    png = image.png(image.labelled({"given": given, said: items}, columns=points))
    image.write_bytes(place, png)
    return replace(result, png=png, notes=(said,))


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
    in [-1, 1] and the mean PSNR; of items of tokens, how many come back unchanged. A .npy holds the n originals, then
    the n reconstructions. Raises BadValue where there is no encoder.
    """
    import torch

    from genloom.core import TOKENS, CanDecode, CanEncode
    from genloom.metrics.reconstruction import same_tokens
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
        condition = {k: batch[k] for k, f in loaded.spec.items() if f.role == "condition"}
        copies = decoded(model, model.encode(batch), name, condition)
    originals = batch[name].cpu()
    data: dict[str, Any] = {"run": str(loaded.run.path), "n": len(chosen), "seed": seed, "raw": raw}
    if loaded.spec[name].modality in TOKENS:
        whole, share = (float(x.mean()) for x in same_tokens(originals, copies, loaded.spec[name]))
        data |= {"exact": whole, "tokens": share}
        said = f"{whole:.1%} unchanged, {share:.1%} of an item's tokens"
    else:
        squared = (originals - copies).square().flatten(1).mean(1)
        error, decibels = float(squared.mean()), float((10 * (4 / squared).log10()).mean())
        data |= {"mse": error, "psnr": decibels}
        said = f"mean squared error {error:.4f} (pixels in [-1, 1]), PSNR {decibels:.1f} dB"
    result = picture(torch.cat([originals, copies]), loaded.spec[name], place, data)
    if place.suffix == ".npy":
        return replace(result, notes=(*result.notes, said))
    codec, field = modality(loaded.spec[name].modality).codec, loaded.spec[name]
    titles = {
        "held-out originals": codec.tiles(originals, field),
        f"reconstructions ({said})": codec.tiles(copies, field),
    }
    png = image.png(image.labelled(titles, columns=min(16, len(chosen))))
    image.write_bytes(place, png)
    return Picture(place, result.images, png, data, (said,))
