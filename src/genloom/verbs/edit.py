"""`genloom edit`: a picture of yours in a model's latent space, strokes and attributes changed there.

Projection: the latent whose picture is nearest to the given one, in pixels at several sizes and, where the weights of
LPIPS were fetched, in what LPIPS sees. An edit moves on from there:

--painted   to the latent whose picture agrees with what was painted where something was painted, and elsewhere with the
            projection (Zhu et al. 2016, equation 5)
--to CLASS  the same latent, told another class (Antipov et al. 2017). --identity: the projection then also agrees with
            the picture in a network that knows who or what it shows, their equation 2

What the model cannot draw is lost in the projection; so the change alone is carried over to the picture as well, pixel
by pixel: picture + (edited - projection).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, NotFound
from genloom.verbs.opened import AnyRun, class_indices, listens, open_run
from genloom.verbs.photo import fitted_photo
from genloom.verbs.places import check_out
from genloom.verbs.results import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Batch
    from genloom.engine.load import Loaded

STARTS = 4  # latents from which the search goes down side by side
DRAWN = 128  # latents among which the nearest begin
SPREAD_OF = 512  # draws of the prior that tell its mean and deviation
PAINTED = 0.05  # difference from the picture, in [-1, 1], from which on a pixel counts as painted
SMALLEST = 24  # pixels a side below which LPIPS does not look
NEAR = 0.3  # weight of agreement outside the strokes
Judge = Callable[["Tensor", "Tensor"], "Tensor"]


@dataclass(frozen=True)
class Projected:
    """latent: (P, ...); told: the class of each, where the model listens to one; items: what the model draws there."""

    latent: Tensor
    told: dict[str, Tensor]
    items: Tensor


def edit(
    run: AnyRun,
    photo: str | Path,
    *,
    painted: str | Path | None = None,
    to: str | int | None = None,
    label: str | int | None = None,
    identity: str | None = None,
    weight: float = 1.0,
    steps: int = 300,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    runs: str | Path = "runs",
) -> Facts:
    """Finds `photo` in the latent space of a run's model and changes it there; without a change, shows what was found.

    painted: the same picture painted over; where it differs, the model is asked to follow, elsewhere to keep. to: the
    class to turn it into; label: the class it has (by default the likeliest one). identity: "lpips-alex", "lpips-vgg"
    or "package.module:function", a differentiable network in which the projection must agree with the picture too, with
    this weight. out: .png, a sheet; .npy, the edited picture and the one the change was carried over to.

    Pictures of another size are scaled, which a note says. Raises BadValue, BadData, NotFound.
    """
    import torch

    from genloom.core import the_item
    from genloom.metrics.similarity import psnr
    from genloom.modalities import image

    if steps < 1:
        raise BadValue(f"--steps: expected at least 1, got {steps}")
    loaded = open_run(run, runs, raw)
    _check_model(loaded)
    name, field = the_item(loaded.spec, "image", "edit")
    goal = None if to is None else _one_class(loaded, to, "--to")
    known = None if label is None else _one_class(loaded, label, "--label")
    place = check_out(out or loaded.run.samples / f"edit-{Path(photo).stem}.png", "image", folder=False)
    x, notes = fitted_photo(photo, field)
    strokes = None
    if painted is not None:
        strokes, more = fitted_photo(painted, field)
        notes = (*notes, *(n for n in more if n not in notes))
        if not bool(((strokes - x).abs().amax(1) > PAINTED).any()):
            raise BadData(f"{painted} is the same as {photo}: paint something on a copy of the picture first")
    judge = None if identity is None else identity_of(identity, loaded)
    x = x.to(loaded.device)
    found = project(loaded, name, x, known=known, steps=steps, seed=seed, identity=judge, weight=weight)
    last, told = found.latent, found.told
    if strokes is not None:
        last = repaint(loaded, name, found, x, strokes.to(loaded.device), steps=steps)
    if goal is not None:
        told = {**told, goal[0]: torch.full((1,), goal[1], device=loaded.device)}
    edited = drawn(loaded, name, last, told)
    carried = (x + edited - found.items).clamp(*field.range)
    near = float(psnr(found.items, x, field.range[1] - field.range[0]))
    groups = {"given": x, f"projection, PSNR {near:.1f} dB": found.items}
    if strokes is not None:
        groups["painted"] = strokes
    if strokes is not None or goal is not None:
        groups |= {"edited": edited, "the change carried over to the picture": carried}
    sheet = image.png(image.labelled({k: v.cpu() for k, v in groups.items()}, columns=1))
    if place.suffix == ".npy":
        image.save(image.to_bytes(torch.cat([edited, carried]).cpu()), place)
    else:
        image.write_bytes(place, sheet)
    facts: list[tuple[str, Any]] = [("projection", f"PSNR {near:.1f} dB")]
    data: dict[str, Any] = {"run": str(loaded.run.path), "photo": str(photo), "psnr": near, "out": str(place)}
    for key, (field_name, index) in (("class", _told_class(loaded, found.told)), ("to", goal or ("", -1))):
        if field_name:
            data[key] = loaded.spec[field_name].classes[index]
            facts.append((key, data[key]))
    if painted is not None:
        data["painted"] = str(painted)
        facts.append(("painted", str(painted)))
    return Facts(str(place), tuple(facts), data, notes, sheet)


def project(
    loaded: Loaded,
    name: str,
    x: Tensor,
    *,
    known: tuple[str, int] | None = None,
    steps: int = 300,
    seed: int = 0,
    identity: Judge | None = None,
    weight: float = 1.0,
    told: Batch | None = None,
    perceptual: bool = True,
) -> Projected:
    """The latents of pictures x (P, C, H, W). known: the class of all, told: of each; otherwise the class whose picture
    comes nearest. identity: a further distance (items, pictures) -> (P,); perceptual: with LPIPS."""
    import torch

    from genloom.core import CanDecode, CanEncode
    from genloom.samplers.inversion import invert

    model: Any = loaded.model
    assert isinstance(model, CanDecode)
    _freeze(loaded)
    seen = seer(loaded, perceptual)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    with torch.no_grad():
        prior = model.prior(SPREAD_OF, generator=generator)
        classes = _class_of(loaded)
        given = dict(told or {})
        if not given and known is not None:
            given = {known[0]: torch.full((len(x),), known[1], device=x.device)}
        if isinstance(model, CanEncode) and model.quick:
            starts = model.encode({name: x, **given})[:, None]
            tried = {k: v[:, None] for k, v in given.items()}
        else:
            pool = prior[:DRAWN]
            labels = None
            if classes is not None:
                labels = torch.arange(len(pool), device=x.device) % len(loaded.spec[classes].classes)
            chosen, tried = [], {k: v[:, None].expand(-1, STARTS) for k, v in given.items()}
            own = []
            for i in range(len(x)):
                among = {k: v[i].expand(len(pool)) for k, v in given.items()}
                if labels is not None and not among:
                    among = {str(classes): labels}
                far = seen(
                    model.decode(pool, condition=among or None)[name], x[i : i + 1].expand(len(pool), -1, -1, -1)
                )
                at = far.argsort()[:STARTS]
                chosen.append(pool[at])
                own.append({k: v[at] for k, v in among.items()})
            starts = torch.stack(chosen)
            if not given and own[0]:
                tried = {k: torch.stack([o[k] for o in own]) for k in own[0]}
    each = starts.shape[1]
    pictures = x.repeat_interleave(each, 0)
    flat = {k: v.reshape(-1) for k, v in tried.items()}

    def decode(z: Tensor, rows: Tensor) -> Tensor:
        return model.decode(z, condition={k: v[rows] for k, v in flat.items()} or None)[name]

    def distance(items: Tensor, rows: Tensor) -> Tensor:
        far = seen(items, pictures[rows])
        return far if identity is None else far + weight * identity(items, pictures[rows])

    spread = prior.mean(0), prior.std(0)
    result = invert(decode, starts, distance, spread, steps=steps)
    at = torch.arange(len(x), device=x.device)
    final = {k: v[at, result.start if v.shape[1] > 1 else 0 * at] for k, v in tried.items()}
    return Projected(result.latent, final, drawn(loaded, name, result.latent, final))


def repaint(loaded: Loaded, name: str, found: Projected, x: Tensor, strokes: Tensor, *, steps: int = 300) -> Tensor:
    """From a projection to the latent whose picture follows the strokes where they differ from x, and keeps to the
    projection elsewhere (Zhu et al. 2016, equation 5)."""
    import torch

    from genloom.samplers.inversion import invert

    model: Any = loaded.model
    mask = ((strokes - x).abs().amax(1, keepdim=True) > PAINTED).to(x.dtype)
    share = mask.flatten(1).mean(1).clamp_min(1e-6)

    def decode(z: Tensor, rows: Tensor) -> Tensor:
        return model.decode(z, condition=found.told or None)[name]

    def distance(items: Tensor, rows: Tensor) -> Tensor:
        follow = ((items - strokes).square() * mask).flatten(1).mean(1) / share  # mean over painted pixels
        keep = ((items - found.items).square() * (1 - mask)).flatten(1).mean(1) / (1 - share).clamp_min(1e-6)
        return follow + NEAR * keep

    with torch.no_grad():
        prior = model.prior(SPREAD_OF, generator=torch.Generator(loaded.device).manual_seed(0))
    spread = prior.mean(0), prior.std(0)
    return invert(decode, found.latent[:, None], distance, spread, steps=steps, rate=0.05).latent


def drawn(loaded: Loaded, name: str, latent: Tensor, told: Batch) -> Tensor:
    """What the model draws at latents, told these classes."""
    import torch

    model: Any = loaded.model
    with torch.no_grad():
        return model.decode(latent, condition=told or None)[name]


def seer(loaded: Loaded, perceptual: bool = True) -> Judge:
    """A differentiable distance of pictures (B, C, H, W), (B,): mean squared differences at three sizes, and LPIPS
    where its weights are here and pictures large enough for it to tell them apart."""
    from torch.nn import functional as F

    from genloom.core import the_item
    from genloom.metrics.lpips import Lpips, load_lpips

    lpips: Lpips | None = None
    shape = the_item(loaded.spec, "image", "edit")[1].shape
    if perceptual and min(shape[1:]) >= SMALLEST and shape[0] in (1, 3):
        with contextlib.suppress(NotFound):
            lpips = load_lpips("alex", loaded.device)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        total = (a - b).square().flatten(1).mean(1)
        for size in (2, 4):
            if min(a.shape[2:]) >= 2 * size:
                total = total + F.avg_pool2d(a - b, size).square().flatten(1).mean(1)
        if lpips is not None:
            total = total + lpips.distance(a, b)
        return total

    return distance


def identity_of(name: str, loaded: Loaded) -> Judge:
    """The distance (items, pictures) -> (P,) in a network by name. Raises BadValue, NotFound."""
    from genloom.metrics.extractors import imported
    from genloom.metrics.lpips import load_lpips

    if name in ("lpips-alex", "lpips-vgg"):
        return load_lpips(name.partition("-")[2], loaded.device).distance
    if ":" not in name:
        raise BadValue(f"--identity {name}: expected lpips-alex, lpips-vgg or package.module:function")
    function = imported(name)

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return (function(a) - function(b)).square().flatten(1).sum(1)

    return distance


def _check_model(loaded: Loaded) -> None:
    from genloom.core import CanDecode
    from genloom.modalities.registry import modality

    kind = next(f.modality for f in loaded.spec.values() if f.role == "item")
    if kind != "image":
        raise BadValue(f"edit changes pictures; {loaded.run.path} makes {modality(kind).plural}")
    if not isinstance(loaded.model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space in which a picture could be found "
                       "(GANs and VAEs have)")  # fmt: skip


def _class_of(loaded: Loaded) -> str | None:
    """The name of the class field that the model listens to; None where there is none."""
    from genloom.core import the_class

    found = the_class(loaded.spec)
    return found[0] if found is not None and listens(loaded, found[0]) else None


def _one_class(loaded: Loaded, word: str | int, flag: str) -> tuple[str, int]:
    """The class field and the one index that a flag means. Raises BadValue, NotFound."""
    from genloom.core import the_class

    labelled = the_class(loaded.spec)
    if labelled is None or not listens(loaded, labelled[0]):
        raise BadValue(f"{flag} {word}: the model of {loaded.run.path} listens to no classes; leave it out, or train "
                       "on folders that are classes")  # fmt: skip
    indices = class_indices(loaded.spec, word)
    if len(indices) != 1:
        raise BadValue(f"{flag} {word}: expected one class")
    return labelled[0], indices[0]


def _told_class(loaded: Loaded, told: Batch) -> tuple[str, int]:
    return next(((k, int(v[0])) for k, v in told.items()), ("", -1))


def _freeze(loaded: Loaded) -> None:
    loaded.model.eval()
    for p in loaded.model.parameters():
        p.requires_grad_(False)
