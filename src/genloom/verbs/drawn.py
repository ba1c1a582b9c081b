"""New items of an opened run, and the picture that is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadValue
from genloom.modalities.registry import modality
from genloom.verbs.opened import class_indices, listens, prompt_ids, several
from genloom.verbs.results import Picture

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Batch, Field, Sampling
    from genloom.core.capabilities import Callback
    from genloom.engine.load import Loaded

CLIPS = 8  # sounds that a notebook shows


def draw(
    loaded: Loaded,
    n: int,
    *,
    seed: int,
    options: Sampling,
    label: str | int | None = None,
    prompt: str | None = None,
    told: Batch | None = None,
    watch: Callback | None = None,
) -> Tensor:
    """n new items (n, ...) in the item field's range, drawn in chunks from one stream; where there are several item
    fields, n of each in turn. told: values of condition fields, one row each that holds for all items; watch: what the
    sampler calls after each evaluation."""
    import torch

    from genloom.core import CanSample, the_class
    from genloom.engine import preview

    model, spec = loaded.model, loaded.spec
    if not isinstance(model, CanSample):
        raise BadValue(f"{loaded.run.path}: a model of type {type(model).__name__} does not sample")
    name, kind = preview.item_field(spec)
    condition: dict[str, Tensor] = {k: v.expand(n, *v.shape[1:]) for k, v in (told or {}).items()}
    if label is not None:
        indices, labelled = class_indices(spec, label), the_class(spec)
        assert labelled is not None  # class_indices has refused otherwise
        condition[labelled[0]] = torch.tensor(indices).repeat(-(-n // len(indices)))[:n]
        if not listens(loaded, labelled[0]):
            raise BadValue(f"--label {label}: the model of {loaded.run.path} does not listen to classes; leave it out")
    if prompt is not None:
        condition[name] = prompt_ids(loaded, prompt, kind).expand(n, -1)
    generator = torch.Generator(loaded.device).manual_seed(seed)
    condition = {k: v.to(loaded.device) for k, v in condition.items()}
    with preview.resting(model), loaded.drawing():
        drawn = preview.sample(model, n, generator, condition or None, options, watch)
    return preview.beside(*preview.shown_columns(spec, drawn, None)) if several(spec) else drawn[name]


def picture(
    items: Tensor,
    field: Field,
    place: Path,
    data: Mapping[str, Any],
    *,
    exact: bool = True,
    out: str | Path | None = None,
    columns: int | None = None,
) -> Picture:
    """Writes items (n, *field.shape) to `place`; the run, seed and choices go into the file where it has room. Says how
    many hold what is no number."""
    from genloom.metrics.drawing import not_finite
    from genloom.modalities import image

    codec = modality(field.modality).codec
    metadata = {"genloom": json.dumps(data, default=str)}
    target = out if exact and out is not None else place  # a final slash means a folder, and is lost in a Path
    codec.save(items, field, target, columns=columns, metadata=metadata)
    shown = items[: 16 * (columns or 16)]
    sheet = image.png(codec.picture(shown, field, columns), metadata)
    bad = not_finite(items)
    notes: tuple[str, ...] = ()
    if bad:
        data = {**data, "not_finite": bad}
        notes = (f"{bad:,} of {len(items):,} items hold NaN or infinity, and are shown black there: choose an earlier "
                 "checkpoint, or train anew at a lower rate",)  # fmt: skip
    array = codec.array(items, field)
    return Picture(place, array, sheet, data, notes, clips=codec.clips(items[:CLIPS], field))
