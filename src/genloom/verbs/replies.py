"""Answers of a run's model to a prompt: translations, summaries, replies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genloom.errors import BadValue
from genloom.verbs.places import check_out
from genloom.verbs.results import Texts

if TYPE_CHECKING:
    from torch import Tensor

    from genloom.core import Sampling
    from genloom.engine.load import Loaded


def asked_field(loaded: Loaded) -> str | None:
    """The name of the text that the run's model answers; None where it continues texts, or makes none."""
    from genloom.metrics.answers import told

    return told(loaded.spec)


def question(loaded: Loaded, prompt: str) -> Tensor:
    """A prompt as the row of ids that the model reads, its end included. Raises BadValue where it is too long."""
    from genloom.modalities.ended import rows_of

    name = asked_field(loaded)
    assert name is not None
    assert loaded.tokenizer is not None
    field, ids = loaded.spec[name], loaded.tokenizer.encode(prompt)
    (length,) = field.shape
    if len(ids) >= length:
        raise BadValue(f"the prompt has {len(ids)} tokens, and this model reads {length - 1}: shorten it")
    return rows_of([ids], length, field.end)[0]


def kept(texts: list[str], place: Path | None) -> None:
    """Writes texts to a file, to a folder with one each, or nowhere."""
    from genloom.modalities import text

    if place is not None and not place.suffix:
        for i, one in enumerate(texts):
            text.save([one], place / f"{i:04d}.txt")
    elif place is not None:
        text.save(texts, place)


def replies(
    loaded: Loaded,
    prompt: str | Sequence[str] | None,
    n: int,
    seed: int,
    options: Sampling,
    out: str | Path | None = None,
) -> Texts:
    """n answers to a prompt, in a .txt, a .jsonl or a folder of texts if asked for. Raises BadValue."""
    import torch

    from genloom.core import CanSample
    from genloom.engine import preview
    from genloom.modalities import text

    where, name = loaded.run.path, asked_field(loaded)
    assert name is not None
    assert loaded.tokenizer is not None
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadValue(f"{where}: this model answers prompts: give one with --prompt")
    if not isinstance(loaded.model, CanSample):
        raise BadValue(f"{where}: a model of type {type(loaded.model).__name__} writes no answers")
    place = None if out is None else check_out(out, "text")
    told = {name: question(loaded, prompt).expand(n, -1).to(loaded.device)}
    key, _ = preview.item_field(loaded.spec)
    with preview.resting(loaded.model), loaded.drawing():
        generator = torch.Generator(loaded.device).manual_seed(seed)
        ids = preview.sample(loaded.model, n, generator, told, options)[key]
    texts = text.to_texts(ids, loaded.tokenizer)
    kept(texts, place)
    return Texts(tuple(texts), place, {"run": str(where), "n": n, "seed": seed, "prompt": prompt})
