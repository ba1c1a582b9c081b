"""Prompts for models that are told captions: read, turned into word ids, and drawn row by row from the same noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genloom.errors import BadData, BadValue, nearest
from genloom.verbs.results import Picture

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Field
    from genloom.engine.load import Loaded

SEPARATOR = "\x1e"  # between the values of a flag that was given several times
EACH = 8  # items of each of several prompts where nobody says otherwise
ALONE = 16  # items of one prompt


def caption_field(loaded: Loaded) -> tuple[str, Field] | None:
    """The name and field of the text that a model is told; None where it is told none."""
    found = [(k, f) for k, f in loaded.spec.items() if f.role == "condition" and f.modality == "text"]
    return found[0] if found else None


def gathered(prompt: str | Sequence[str] | None, file: str | Path | None) -> list[str]:
    """All prompts that were given, of a file one a line. Raises BadValue, BadData."""
    given = [] if prompt is None else prompt.split(SEPARATOR) if isinstance(prompt, str) else list(prompt)
    if file is not None:
        try:
            lines = Path(file).expanduser().read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeError) as error:
            raise BadData(f"--prompts {file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        found = [line.strip() for line in lines if line.strip()]
        if not found:
            raise BadData(f"--prompts {file} holds no line with a prompt")
        given += found
    return given


def ids_of(loaded: Loaded, texts: Sequence[str], flag: str, notes: list[str]) -> Tensor:
    """The word ids (P, L) of prompts. Words the model never saw are named in `notes`.

    Raises BadValue for an empty prompt, one of unknown words alone, and a model that is told no captions.
    """
    import torch

    from genloom.modalities.words import WordTokenizer, split_words

    told = caption_field(loaded)
    if told is None or not isinstance(loaded.tokenizer, WordTokenizer):
        raise BadValue(f"{flag}: the model of {loaded.run.path} was trained without captions; leave {flag} out")
    name, field = told
    tokenizer, (length,) = loaded.tokenizer, field.shape
    for text in texts:
        words = split_words(text)
        if not words:
            raise BadValue(
                f"{flag} is empty: expected words such as {' '.join(tokenizer.words[:3])!r}, or leave it out"
            )
        missing = tokenizer.unknown(text)
        if missing and len(missing) == len({w for w in words if w[0].isalnum()}):
            near = nearest(missing[0], tokenizer.words, 1)
            hint = f": did you mean {near[0]!r}?" if near else f", only {len(tokenizer.words):,} others"
            raise BadValue(f"{flag} {text!r}: the model of {loaded.run.path} knows none of these words{hint}")
        if missing:
            notes.append(f"{text!r}: the model never saw {', '.join(missing)}")
        if len(words) > length:
            notes.append(f"{text!r}: the model reads {length} words and marks, the other {len(words) - length} are cut")
    ids = torch.stack([tokenizer.row(text, length) for text in texts])
    if not _heeds(loaded, name, ids[:1]):
        raise BadValue(f"{flag}: the model of {loaded.run.path} does not listen to captions; leave {flag} out")
    return ids


def _heeds(loaded: Loaded, name: str, ids: Tensor) -> bool:
    """Whether the caption `ids` (1, L) changes an item that is drawn from the same noise as without a caption."""
    import torch

    from genloom.core import CanSample, Sampling
    from genloom.engine import preview

    if not isinstance(loaded.model, CanSample):
        return False
    items = []
    for row in (ids, torch.zeros_like(ids)):
        generator = torch.Generator(loaded.device).manual_seed(0)
        with preview.resting(loaded.model):
            told = {name: row.to(loaded.device)}
            items.append(preview.sample(loaded.model, 1, generator, told, Sampling(steps=1, guidance=1.0)))
    return any(not torch.equal(items[0][k], items[1][k]) for k in items[0] if k != name)


def sheet(
    rows: Sequence[tuple[str, Tensor]],
    field: Field,
    place: Path,
    data: Mapping[str, Any],
    notes: Sequence[str],
    out: str | Path | None,
) -> Picture:
    """Writes the items of several prompts: a .png has a row for each prompt below its words, other files hold all."""
    import torch

    from genloom.modalities import image, modality

    codec = modality(field.modality).codec
    items = torch.cat([drawn for _, drawn in rows])
    columns = len(rows[0][1])
    metadata = {"genloom": json.dumps(data, default=str)}
    picture = (
        image.labelled([(text, image.to_bytes(drawn)) for text, drawn in rows], columns)
        if field.modality == "image"
        else codec.picture(items, field, columns)
    )
    content = image.png(picture, metadata)
    if place.suffix.lower() == ".png" and field.modality == "image":
        image.write_bytes(place, content)
    else:
        codec.save(items, field, place if out is None else out, columns=columns, metadata=metadata)
    return Picture(place, codec.array(items, field), content, data, tuple(notes))
