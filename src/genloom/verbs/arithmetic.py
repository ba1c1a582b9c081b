"""`genloom arithmetic`: sums and differences of classes in a model's latent space (Radford et al. 2016, section 6.3.2).

A class stands in the sum as the mean of latents: of training items of the class where the model encodes, else of draws
of the prior whose items the data set's own classifier takes for the class. No model has to know classes for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue
from genloom.modalities.registry import modality
from genloom.verbs.drawn import picture
from genloom.verbs.opened import AnyRun, class_indices, data_of, open_run
from genloom.verbs.places import check_count, check_out
from genloom.verbs.results import Picture
from genloom.verbs.walks import decoded

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import CanDecode
    from genloom.data import Dataset
    from genloom.metrics.extractor import OwnExtractor

DRAWS = 2048  # of the prior, among which items of each class are looked for
SHOWN = 8  # items of a class that the picture shows before their mean
JUDGED = 64  # variations of the result that are classified
VARIATION = 0.25  # share of a draw that is added to the result, as in the paper


def arithmetic(
    run: AnyRun,
    plus: Sequence[str | int],
    minus: Sequence[str | int] = (),
    n: int = 9,
    of: int = 16,
    seed: int = 0,
    raw: bool = False,
    out: str | Path | None = None,
    *,
    runs: str | Path = "runs",
) -> Picture:
    """The sum of the mean latents of the classes `plus` less those of `minus`, decoded: n items, the result first, then
    variations of it: ankle boot - sneaker + sandal is a sandal with a heel.

    plus, minus: classes by name or number; of: latents that are averaged of each. The note says for what the data set's
    classifier takes variations of the result. out: a .png, or a .npy of the n items. Raises BadValue where the model
    has no latent space, the data no classes, or a class is found in no sample.
    """
    import torch

    from genloom.core import CanDecode, CanEncode, the_class
    from genloom.metrics.store import extractor_for
    from genloom.modalities import image

    check_count(n)
    check_count(of, "--of")
    if not plus:
        raise BadValue(
            "--plus: expected a class to begin with, such as --plus Pullover --minus T-shirt/top --plus Dress"
        )
    loaded = open_run(run, runs, raw)
    model = loaded.model
    if not isinstance(model, CanDecode):
        raise BadValue(f"{loaded.run.path}: its model has no latent space to calculate in (try `genloom sample`)")
    name, field = next((k, f) for k, f in loaded.spec.items() if f.role == "item")
    if field.modality != "image":
        raise BadValue(f"`genloom arithmetic` shows images; {loaded.run.path} makes {modality(field.modality).plural}")
    place = check_out(out or loaded.run.samples / _file_name(plus, minus, seed, raw), "image", folder=False)
    dataset = data_of(loaded)
    found = the_class(dataset.spec)
    if found is None:
        raise BadValue(f"{loaded.run.path}: its data carry no classes to calculate with; choose data with labels")
    classes = found[1].classes
    terms = [
        (sign, i) for sign, given in ((1, plus), (-1, minus)) for w in given for i in class_indices(dataset.spec, w)
    ]
    judge = extractor_for(dataset, device=loaded.device)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    wanted = sorted({i for _, i in terms})
    with torch.no_grad():
        draws = model.prior(DRAWS, generator=generator)
        if isinstance(model, CanEncode) and model.quick:
            groups = {i: model.encode(_items(dataset, i, of, loaded.device)) for i in wanted}
            length = None
        else:
            groups = _drawn(model, draws, name, wanted, of, judge, classes)
            length = draws.flatten(1).norm(dim=1).mean()
        means = {i: g.mean(0) for i, g in groups.items()}
        total = _on_sphere(sum((sign * means[i] for sign, i in terms), torch.zeros_like(draws[0])), length)
        varied = total + VARIATION * draws[: max(n, JUDGED)]
        results = decoded(model, torch.cat([total[None], varied]), name, None)
        verdicts = judge.judge(judge.features(results[1 : JUDGED + 1]))
        rows = {
            f"{'+' if sign > 0 else '-'} {classes[i]}: {len(groups[i])} found, the last is their mean": decoded(
                model, torch.cat([groups[i][:SHOWN], _on_sphere(means[i], length)[None]]), name, None
            )
            for sign, i in terms
        }
    shares = torch.bincount(verdicts, minlength=len(classes)).double() / len(verdicts)
    order = shares.argsort(descending=True, stable=True)[:3].tolist()
    said = "taken for " + ", ".join(f"{classes[i]} {float(shares[i]):.0%}" for i in order if shares[i] > 0)
    balance = len(plus) - len(minus)
    odd = () if balance == 1 else (f"{len(plus)} classes are added and {len(minus)} taken away: one more is usual",)
    data: dict[str, Any] = {
        "run": str(loaded.run.path),
        "plus": [str(p) for p in plus],
        "minus": [str(m) for m in minus],
        "n": n,
        "of": of,
        "seed": seed,
        "raw": raw,
        "shares": {c: float(s) for c, s in zip(classes, shares, strict=True)},
    }
    made = replace(picture(results[:n], field, place, data), notes=(f"variations of the result are {said}", *odd))
    if place.suffix == ".npy":
        return made
    rows[f"= the result, then variations ({said})"] = results[:n]
    png = image.png(image.labelled(rows, columns=SHOWN + 1))
    image.write_bytes(place, png)
    return replace(made, png=png)


def _file_name(plus: Sequence[str | int], minus: Sequence[str | int], seed: int, raw: bool) -> str:
    words = "-".join(["arithmetic", *map(str, plus), *(["minus"] if minus else []), *map(str, minus), f"seed{seed}"])
    return "".join(c if c.isalnum() or c in "-." else "_" for c in words) + "-raw" * raw + ".png"


def _items(dataset: Dataset, index: int, of: int, device: Any) -> dict[str, Tensor]:
    """Up to `of` training items of a class, without their label."""
    import torch

    from genloom.core import the_class

    labelled = the_class(dataset.spec)
    assert labelled is not None
    rows: list[int] = []
    for part in torch.arange(len(dataset.train)).split(512):
        rows += part[dataset.train.batch(part)[labelled[0]] == index].tolist()
        if len(rows) >= of:
            break
    if not rows:
        raise BadData(f"no training item is of class {labelled[1].classes[index]!r}: choose another")
    return {k: v.to(device) for k, v in dataset.train.batch(torch.tensor(rows[:of])).items() if k != labelled[0]}


def _drawn(
    model: CanDecode,
    draws: Tensor,
    name: str,
    wanted: Sequence[int],
    of: int,
    judge: OwnExtractor,
    classes: Sequence[str],
) -> dict[int, Tensor]:
    """Of each class, the `of` draws that are most surely of it. Raises BadValue where there is none."""
    certainty = judge.logits(judge.features(decoded(model, draws, name, None))).softmax(1)
    groups = {}
    for i in wanted:
        order = certainty[:, i].argsort(descending=True, stable=True)
        sure = order[certainty[order, i] > 0.5][:of]
        if not len(sure):
            raise BadValue(f"none of {len(draws):,} samples is taken for {classes[i]!r}: choose another class")
        groups[i] = draws[sure.to(draws.device)]
    return groups


def _on_sphere(latent: Tensor, length: Tensor | None) -> Tensor:
    """The latent at the length that draws have: a sum of means is shorter, and decodes to a blur (White 2016)."""
    return latent if length is None else latent * (length / latent.norm().clamp_min(1e-12))
