"""`genloom translate`: holes filled, pictures enlarged, coloured, cleaned or redrawn by a run's model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, unknown
from genloom.verbs.opened import AnyRun, data_of, open_run, sampling
from genloom.verbs.photo import read_photo
from genloom.verbs.places import check_count, check_out
from genloom.verbs.replies import asked_field, replies
from genloom.verbs.results import Facts, Texts
from genloom.verbs.tasks import Job, condition_of, made_of

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Sampling
    from genloom.engine.load import Loaded
    from genloom.metrics.base import Result

MOST = 10_000  # training items among which the nearest is sought
ANSWERS = 4  # whose mean is scored too: the least squared error is not that of one plausible answer


def translate(
    run: AnyRun,
    task: str = "",
    photo: str | Path | None = None,
    *,
    text: str | None = None,
    mask: str | Path | None = None,
    n: int | None = None,
    factor: int | None = None,
    sigma: float = 25.0,
    strength: float = 0.5,
    share: float = 0.5,
    label: str | int | None = None,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    steps: int | None = None,
    solver: str | None = None,
    guidance: float | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    length: int | None = None,
    runs: str | Path = "runs",
) -> Facts | Texts:
    """What a run's model makes of a picture, by task: "inpaint", "outpaint", "super-resolution", "colour", "denoise"
    "sdedit", of sounds and clips "continue", of music also "harmonise", or from one of the data's fields to another:
    "black-to-color".

    Recipes `pix2pix` and `cyclegan` learn the last; `palette` and `denoising-autoencoder` train a model for one of the
    others, and any other flow of pictures does all of those without further training.
    photo: a picture of the size the model makes (for super-resolution also the small one to be enlarged); None: n (16)
    held-out items, which are degraded first and scored against their originals, beside simple methods. n: of a photo,
    how many different answers (4). mask: a picture, white where nothing is known. factor: of super-resolution; sigma:
    the noise to be taken away, in levels of 255; strength: how far sdedit goes back to noise; share: of a sound or clip
    that is given, to be continued. out: .png, by default in RUN/samples/. A score is harmonised, or goes on, in 1 way
    unless n says otherwise; temperature, top_p and length (tokens that are added) are of music.

    text: of a model of texts, what is asked; see `answer`.

    Raises NotFound for an unknown task, BadValue and BadData for pictures and masks that do not fit.
    """
    if text is not None:
        return answer(run, text, seed=seed, raw=raw, out=out, runs=runs)
    import torch

    from genloom.core import translations
    from genloom.modalities import image

    loaded = open_run(run, runs, raw)
    if task == "harmonise" or any(f.role == "item" and f.modality == "music" for f in loaded.spec.values()):
        from genloom.verbs.voices import voiced

        options = sampling(temperature=temperature, top_p=top_p, length=length)
        return voiced(loaded, task, photo, n, share, seed, options, out)
    task = _task(loaded, task)
    if task in translations(loaded.spec):
        from genloom.verbs.domains import crossed

        options = sampling(steps=steps, solver=solver, guidance=guidance)
        return crossed(loaded, task, photo, n, label, seed, options, out)
    if task == "continue":
        from genloom.verbs.continuation import continued

        options = sampling(steps=steps, solver=solver, guidance=guidance)
        return continued(loaded, photo, n, share, label, seed, options, out)
    name, shape, flow = _model(loaded, task)
    config = getattr(loaded.model, "config", None)
    if factor is None:
        factor = getattr(config, "factor", 4)
    if sigma <= 0:
        raise BadValue(f"--sigma: expected levels of 255 above 0, got {sigma}")
    job = Job(task, factor, sigma, strength)
    options = sampling(steps=steps, solver=solver, guidance=guidance)
    place = check_out(out or loaded.run.samples / f"{task}-seed{seed}.png", "image", folder=False)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    hole = None if mask is None else _mask(Path(mask), shape)
    if photo is None:
        if task == "sdedit":
            raise BadValue("sdedit redraws a picture of yours: name one (there is nothing to score it against)")
        return _scored(loaded, flow, name, shape, job, hole, check_count(16 if n is None else n), seed, options,
                       generator, label, place)  # fmt: skip
    count = check_count((1 if _sure(loaded, flow, task) else ANSWERS) if n is None else n)
    sizes = [(shape[1], shape[2])]
    if task == "super-resolution":
        sizes.append((shape[1] // factor, shape[2] // factor))
    x = read_photo(photo, sizes, shape[0])
    given = x if tuple(x.shape[1:]) != shape else _given(x, job, hole, generator, fresh=False)
    given = given.expand(count, *given.shape[1:])
    condition = condition_of(loaded, label, count)
    made = made_of(loaded, flow, name, shape, job, given, condition, options, generator)
    shown = _shown(given[:1], shape)
    groups = [("given", image.to_bytes(shown)), (task, image.to_bytes(made))]
    picture = image.png(image.labelled(groups, columns=max(1, min(8, count))))
    if place.suffix == ".npy":
        image.save(image.to_bytes(made), place)
    else:
        image.write_bytes(place, picture)
    data = {"run": str(loaded.run.path), "task": task, "n": count, "seed": seed, "out": str(place)}
    return Facts(str(place), (("task", task), ("answers", count), ("of", str(photo))), data, (), picture)


def answer(
    run: AnyRun, text: str, *, seed: int = 0, raw: bool = False, out: str | Path | None = None,
    runs: str | Path = "runs",
) -> Texts:  # fmt: skip
    """The likeliest answer, token by token, of a model of texts: of a sentence its translation, of an article its
    summary. Raises BadValue for a model that answers no texts."""
    loaded = open_run(run, runs, raw)
    if asked_field(loaded) is None:
        raise BadValue(f"{loaded.run.path}: this model answers no texts: name a run of seq2seq, or leave out --text")
    return replies(loaded, text, 1, seed, sampling(temperature=0.0), out)


def _task(loaded: Loaded, task: str) -> str:
    """The task; without a name the only one that the model was trained for. Raises BadValue and NotFound."""
    from genloom.core import CanTranslate, translations
    from genloom.samplers.restore import TASKS, TIME

    own = loaded.model.tasks if isinstance(loaded.model, CanTranslate) else ()
    if not task and len(own) == 1:
        return own[0]
    in_time = any(f.role == "item" and f.modality in TIME for f in loaded.spec.values())
    still = tuple(t for t in TASKS if t not in ("continue", "harmonise"))
    known = (*translations(loaded.spec), *(("continue",) if in_time else still))
    if not task:
        raise BadValue(f"translate needs a task: give --task with one of {', '.join(own or known)}")
    if task not in known:
        raise unknown("task", task, known)
    return task


def _model(loaded: Loaded, task: str) -> tuple[str, tuple[int, ...], Any]:
    """The item's name and shape, and the flow that does tasks untrained (None: the model was trained for this one)."""
    from genloom.core import CanTranslate, the_item
    from genloom.models.diffusion.flow import Flow

    where, model = loaded.run.path, loaded.model
    name, field = the_item(loaded.spec, "image", "translate")
    if isinstance(model, CanTranslate):
        if not model.tasks:
            raise BadValue(
                f"{where} was trained for no task on pictures: train recipe flow, palette or denoising-autoencoder"
            )
        if task not in model.tasks:
            raise BadValue(
                f"{where} was trained for {' and '.join(model.tasks)}, not for {task}: name that, or a run of a flow"
            )
        return name, field.shape, None
    if not isinstance(model, Flow):
        raise BadValue(
            f"{where}: a model of type {type(model).__name__} cannot translate pictures: train recipe flow or palette"
        )
    if task == "colour" and field.shape[0] < 2:
        raise BadValue(f"{where} makes grey pictures: colour needs a model of pictures with colour")
    return name, field.shape, model


