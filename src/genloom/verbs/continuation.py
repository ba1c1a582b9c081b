"""`genloom translate --task continue`: how a sound or a clip goes on from its beginning."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, NotFound
from genloom.verbs.opened import data_of
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Field, Sampling
    from genloom.engine.load import Loaded

ANSWERS = 4  # whose mean is scored too


def continued(
    loaded: Loaded,
    path: str | Path | None,
    n: int | None,
    share: float,
    label: str | int | None,
    seed: int,
    options: Sampling,
    out: str | Path | None,
) -> Facts:
    """The rest of a file of the user's, in n (4) ways, or of n (8) held-out items, scored against their own.

    Any flow of sounds or clips does this untrained; recipe palette trains one for it. Raises BadValue, BadData and
    NotFound for what cannot be continued.
    """
    import torch

    from genloom.core import CanTranslate, the_item
    from genloom.modalities import image, modality
    from genloom.models.diffusion.flow import Flow
    from genloom.samplers.restore import TIME, beginning
    from genloom.verbs.tasks import Job, condition_of, made_of

    if not 0 < share < 1:
        raise BadValue(f"--share: expected a number between 0 and 1, got {share}")
    model, where = loaded.model, loaded.run.path
    name, field = the_item(loaded.spec, tuple(TIME), "continue")
    trained = isinstance(model, CanTranslate)
    if isinstance(model, CanTranslate) and "continue" not in model.tasks:
        raise BadValue(f"{where} was trained for {' and '.join(model.tasks)}: name a run that continues, or of a flow")
    if not trained and not isinstance(model, Flow):
        raise BadValue(
            f"{where}: a model of type {type(model).__name__} continues nothing: train recipe flow or palette"
        )
    kind = modality(field.modality)
    place = check_out(out or loaded.run.samples / f"continue-seed{seed}{kind.writes[0]}", field.modality, folder=False)
    if path is None:
        test = data_of(loaded).test
        index = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))[: check_count(n or 8)]
        originals = test.batch(index)[name]
    else:
        originals = _read(Path(path), field).expand(check_count(n or 4), *field.shape)
    keep = max(1, round(share * originals.shape[TIME[field.modality]]))
    given = beginning(originals, torch.full((len(originals),), keep), field.modality)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    told = condition_of(loaded, label, len(given))
    flow = None if trained else model

    def answer() -> Tensor:
        return made_of(loaded, flow, name, field.shape, Job("continue"), given, told, options, generator)

    made = answer()
    kind.codec.save(made, field, place)
    groups = [("the model", made)]
    facts: list[tuple[str, Any]] = [("items", len(made)), ("given", f"{share:.0%}")]
    data = {"run": str(where), "task": "continue", "n": len(made), "share": share, "seed": seed, "out": str(place)}
    if path is None:
        mean = torch.stack([made, *(answer() for _ in range(ANSWERS - 1))]).mean(0)
        last = held(originals, keep, field.modality)
        ways = {"the model": made, f"the model, mean of {ANSWERS} answers": mean, "the last moment held": last}
        unknown = ~given.isfinite()
        errors = {way: float((items - originals)[unknown].square().mean()) for way, items in ways.items()}
        facts += [(f"squared error of {way}", f"{error:.4f}") for way, error in errors.items()]
        data["squared_error"] = errors
        groups.append(("held-out originals", originals))
    picture = image.png(image.labelled([(t, kind.codec.tiles(x[:8], field)) for t, x in groups], columns=1))
    return Facts(str(place), tuple(facts), data, (), picture)


def held(x: Tensor, keep: int, modality: str) -> Tensor:
    """Items whose last given moment stays to the end."""
    from genloom.samplers.restore import TIME

    dim = TIME[modality] % x.dim()
    rest = x.narrow(dim, keep - 1, 1).expand(*(x.shape[dim] - keep if d == dim else s for d, s in enumerate(x.shape)))
    import torch

    return torch.cat([x.narrow(dim, 0, keep), rest], dim)


def _read(path: Path, field: Field) -> Tensor:
    """A file as one item (1, *shape) in the field's range; sounds are resampled and cut, clips must fit."""
    import torch

    if not path.is_file():
        raise NotFound(f"there is no {path}: name an existing sound or clip")
    if field.modality == "audio":
        from genloom.modalities import sound
        from genloom.modalities.audio import is_mel

        wave, rate = sound.read_wav(path)
        wave = sound.resampled(wave, rate, int(field.rate))
        length = field.shape[-1] * (sound.hop(field.rate) if is_mel(field) else 1)
        x = torch.from_numpy(sound.fitted(wave, length))[None]
        return sound.log_mel(x, field.rate, field.shape[1])[:, None] if is_mel(field) else x[:, None]
    from genloom.modalities.video import read_gif

    frames, _ = read_gif(path)
    clip = torch.from_numpy(frames)
    clip = clip[None] if clip.ndim == 3 else clip.permute(3, 0, 1, 2)
    if tuple(clip.shape) != field.shape:
        got, wanted = ("x".join(map(str, s)) for s in (clip.shape, field.shape))
        raise BadData(f"{path} is a clip of {got} (channels, frames, height, width), and this model makes {wanted}")
    return clip[None].float() / 127.5 - 1