def _sure(loaded: Loaded, flow: Any, task: str) -> bool:
    """Whether there is one answer only, the mean of all: of a flow that denoises, of a model that says so."""
    from genloom.core import CanTranslate

    model = loaded.model
    return task == "denoise" if flow is not None else isinstance(model, CanTranslate) and model.one_answer


def _mask(path: Path, shape: tuple[int, ...]) -> Tensor:
    """A picture as a mask (H, W): True where it is brighter than the middle."""
    import numpy as np
    import torch

    from genloom.data.decode import read_picture
    from genloom.errors import NotFound

    if not path.is_file():
        raise NotFound(f"there is no mask {path}: name an existing picture, white where nothing is known")
    found = read_picture(path, None, "crop")
    if found.pixels is None:
        raise BadData(f"{path} cannot be read as a picture: give one that opens in a viewer")
    pixels = torch.from_numpy(np.array(found.pixels)).float()
    mask = (pixels if pixels.ndim == 2 else pixels.mean(2)) > 127
    if tuple(mask.shape) != shape[1:]:
        got, wanted = "x".join(map(str, mask.shape)), "x".join(map(str, shape[1:]))
        raise BadData(f"the mask measures {got}, and the model's pictures {wanted}: give one of their size")
    if not bool(mask.any()) or bool(mask.all()):
        raise BadData(f"{path} is all {'white' if bool(mask.all()) else 'black'}: white marks what is to be filled")
    return mask


def _given(x: Tensor, job: Job, hole: Tensor | None, generator: Any, fresh: bool) -> Tensor:
    """What the task gives of whole items. fresh: add the noise that is to be taken away again."""
    import torch

    from genloom.samplers.restore import degrade

    if job.task == "denoise" and not fresh:
        return x
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(generator.initial_seed()))
    return degrade(x, job.task, mask=hole, factor=job.factor, sigma=job.deviation, noise=noise)


def _shown(given: Tensor, shape: tuple[int, ...]) -> Tensor:
    """What is given as pictures of the model's shape: grey where nothing is known, small ones in large pixels."""
    import torch.nn.functional as F

    x = given.nan_to_num(0.0).clamp(-1, 1)
    if x.shape[1] != shape[0]:
        x = x.expand(-1, shape[0], -1, -1)
    return x if tuple(x.shape[2:]) == shape[1:] else F.interpolate(x, shape[1:], mode="nearest")


def _scored(
    loaded: Loaded, flow: Any, name: str, shape: tuple[int, ...], job: Job, hole: Tensor | None, n: int, seed: int,
    options: Sampling, generator: Any, label: str | int | None, place: Path,
) -> Facts:  # fmt: skip
    """n held-out items, degraded, restored and compared with the originals, beside what simple methods make of them."""
    import torch

    from genloom.core import the_class
    from genloom.metrics.base import spread
    from genloom.metrics.restoration import closeness, simple
    from genloom.modalities import image

    dataset = data_of(loaded)
    if not len(dataset.test):
        raise BadData(f"{dataset.name} holds no held-out items to try: name a picture of yours")
    index = torch.randperm(len(dataset.test), generator=torch.Generator().manual_seed(seed))[:n]
    batch = dataset.test.batch(index)
    originals = batch[name]
    given = _given(originals, job, hole, generator, fresh=True)
    labelled = the_class(loaded.spec)
    condition = condition_of(loaded, label, len(index))
    if condition is None and labelled is not None and flow is None:
        condition = {labelled[0]: batch[labelled[0]].to(loaded.device)}  # a palette is told the class, as in training
    sure = _sure(loaded, flow, job.task)
    answers = [
        made_of(loaded, flow, name, shape, job, given, condition, options, generator)
        for _ in range(1 if sure else ANSWERS)
    ]
    made = answers[0]
    train = dataset.train.batch(spread(len(dataset.train), MOST))[name]
    ways = {"the model": made}
    if not sure:
        ways[f"the model, mean of {ANSWERS} answers"] = torch.stack(answers).mean(0)
    ways |= simple(job.task, given, shape, train)
    results: list[Result] = [r for way, items in ways.items() for r in closeness(items, originals, way)]
    rows = [(r.name, f"{r.value:.2f}" if r.key == "psnr" else f"{r.value:.3f}") for r in results]
    few = slice(0, 12)
    groups: Sequence[tuple[str, Tensor]] = [
        ("given", image.to_bytes(_shown(given[few], shape))),
        *((way, image.to_bytes(items[few])) for way, items in ways.items()),
        ("held-out originals", image.to_bytes(originals[few])),
    ]
    picture = image.png(image.labelled(groups, columns=min(12, n)))
    if place.suffix == ".npy":
        image.save(image.to_bytes(made), place)
    else:
        image.write_bytes(place, picture)
    data = {"run": str(loaded.run.path), "task": job.task, "n": len(index), "seed": seed, "out": str(place),
            "results": [r.to_json() for r in results]}  # fmt: skip
    return Facts(f"{job.task} of {len(index)} held-out items", (*rows, ("picture", str(place))), data, (), picture)
